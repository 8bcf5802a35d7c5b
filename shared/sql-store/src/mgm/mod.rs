//! Member get member: referrals, coupons and vouchers in SQL.
//!
//! Every use case locks existing rows in this order: mark or idempotency key → `trip_legs` →
//! `purchases` → `referrals` → `promoters` → `promoter_months` → `vouchers` → `order_vouchers` →
//! `campaigns` → `job_runs`. There are these exceptions:
//!
//! - Accepting a purchase locks the promoter before it inserts the referral; voiding one locks the
//!   referral before the promoter. They never wait for each other: the INSERT could only wait for a
//!   living referral of the same friend, and one of the same promoter was counted under the
//!   promoter's lock, so that the purchase was refused before the INSERT.
//! - News of an order lock its `trip_legs` after the purchase, or last where it is accepted.
//! - A void order lets go of the vouchers reserved for it before its referral is locked.
//! - Reserving leaves the voucher's old place before it takes, for an order that nobody has placed,
//!   the vouchers whose reservation lapsed, and then the new place.
//! - Expiring goes voucher by voucher, by end of validity, each with its place.
//!
//! All but the first can deadlock. The database then ends one of the two, and
//! [`Store::transact`](crate::Store::transact) does that use case again from its beginning.

pub mod audit;
pub mod campaigns;
pub mod clicks;
pub mod events;
pub mod funnel;
mod limits;
pub mod links;
pub mod promoters;
pub mod purchases;
mod referrals;
mod rewards;
pub mod sweep;
pub mod trace;
pub mod trips;
pub mod vouchers;
