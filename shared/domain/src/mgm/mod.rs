//! Member get member: a promoter's link brings a friend, the friend's trip brings the promoter a
//! voucher.

pub mod attribution;
pub mod audit;
pub mod campaign;
pub mod click;
pub mod funnel;
pub mod promoter;
pub mod referral;
pub mod shop_url;
pub mod terms;
pub mod trip;
pub mod voucher;
