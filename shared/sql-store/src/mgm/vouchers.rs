//! Coupons and vouchers in SQL: issued with their referral, reserved and used by orders, cancelled
//! or expired.
//!
//! Locks are taken in the order purchases → referrals → vouchers → order_vouchers → campaigns.

mod issue;
mod place;
mod record;
mod void;

pub use issue::{Issued, NewVoucher, issue};
pub use record::{StoredVoucher, order_hold};
pub use void::{Voided, cancel_of_referral, release_of_order};
