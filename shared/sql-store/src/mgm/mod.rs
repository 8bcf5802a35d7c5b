//! Member get member: referrals, coupons and vouchers in SQL.

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
