//! Member get member: referrals, coupons and vouchers in SQL.

pub mod campaigns;
