CREATE TABLE IF NOT EXISTS campaigns (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    status VARCHAR(16) NOT NULL,
    starts_ms BIGINT NOT NULL,
    ends_ms BIGINT NOT NULL,
    discount_centavos BIGINT,
    discount_basis_points INTEGER,
    discount_cap_centavos BIGINT,
    reward_centavos BIGINT NOT NULL,
    minimum_purchase_centavos BIGINT NOT NULL,
    promoter_monthly_limit BIGINT,
    promoter_total_limit BIGINT,
    hourly_velocity_limit BIGINT,
    budget_centavos BIGINT NOT NULL,
    reserved_centavos BIGINT NOT NULL,
    spent_centavos BIGINT NOT NULL,
    voucher_valid_days INTEGER NOT NULL,
    attribution_window_days INTEGER,
    pending_days INTEGER NOT NULL,
    coupon_on_arrival INTEGER NOT NULL,
    stackable INTEGER NOT NULL,
    accepts_existing_buyers INTEGER NOT NULL,
    minimum_completed_orders INTEGER NOT NULL,
    shop_url VARCHAR(500) NOT NULL,
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);

-- A promoter has one exclusive link in a campaign.
CREATE TABLE IF NOT EXISTS promoters (
    campaign_id VARCHAR(26) NOT NULL,
    customer_id VARCHAR(64) NOT NULL,
    link_code VARCHAR(11) NOT NULL,
    since_ms BIGINT NOT NULL,
    cohort VARCHAR(7) NOT NULL,
    accepted BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, customer_id)
);
CREATE UNIQUE INDEX promoters_by_link ON promoters (link_code);
CREATE INDEX promoters_by_customer ON promoters (customer_id);

-- Accepted referrals of a promoter in a São Paulo month (2026-11), for the monthly limit.
CREATE TABLE IF NOT EXISTS promoter_months (
    campaign_id VARCHAR(26) NOT NULL,
    customer_id VARCHAR(64) NOT NULL,
    month VARCHAR(7) NOT NULL,
    accepted BIGINT NOT NULL,
    PRIMARY KEY (campaign_id, customer_id, month)
);

-- One row a counted click, of nobody; kind tells people, bots and previews apart.
CREATE TABLE IF NOT EXISTS clicks (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    campaign_id VARCHAR(26) NOT NULL,
    link_code VARCHAR(11) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    clicked_ms BIGINT NOT NULL
);
CREATE INDEX clicks_by_campaign ON clicks (campaign_id, kind, link_code);

-- When a visitor (an HMAC) was last counted on a link: the same one counts once in 30 minutes.
-- Kept for a day.
CREATE TABLE IF NOT EXISTS link_visits (
    link_code VARCHAR(11) NOT NULL,
    visitor VARCHAR(64) NOT NULL,
    counted_ms BIGINT NOT NULL,
    PRIMARY KEY (link_code, visitor)
);
CREATE INDEX link_visits_by_age ON link_visits (counted_ms);

-- Every order that `pedidos` told of, with or without a link. A ref_code without ref_clicked_ms
-- came with a wrong signature.
CREATE TABLE IF NOT EXISTS purchases (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    customer_id VARCHAR(64) NOT NULL,
    status VARCHAR(16) NOT NULL,
    ref_code VARCHAR(11),
    ref_clicked_ms BIGINT,
    total_centavos BIGINT,
    approved_ms BIGINT,
    ends_ms BIGINT,
    completed_ms BIGINT,
    updated_ms BIGINT NOT NULL
);
CREATE INDEX purchases_by_customer ON purchases (customer_id, status);
CREATE INDEX purchases_by_end ON purchases (ends_ms, order_id);

-- Completed legs by order and customer; they may come before their purchase and wait here. Legs
-- that name another customer than their order complete nothing.
CREATE TABLE IF NOT EXISTS trip_legs (
    order_id VARCHAR(64) NOT NULL,
    leg INTEGER NOT NULL,
    legs INTEGER NOT NULL,
    customer_id VARCHAR(64) NOT NULL,
    completed_ms BIGINT NOT NULL,
    PRIMARY KEY (order_id, customer_id, leg)
);
CREATE INDEX trip_legs_by_time ON trip_legs (completed_ms, order_id);

-- slot is 'active' for the one living referral of a friend in a campaign, the row's own id once void.
CREATE TABLE IF NOT EXISTS referrals (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    campaign_id VARCHAR(26) NOT NULL,
    promoter_id VARCHAR(64) NOT NULL,
    friend_id VARCHAR(64) NOT NULL,
    slot VARCHAR(26) NOT NULL,
    order_id VARCHAR(64) NOT NULL,
    link_code VARCHAR(11) NOT NULL,
    status VARCHAR(16) NOT NULL,
    cohort VARCHAR(7) NOT NULL,
    purchase_month VARCHAR(7) NOT NULL,
    purchase_centavos BIGINT NOT NULL,
    clicked_ms BIGINT,
    purchased_ms BIGINT NOT NULL,
    completed_ms BIGINT,
    reward_due_ms BIGINT,
    rewarded_ms BIGINT,
    voided_ms BIGINT,
    void_reason VARCHAR(40),
    reward_reserved_centavos BIGINT NOT NULL,
    version BIGINT NOT NULL,
    audit_hash VARCHAR(64) NOT NULL
);
CREATE UNIQUE INDEX referrals_one_per_friend ON referrals (campaign_id, friend_id, slot);
CREATE UNIQUE INDEX referrals_one_per_order ON referrals (order_id);
CREATE INDEX referrals_by_promoter ON referrals (campaign_id, promoter_id, purchased_ms);
CREATE INDEX referrals_by_due ON referrals (status, reward_due_ms);

-- Why a purchase through a link made no referral: for the operator, never for the public.
CREATE TABLE IF NOT EXISTS refusals (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    campaign_id VARCHAR(26) NOT NULL,
    promoter_id VARCHAR(64) NOT NULL,
    friend_id VARCHAR(64) NOT NULL,
    link_code VARCHAR(11) NOT NULL,
    cohort VARCHAR(7) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    refused_ms BIGINT NOT NULL
);
CREATE INDEX refusals_by_campaign ON refusals (campaign_id, reason, order_id);

-- Friends' coupons and promoters' vouchers. budget_reserved_centavos is what this row still holds
-- of its campaign's budget. referral_id is null for a coupon given on arrival and not yet bought with.
CREATE TABLE IF NOT EXISTS vouchers (
    id VARCHAR(26) NOT NULL PRIMARY KEY,
    code VARCHAR(17) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    campaign_id VARCHAR(26) NOT NULL,
    referral_id VARCHAR(26),
    link_code VARCHAR(11),
    visitor VARCHAR(64),
    owner_id VARCHAR(64),
    status VARCHAR(16) NOT NULL,
    amount_centavos BIGINT,
    basis_points INTEGER,
    cap_centavos BIGINT,
    stackable INTEGER NOT NULL,
    budget_reserved_centavos BIGINT NOT NULL,
    issued_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    order_id VARCHAR(64),
    reserved_until_ms BIGINT,
    discount_centavos BIGINT,
    used_ms BIGINT,
    cancelled_ms BIGINT,
    used_after_void INTEGER NOT NULL,
    version BIGINT NOT NULL,
    audit_hash VARCHAR(64) NOT NULL
);
CREATE UNIQUE INDEX vouchers_by_code ON vouchers (code);
CREATE UNIQUE INDEX vouchers_one_per_referral ON vouchers (referral_id, kind);
CREATE UNIQUE INDEX vouchers_one_per_visitor ON vouchers (link_code, visitor);
CREATE INDEX vouchers_by_owner ON vouchers (owner_id, id);
CREATE INDEX vouchers_by_order ON vouchers (order_id);
CREATE INDEX vouchers_by_expiry ON vouchers (status, expires_ms);
CREATE INDEX vouchers_by_campaign ON vouchers (campaign_id, kind, status);

-- Which vouchers an order holds: a voucher that does not stack holds it alone.
CREATE TABLE IF NOT EXISTS order_vouchers (
    order_id VARCHAR(64) NOT NULL PRIMARY KEY,
    exclusive INTEGER NOT NULL,
    holders BIGINT NOT NULL
);

-- Every change to a referral or voucher, chained by hash within it.
CREATE TABLE IF NOT EXISTS audit_log (
    entity VARCHAR(16) NOT NULL,
    entity_id VARCHAR(26) NOT NULL,
    version BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    event VARCHAR(40) NOT NULL,
    details TEXT NOT NULL,
    previous_hash VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (entity, entity_id, version)
);
CREATE INDEX audit_log_by_time ON audit_log (changed_ms);

-- A day's anchor: a hash over the heads of all chains that changed that day, chained by day.
CREATE TABLE IF NOT EXISTS audit_anchors (
    day VARCHAR(10) NOT NULL PRIMARY KEY,
    heads BIGINT NOT NULL,
    previous_hash VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    anchored_ms BIGINT NOT NULL
);
