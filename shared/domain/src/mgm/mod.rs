//! Member get member: a promoter's link brings a friend, the friend's trip brings the promoter a
//! voucher.

pub mod audit;
pub mod voucher;
