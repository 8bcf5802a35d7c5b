//! A purchase made through a link: the friend's coupon.
