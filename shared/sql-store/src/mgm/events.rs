//! Events of referrals and vouchers on their way to the outbox.

use contracts::mgm::events::MgmEvent;

use crate::{StoreError, outbox::NewEvent};

/// The outbox row of an event.
///
/// # Errors
/// [`StoreError::NotJson`] when it can't be written so.
pub fn outgoing(event: &MgmEvent) -> Result<NewEvent, StoreError> {
    Ok(NewEvent {
        event_type: event.tipo.as_str(),
        aggregate_key: event.aggregate_key(),
        version: event.versao,
        payload: serde_json::to_string(event).map_err(|_| StoreError::NotJson)?,
    })
}
