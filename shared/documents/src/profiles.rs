//! Profiles of customers as buyers, as documents: made as those in SQL are, and kept as long.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    profiles::{BuyerProfile, Segment},
    time::UtcMillis,
};
use mongodb::bson::{DateTime, Document, doc};
use sql_store::{
    StoreError, Tx,
    events::profiles::{FRESH_MS, make},
    housekeeping::PROFILE_DAYS,
};

use crate::{AT_ONCE, DocumentsError, Mongo, PROFILES};

pub(crate) async fn of_users(
    mongo: &Mongo,
    users: &BTreeSet<&str>,
    now: UtcMillis,
) -> Result<BTreeMap<String, BuyerProfile>, DocumentsError> {
    let users: Vec<&str> = users.iter().copied().collect();
    let mut profiles = BTreeMap::new();
    for users in users.chunks(AT_ONCE) {
        let (fresh, old) = known(mongo, users, now).await?;
        let missing: Vec<&str> = users
            .iter()
            .copied()
            .filter(|user| !fresh.contains_key(*user))
            .collect();
        profiles.extend(fresh);
        if missing.is_empty() {
            continue;
        }
        let work = async |tx: &Tx| make(tx, &missing, now).await;
        let made = mongo.store.transact::<_, StoreError, _>(work).await?;
        mongo.delete(PROFILES, "_id", &old).await?;
        let documents: Vec<Document> = made
            .iter()
            .map(|(user, profile)| document(user, profile, now))
            .collect();
        mongo.insert_new(PROFILES, &documents).await?;
        profiles.extend(made);
    }
    // Asked last and of all: an instance may have died between writing one and asking.
    let found: Vec<&str> = profiles.keys().map(String::as_str).collect();
    let erased: Vec<String> = mongo.erased(&found).await?.into_iter().collect();
    mongo.delete(PROFILES, "_id", &erased).await?;
    for user in &erased {
        profiles.remove(user);
    }
    Ok(profiles)
}

pub(crate) async fn purge(
    mongo: &Mongo,
    now: UtcMillis,
    limit: u32,
) -> Result<u64, DocumentsError> {
    let before = now.minus_days(PROFILE_DAYS);
    mongo.purge(PROFILES, "atualizado_em", before, limit).await
}

/// Fresh profiles, and the users whose profiles are old or can't be read.
async fn known(
    mongo: &Mongo,
    users: &[&str],
    now: UtcMillis,
) -> Result<(BTreeMap<String, BuyerProfile>, Vec<String>), DocumentsError> {
    let collection = mongo.collection(PROFILES);
    let find = async {
        let filter = doc! {"_id": {"$in": users.to_vec()}};
        let size = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        let mut cursor = collection.find(filter).batch_size(size).await?;
        let mut found = Vec::with_capacity(users.len());
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?);
        }
        Ok(found)
    };
    let (mut fresh, mut old) = (BTreeMap::new(), Vec::new());
    for document in mongo.call("find", find).await? {
        let Ok(user) = document.get_str("_id").map(str::to_owned) else {
            continue;
        };
        let oldest = now.get() - FRESH_MS;
        let refreshed = document.get_datetime("atualizado_em");
        let is_fresh = refreshed.is_ok_and(|time| time.timestamp_millis() >= oldest);
        match profile(&document).filter(|_| is_fresh) {
            Some(profile) => {
                fresh.insert(user, profile);
            }
            None => old.push(user),
        }
    }
    Ok((fresh, old))
}

fn document(user: &str, profile: &BuyerProfile, now: UtcMillis) -> Document {
    let last = profile.last_purchase.map(UtcMillis::get);
    doc! {
        "_id": user,
        "regiao": profile.region.clone(),
        "segmento": profile.segment.as_str(),
        "pedidos": i64::try_from(profile.orders).unwrap_or(i64::MAX),
        "ultima_compra": last.map(DateTime::from_millis),
        "categoria_favorita": profile.favourite_category.clone(),
        "atualizado_em": DateTime::from_millis(now.get()),
    }
}

fn profile(document: &Document) -> Option<BuyerProfile> {
    let text = |name| document.get_str(name).ok().map(str::to_owned);
    let last = document.get_datetime("ultima_compra").ok();
    Some(BuyerProfile {
        region: text("regiao"),
        segment: Segment::parse(document.get_str("segmento").ok()?).ok()?,
        orders: document.get_i64("pedidos").ok()?.unsigned_abs(),
        last_purchase: last.and_then(|time| UtcMillis::new(time.timestamp_millis()).ok()),
        favourite_category: text("categoria_favorita"),
    })
}
