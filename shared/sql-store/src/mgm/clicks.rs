//! Clicks on links: counted once a visit, and the coupon that a campaign gives on arrival.

use domain::code::{ReferralCode, VoucherCode};
use domain::mgm::attribution::Visitor;
use domain::mgm::campaign::Campaign;
use domain::mgm::click::{ClickKind, SAME_VISIT_MS};
use domain::mgm::voucher;
use domain::money::Centavos;
use domain::time::UtcMillis;

use crate::mgm::campaigns;
use crate::mgm::vouchers::{self, NewVoucher};
use crate::{Store, StoreError, Tx, values};

/// Somebody opened a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Click {
    /// The link's code, as the address named it.
    pub code: ReferralCode,
    /// Who it was, without saying whose.
    pub visitor: Visitor,
    /// A person, a bot or a preview.
    pub kind: ClickKind,
}

/// What a click on a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The link's campaign.
    pub campaign: Campaign,
    /// The visitor's coupon, where the campaign gives it on arrival.
    pub coupon: Option<VoucherCode>,
    /// Whether the click was counted: the same visitor counts once in half an hour.
    pub counted: bool,
}

/// Counts a click and gives the coupon of a campaign that gives it on arrival; `None` when there is
/// no such link, and nothing is written then.
///
/// # Errors
/// When the database fails.
pub async fn open_link(
    store: &Store,
    click: &Click,
    now: UtcMillis,
) -> Result<Option<Opened>, StoreError> {
    store
        .transact(async |tx: &Tx| {
            let Some(campaign) = campaigns::load_by_link(tx, &click.code).await? else {
                return Ok(None);
            };
            let counted = note_visit(tx, click, now).await?;
            if counted {
                insert_click(tx, &campaign, click, now).await?;
            }
            let coupon = arrival_coupon(tx, &campaign, click, now).await?;
            Ok(Some(Opened {
                campaign,
                coupon,
                counted,
            }))
        })
        .await
}

/// Where a link leads, without counting anything.
///
/// # Errors
/// When the database fails.
pub async fn follow_link(
    store: &Store,
    code: &ReferralCode,
) -> Result<Option<Campaign>, StoreError> {
    store
        .transact(async |tx: &Tx| campaigns::load_by_link(tx, code).await)
        .await
}

/// True when the visitor was not counted within the last half hour. Looking ahead is a visit of its
/// own, so that it does not swallow the click that follows.
async fn note_visit(tx: &Tx, click: &Click, now: UtcMillis) -> Result<bool, StoreError> {
    let visitor = match click.kind {
        ClickKind::Person => click.visitor.as_str().to_owned(),
        other => format!("{}:{}", click.visitor.as_str(), other.as_str()),
    };
    let again = tx
        .execute(
            "UPDATE link_visits SET counted_ms = ? \
             WHERE link_code = ? AND visitor = ? AND counted_ms <= ?",
            values![
                now.get(),
                click.code.as_str(),
                visitor.as_str(),
                now.get() - SAME_VISIT_MS
            ],
        )
        .await?;
    if again > 0 {
        return Ok(true);
    }
    tx.insert_new(
        "INSERT INTO link_visits (link_code, visitor, counted_ms) VALUES (?, ?, ?)",
        values![click.code.as_str(), visitor, now.get()],
    )
    .await
}

async fn insert_click(
    tx: &Tx,
    campaign: &Campaign,
    click: &Click,
    now: UtcMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO clicks (id, campaign_id, link_code, kind, clicked_ms) \
         VALUES (?, ?, ?, ?, ?)",
        values![
            tx.new_id(now)?,
            campaign.id().as_str(),
            click.code.as_str(),
            click.kind.as_str(),
            now.get(),
        ],
    )
    .await
    .map(|_| ())
}

/// One coupon for a visitor of a link; it holds nothing of the budget until an order reserves it.
/// One that was used is not shown again.
async fn arrival_coupon(
    tx: &Tx,
    campaign: &Campaign,
    click: &Click,
    now: UtcMillis,
) -> Result<Option<VoucherCode>, StoreError> {
    if !campaign.gives_coupon_on(click.kind, now) {
        return Ok(None);
    }
    let terms = campaign.terms();
    let coupon = NewVoucher {
        kind: voucher::Kind::FriendCoupon,
        campaign: campaign.id().clone(),
        referral: None,
        arrival: Some((click.code.clone(), click.visitor.as_str().to_owned())),
        owner: None,
        worth: terms.discount(),
        stackable: terms.stackable(),
        held: Centavos::ZERO,
        expires: now.plus_days(terms.voucher_valid_days()),
    };
    let issued = vouchers::issue(tx, &[coupon], now).await?;
    let usable = |coupon: &vouchers::Issued| {
        matches!(
            coupon.status,
            voucher::Status::Issued | voucher::Status::Reserved
        )
    };
    Ok(issued.into_iter().find(usable).map(|coupon| coupon.code))
}
