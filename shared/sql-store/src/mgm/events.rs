//! Events of referrals and vouchers on their way to the outbox.

use contracts::mgm::events::MgmEvent;

use crate::outbox::NewEvent;

/// The outbox row of an event.
#[must_use]
pub fn outgoing(event: &MgmEvent) -> NewEvent {
    NewEvent {
        event_type: event.tipo.as_str(),
        aggregate_key: event.aggregate_key(),
        version: event.versao,
        // Texts and numbers only: serialising them can't fail.
        payload: serde_json::to_string(event).unwrap_or_default(),
    }
}
