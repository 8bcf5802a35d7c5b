//! Receipts of erasures: a pseudonym, when and what, each chained to the one before by hash.

use domain::time::UtcMillis;
use sea_orm::FromQueryResult;
use sha2::{Digest, Sha256};

use crate::{Store, StoreError, Tx, placeholders, values};

const ROWS_PER_STATEMENT: usize = 500;
const CHAIN_START: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Receipts that one statement of the check reads.
const CHECKED_AT_ONCE: i64 = 5_000;

/// Why something was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The source deleted it, or consent was withdrawn.
    Source,
    /// Its time was over.
    Retention,
    /// The source does not have it.
    Reconciliation,
}

impl Reason {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "origem",
            Self::Retention => "prazo",
            Self::Reconciliation => "reconciliacao",
        }
    }
}

/// What was erased of whom.
#[derive(Debug, Clone, Copy)]
pub struct Erased<'a> {
    /// The pseudonym.
    pub subject: &'a str,
    /// The columns that were emptied.
    pub columns: &'static [&'static str],
    /// Why.
    pub reason: Reason,
}

#[derive(FromQueryResult)]
struct Receipt {
    place: i64,
    consumer: String,
    subject: String,
    erased_ms: i64,
    erased: String,
    reason: String,
    previous_hash: String,
    hash: String,
}

/// Writes receipts in the transaction of the erasures. The chain's first receipt is locked, so that
/// the chain has one order: who waited for its last one would be answered that one although another
/// had come behind it.
///
/// # Errors
/// When the database fails. Where another transaction began the chain, this one is redone.
pub async fn write(
    tx: &Tx,
    consumer: &str,
    erased: &[Erased<'_>],
    now: UtcMillis,
) -> Result<(), StoreError> {
    if erased.is_empty() {
        return Ok(());
    }
    let first = format!(
        "SELECT 1 FROM erasure_receipts WHERE place = 1{}",
        tx.for_update()
    );
    tx.exists(&first, values![]).await?;
    let sql = format!(
        "SELECT place, consumer, subject, erased_ms, erased, reason, previous_hash, hash \
         FROM erasure_receipts ORDER BY place DESC LIMIT 1{}",
        tx.for_update()
    );
    let last: Option<Receipt> = tx.one(&sql, values![]).await?;
    let (mut place, mut previous_hash) =
        last.map_or((0, CHAIN_START.to_owned()), |last| (last.place, last.hash));
    for chunk in erased.chunks(ROWS_PER_STATEMENT) {
        let mut all = Vec::with_capacity(chunk.len() * 8);
        for one in chunk {
            place += 1;
            let mut receipt = Receipt {
                place,
                consumer: consumer.to_owned(),
                subject: one.subject.to_owned(),
                erased_ms: now.get(),
                erased: one.columns.join(","),
                reason: one.reason.as_str().to_owned(),
                previous_hash: std::mem::take(&mut previous_hash),
                hash: String::new(),
            };
            receipt.hash = receipt.computed_hash();
            previous_hash.clone_from(&receipt.hash);
            all.extend(values![
                receipt.place,
                receipt.consumer,
                receipt.subject,
                receipt.erased_ms,
                receipt.erased,
                receipt.reason,
                receipt.previous_hash,
                receipt.hash,
            ]);
        }
        let sql = format!(
            "INSERT INTO erasure_receipts (place, consumer, subject, erased_ms, erased, reason, \
             previous_hash, hash) VALUES {}",
            placeholders(chunk.len(), 8)
        );
        if !tx.insert_new(&sql, all).await? {
            return Err(tx.redo());
        }
    }
    Ok(())
}

/// Checks the whole chain: how many receipts it has, or the place of the first that does not fit.
///
/// # Errors
/// When the database fails.
pub async fn verify(store: &Store) -> Result<Result<i64, i64>, StoreError> {
    let sql = "SELECT place, consumer, subject, erased_ms, erased, reason, previous_hash, hash \
               FROM erasure_receipts WHERE place > ? ORDER BY place LIMIT ?";
    let (mut place, mut hash) = (0, CHAIN_START.to_owned());
    loop {
        let receipts: Vec<Receipt> = store
            .transact(async |tx: &Tx| tx.all(sql, values![place, CHECKED_AT_ONCE]).await)
            .await?;
        if receipts.is_empty() {
            return Ok(Ok(place));
        }
        for receipt in receipts {
            let fits = receipt.place == place + 1
                && receipt.previous_hash == hash
                && receipt.hash == receipt.computed_hash();
            if !fits {
                return Ok(Err(receipt.place));
            }
            (place, hash) = (receipt.place, receipt.hash);
        }
    }
}

impl Receipt {
    fn computed_hash(&self) -> String {
        let text = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}",
            self.previous_hash,
            self.place,
            self.consumer,
            self.subject,
            self.erased_ms,
            self.erased,
            self.reason
        );
        let digest = Sha256::digest(text.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
