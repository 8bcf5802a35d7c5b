//! Member get member: referrals, coupons and vouchers in SQL.
