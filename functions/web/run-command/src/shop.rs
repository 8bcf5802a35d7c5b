//! Commands about customers, where Feira is their master, and about events that were kept aside.

use contracts::events::of_content;
use documents::Documents;
use domain::{identity::CustomerId, time::UtcMillis};
use lambda_kit::InvocationFailed;
use queues::{OutgoingMessage, Queues};
use serde_json::{Value, json};
use sql_store::{
    Store,
    customers::{announce, change},
    events::{ConflictId, ConflictRow, conflict, conflicts, forget_conflict},
};

use crate::{documents_failed, store_failed};

/// Customers of one transaction.
const PAGE: u32 = 500;

/// What these commands have to know of the template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShopSettings {
    /// Whether Feira is the customers' master (`CUSTOMERS_MASTER` = `feira`).
    pub owns_customers: bool,
    /// Where events are ingested from.
    pub events_queue_url: String,
}

/// Database 1 and its settings, for one command.
pub(crate) struct Shop<'a> {
    pub(crate) store: &'a Store,
    pub(crate) documents: &'a Documents,
    pub(crate) queues: &'a Queues,
    pub(crate) settings: &'a ShopSettings,
}

impl Shop<'_> {
    /// `clock` says when to stop.
    pub(crate) async fn announce(
        &self,
        after: Option<&CustomerId>,
        most: u32,
        clock: impl Fn() -> Option<UtcMillis>,
    ) -> Result<Value, InvocationFailed> {
        self.refuse_of_other_master()?;
        let mut last = after.map(ToString::to_string);
        let mut announced = 0;
        while announced < most
            && let Some(now) = clock()
        {
            let limit = PAGE.min(most - announced);
            let page = announce(self.store, last.as_deref(), limit, now).await;
            let (count, newest) = page.map_err(store_failed)?;
            announced += u32::try_from(count).unwrap_or(u32::MAX);
            if newest.is_none() {
                return Ok(json!({"publicados": announced, "ha_mais": false}));
            }
            last = newest;
        }
        Ok(json!({"publicados": announced, "ha_mais": true, "depois_de": last}))
    }

    pub(crate) async fn delete(
        &self,
        customer: &CustomerId,
        now: UtcMillis,
    ) -> Result<Value, InvocationFailed> {
        self.refuse_of_other_master()?;
        let version = change(self.store, customer, None, now).await;
        let version = version.map_err(store_failed)?;
        // Also of who was deleted before: the documents of the first time may be there still.
        let erased = self.documents.erase(&[customer.as_str()].into()).await;
        erased.map_err(documents_failed)?;
        Ok(
            json!({"id_cliente": customer.as_str(), "apagado": version.is_some(),
            "versao": version}),
        )
    }

    fn refuse_of_other_master(&self) -> Result<(), InvocationFailed> {
        if self.settings.owns_customers {
            Ok(())
        } else {
            Err(InvocationFailed::new(
                "outro_mestre: the company's system is the customers' master here",
            ))
        }
    }

    pub(crate) async fn conflicts(
        &self,
        after: Option<&ConflictId>,
        most: u32,
    ) -> Result<Value, InvocationFailed> {
        let page = conflicts(self.store, after, most).await;
        let page = page.map_err(store_failed)?;
        let rows: Vec<Value> = page.rows.iter().map(conflict_body).collect();
        Ok(json!({"conflitos": rows, "ha_mais": page.has_more}))
    }

    /// What is taken is ingested under an id of its own, so that taking it twice counts it once.
    pub(crate) async fn settle(
        &self,
        id: &ConflictId,
        takes: bool,
        now: UtcMillis,
    ) -> Result<Value, InvocationFailed> {
        let row = conflict(self.store, id).await.map_err(store_failed)?;
        let Some(row) = row else {
            return Err(InvocationFailed::new(
                "campo_invalido: id_conflito must be one that is still kept",
            ));
        };
        if takes {
            let event = of_content(&row.content, &own_id(id));
            let event = event.ok_or(InvocationFailed::new("conflito_ilegivel"))?;
            let message = OutgoingMessage::new(event.to_string());
            let url = &self.settings.events_queue_url;
            let sent = self.queues.send(url, &[message], now.get()).await;
            if !matches!(sent.as_slice(), [Ok(_)]) {
                return Err(InvocationFailed::new("fila_falhou"));
            }
        }
        forget_conflict(self.store, id)
            .await
            .map_err(store_failed)?;
        Ok(json!({"id_conflito": id.to_string(), "aceito": takes}))
    }
}

fn own_id(id: &ConflictId) -> String {
    format!("conflito-{id}")
}

fn conflict_body(row: &ConflictRow) -> Value {
    let id = row.id();
    let received = UtcMillis::new(row.received_ms).map(|time| time.to_string());
    json!({
        "id_conflito": id.to_string(),
        "recebido_em": received.ok(),
        "evento": of_content(&row.content, &own_id(&id)),
    })
}
