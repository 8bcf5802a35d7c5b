//! The record of handled messages: the mark stands in the transaction of the effect.

use domain::time::UtcMillis;

use crate::{StoreError, Tx, placeholders, values};

/// Marks live this long; business keys guard for ever.
pub const MARK_DAYS: u32 = 35;

impl Tx {
    /// Marks a message as handled by `consumer`. False when it was before: its effect is there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_handled(
        &self,
        consumer: &str,
        message_id: &str,
        now: UtcMillis,
    ) -> Result<bool, StoreError> {
        self.insert_new(
            "INSERT INTO handled_messages (consumer, message_id, handled_ms) VALUES (?, ?, ?)",
            values![consumer, message_id, now.get()],
        )
        .await
    }

    /// Marks many messages in one statement; all of them must be new.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when one was handled before: then handle them one by one.
    pub async fn mark_all_handled(
        &self,
        consumer: &str,
        message_ids: &[&str],
        now: UtcMillis,
    ) -> Result<(), StoreError> {
        if message_ids.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO handled_messages (consumer, message_id, handled_ms) VALUES {}",
            placeholders(message_ids.len(), 3)
        );
        let values = message_ids
            .iter()
            .flat_map(|id| values![consumer, *id, now.get()])
            .collect();
        self.execute(&sql, values).await.map(|_| ())
    }
}
