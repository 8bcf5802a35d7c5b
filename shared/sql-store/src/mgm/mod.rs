//! Member get member: referrals, coupons and vouchers in SQL.

pub mod audit;
pub mod campaigns;
pub mod clicks;
pub mod events;
pub mod links;
pub mod promoters;
pub mod vouchers;
