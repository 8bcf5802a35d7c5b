//! Coupons and vouchers in SQL: issued with their referral, reserved and used by orders, cancelled
//! or expired.
//!
//! The order of locks stands in [`crate::mgm`].

pub mod budget;
mod issue;
mod list;
mod place;
mod record;
mod redeem;
mod void;

pub use issue::{Issued, NewVoucher, issue};
pub use list::{Recipient, ShownVoucher, find, of_owner};
pub use record::{StoredVoucher, order_hold};
pub use redeem::{
    Actor, RedeemVoucherError, Reserve, Settle, VoucherKey, commit, release, reserve,
};
pub use void::{
    Voided, bind_arrival_coupon, cancel_of_referral, expire_due, release_of_order,
    release_of_others,
};
