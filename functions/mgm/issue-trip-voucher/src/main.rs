//! The friend's trip is completed: the promoter's voucher.
fn main() {}
