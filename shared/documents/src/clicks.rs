//! The log of clicks.

use std::collections::{BTreeMap, BTreeSet};

use domain::{profiles::BuyerProfile, time::UtcMillis};
use mongodb::bson::{DateTime, Document, doc};
use sql_store::{
    events::{Incoming, Sorted, views::clicks},
    housekeeping::CLICK_LOG_DAYS,
};

use crate::{CLICKS, DocumentsError, Mongo};

pub(crate) async fn log(
    mongo: &Mongo,
    incoming: &[Incoming],
    sorted: &Sorted,
    profiles: &BTreeMap<String, BuyerProfile>,
    now: UtcMillis,
) -> Result<(), DocumentsError> {
    let at = |places: &[usize]| -> Vec<&Incoming> {
        let found = places.iter().filter_map(|place| incoming.get(*place));
        found.collect()
    };
    let (fresh, conflicts) = (at(&sorted.fresh), at(&sorted.conflicts));
    let documents: Vec<Document> = clicks(&fresh)
        .map(|(one, product)| {
            let profile = profiles.get(one.event.user.as_str());
            doc! {
                "_id": id(one),
                "id_usuario": one.event.user.as_str(),
                "id_produto": product.as_str(),
                "id_sessao": one.event.session.clone(),
                "ocorrido_em": DateTime::from_millis(one.event.occurred.get()),
                "regiao": profile.and_then(|profile| profile.region.clone()),
                "segmento": profile.map(|profile| profile.segment.as_str()),
                "categoria_favorita": profile.and_then(|profile| profile.favourite_category.clone()),
                "registrado_em": DateTime::from_millis(now.get()),
            }
        })
        .collect();
    mongo.insert_new(CLICKS, &documents).await?;
    // Each may have been noted by a run that did not know yet that another one would be first.
    let lost: Vec<String> = clicks(&conflicts).map(|(one, _)| id(one)).collect();
    mongo.delete(CLICKS, "_id", &lost).await?;
    let users: BTreeSet<&str> = clicks(&fresh)
        .map(|(one, _)| one.event.user.as_str())
        .collect();
    let users: Vec<&str> = users.into_iter().collect();
    // Erased before: these clicks go. Erased from now on: the erasure finds them here.
    let erased: Vec<String> = mongo.erased(&users).await?.into_iter().collect();
    mongo.delete(CLICKS, "id_usuario", &erased).await
}

pub(crate) async fn purge(
    mongo: &Mongo,
    now: UtcMillis,
    limit: u32,
) -> Result<u64, DocumentsError> {
    let before = now.minus_days(CLICK_LOG_DAYS);
    mongo.purge(CLICKS, "registrado_em", before, limit).await
}

/// Of identity and content: whoever loses against another content finds exactly its own again.
fn id(one: &Incoming) -> String {
    format!("{}-{:016x}", one.key.as_str(), one.content_hash())
}
