//! Member get member: referrals, coupons and vouchers in SQL.

pub mod audit;
pub mod campaigns;
pub mod events;
pub mod vouchers;
