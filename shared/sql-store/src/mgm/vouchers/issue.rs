//! Issuing, many at once: one statement for the rows, one for their audit, one for their events.

use std::collections::HashMap;

use contracts::mgm::events::{EventType, MgmEvent};
use domain::{
    code::{ReferralCode, VoucherCode},
    identity::{CampaignId, CustomerId, ReferralId, VoucherId},
    mgm::{
        audit::{self, Change, Details, Entity, Entry, Event, Head},
        campaign::Discount,
        voucher::{Kind, Status},
    },
    money::Centavos,
    time::UtcMillis,
};
use sea_orm::FromQueryResult;

use crate::{
    StoreError, Tx, Value,
    mgm::{
        audit::{ROWS_AT_ONCE, append},
        events::outgoing,
    },
    placeholders, values,
};

/// A coupon or voucher to be issued. What it holds of the budget was reserved before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVoucher {
    /// Whose it is.
    pub kind: Kind,
    /// The campaign that pays.
    pub campaign: CampaignId,
    /// Its referral: one voucher of a kind each.
    pub referral: Option<ReferralId>,
    /// The link and the visitor's pseudonym, for a coupon given on arrival: one each.
    pub arrival: Option<(ReferralCode, String)>,
    /// Who may spend it.
    pub owner: Option<CustomerId>,
    /// What it takes off.
    pub worth: Discount,
    /// Whether others may share its order.
    pub stackable: bool,
    /// What it holds of the campaign's budget.
    pub held: Centavos,
    /// The first moment at which it can't be reserved any more.
    pub expires: UtcMillis,
}

/// The voucher that there is now for a [`NewVoucher`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its id.
    pub id: VoucherId,
    /// Its code.
    pub code: VoucherCode,
    /// How it stands.
    pub status: Status,
    /// False when its referral (or visitor) had one of this kind before: nothing was written, and
    /// what the caller reserved for it is the caller's to give back.
    pub is_new: bool,
}

/// What a voucher is unique by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slot {
    Referral(String, &'static str),
    Visitor(String, String),
}

#[derive(FromQueryResult)]
struct Existing {
    id: String,
    code: String,
    kind: String,
    status: String,
    referral_id: Option<String>,
    link_code: Option<String>,
    visitor: Option<String>,
}

/// Issues vouchers; the answers are in the order of the questions. One that was issued before for
/// the same referral and kind (or link and visitor) is answered and not issued again.
///
/// # Errors
/// When the database fails.
pub async fn issue(tx: &Tx, new: &[NewVoucher], now: UtcMillis) -> Result<Vec<Issued>, StoreError> {
    let mut answers = Vec::with_capacity(new.len());
    for chunk in new.chunks(ROWS_AT_ONCE) {
        answers.extend(match issue_chunk(tx, chunk, now).await {
            // A rival issued for the same visitor and has committed: now its row is seen.
            Err(StoreError::Duplicate) => issue_chunk(tx, chunk, now).await?,
            other => other?,
        });
    }
    Ok(answers)
}

async fn issue_chunk(
    tx: &Tx,
    new: &[NewVoucher],
    now: UtcMillis,
) -> Result<Vec<Issued>, StoreError> {
    let mut by_slot = existing(tx, new).await?;
    let mut rows = Vec::new();
    let mut answers = Vec::with_capacity(new.len());
    for voucher in new {
        let slot = voucher.slot();
        if let Some(found) = slot.as_ref().and_then(|slot| by_slot.get(slot)) {
            answers.push(found.clone());
            continue;
        }
        let issued = Issued {
            id: VoucherId::parse(tx.new_id(now)?)?,
            code: VoucherCode::from_random(tx.random()?),
            status: Status::Issued,
            is_new: true,
        };
        if let Some(slot) = slot {
            by_slot.insert(
                slot,
                Issued {
                    is_new: false,
                    ..issued.clone()
                },
            );
        }
        rows.push((
            voucher,
            issued.clone(),
            voucher.first_entry(&issued.id, now),
        ));
        answers.push(issued);
    }
    if !rows.is_empty() {
        write(tx, &rows, now).await?;
    }
    Ok(answers)
}

async fn write(
    tx: &Tx,
    rows: &[(&NewVoucher, Issued, Entry)],
    now: UtcMillis,
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO vouchers (id, code, kind, campaign_id, referral_id, link_code, visitor, \
         owner_id, status, amount_centavos, basis_points, cap_centavos, stackable, \
         budget_reserved_centavos, issued_ms, expires_ms, used_after_void, version, audit_hash) \
         VALUES {}",
        placeholders(rows.len(), 19)
    );
    let columns = rows
        .iter()
        .flat_map(|(new, issued, entry)| new.columns(issued, entry, now));
    tx.execute(&sql, columns.collect()).await?;
    let entries: Vec<Entry> = rows.iter().map(|(_, _, entry)| entry.clone()).collect();
    append(tx, &entries).await?;
    let events: Vec<_> = rows
        .iter()
        .filter_map(|(new, issued, entry)| new.announcement(issued, entry, now))
        .map(|event| outgoing(&event))
        .collect::<Result<_, _>>()?;
    tx.publish(&events, now).await
}

/// Which of these were issued before. The caller holds the referrals' rows, so no other
/// transaction issues for them meanwhile.
async fn existing(tx: &Tx, new: &[NewVoucher]) -> Result<HashMap<Slot, Issued>, StoreError> {
    let referrals: Vec<&str> = new
        .iter()
        .filter_map(|n| Some(n.referral.as_ref()?.as_str()))
        .collect();
    let visitors: Vec<(&str, &str)> = new
        .iter()
        .filter_map(|n| {
            n.arrival
                .as_ref()
                .map(|(link, visitor)| (link.as_str(), visitor.as_str()))
        })
        .collect();
    const COLUMNS: &str =
        "SELECT id, code, kind, status, referral_id, link_code, visitor FROM vouchers";
    let mut found: Vec<Existing> = Vec::new();
    if !referrals.is_empty() {
        let sql = format!(
            "{COLUMNS} WHERE referral_id IN {}",
            placeholders(1, referrals.len())
        );
        found.extend(
            tx.all(&sql, referrals.into_iter().map(Value::from).collect())
                .await?,
        );
    }
    for (link, visitor) in visitors {
        let sql = format!("{COLUMNS} WHERE link_code = ? AND visitor = ?");
        found.extend(tx.all(&sql, values![link, visitor]).await?);
    }
    let mut by_slot = HashMap::new();
    for row in found {
        let answer = Issued {
            id: VoucherId::parse(row.id)?,
            code: VoucherCode::parse(&row.code)?,
            status: Status::parse(&row.status)?,
            is_new: false,
        };
        if let Some(referral) = row.referral_id {
            let slot = Slot::Referral(referral, Kind::parse(&row.kind)?.as_str());
            by_slot.insert(slot, answer.clone());
        }
        if let (Some(link), Some(visitor)) = (row.link_code, row.visitor) {
            by_slot.insert(Slot::Visitor(link, visitor), answer);
        }
    }
    Ok(by_slot)
}

impl NewVoucher {
    fn slot(&self) -> Option<Slot> {
        match (&self.referral, &self.arrival) {
            (Some(id), _) => Some(Slot::Referral(id.as_str().to_owned(), self.kind.as_str())),
            (None, Some((link, visitor))) => {
                Some(Slot::Visitor(link.as_str().to_owned(), visitor.clone()))
            }
            (None, None) => None,
        }
    }

    fn first_entry(&self, id: &VoucherId, now: UtcMillis) -> Entry {
        let details = Details::new()
            .with("tipo", self.kind.as_str())
            .with("id_campanha", &self.campaign)
            .with_some("id_indicacao", self.referral.as_ref())
            .with_some("id_cliente", self.owner.as_ref())
            .with("valor_maximo", self.worth.maximum())
            .with("valido_ate", self.expires);
        let event = Event::VoucherIssued;
        let change = Change {
            entity: Entity::Voucher,
            id: id.as_str(),
            changed: now,
            event,
            details,
        };
        audit::chain(&Head::none(), &change)
    }

    fn columns(&self, issued: &Issued, entry: &Entry, now: UtcMillis) -> Vec<Value> {
        let (amount, points, cap) = match self.worth {
            Discount::Amount(amount) => (Some(amount.get()), None, None),
            Discount::Percent { points, cap } => {
                (None, Some(i32::from(points.get())), Some(cap.get()))
            }
        };
        values![
            issued.id.as_str(),
            issued.code.as_str(),
            self.kind.as_str(),
            self.campaign.as_str(),
            self.referral.as_ref().map(ReferralId::as_str),
            self.arrival.as_ref().map(|(link, _)| link.as_str()),
            self.arrival.as_ref().map(|(_, visitor)| visitor.as_str()),
            self.owner.as_ref().map(CustomerId::as_str),
            Status::Issued.as_str(),
            amount,
            points,
            cap,
            i32::from(self.stackable),
            self.held.get(),
            now.get(),
            self.expires.get(),
            0_i32,
            entry.version,
            entry.hash.as_str(),
        ]
    }

    /// A coupon that nobody owns yet is announced to nobody.
    fn announcement(&self, issued: &Issued, entry: &Entry, now: UtcMillis) -> Option<MgmEvent> {
        Some(MgmEvent {
            id_evento: None,
            tipo: EventType::issued(self.kind),
            versao: entry.version,
            ocorrido_em: now.to_string(),
            id_campanha: self.campaign.as_str().to_owned(),
            id_indicacao: self.referral.as_ref().map(|id| id.as_str().to_owned()),
            id_voucher: Some(issued.id.as_str().to_owned()),
            id_cliente: self.owner.as_ref()?.as_str().to_owned(),
        })
    }
}
