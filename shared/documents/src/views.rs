//! A day's views by product, for whoever reads MongoDB; SQL counts them.

use std::collections::BTreeMap;

use domain::time::Day;
use mongodb::bson::{Bson, Document, doc};

use crate::{AT_ONCE, DocumentsError, MOST_VIEWED, Mongo};

pub(crate) async fn note(
    mongo: &Mongo,
    day: Day,
    views: &BTreeMap<String, i64>,
) -> Result<(), DocumentsError> {
    let day = day.to_string();
    let updates: Vec<Bson> = views
        .iter()
        .map(|(product, views)| {
            // A run that is overtaken by the next one doesn't bring its lower count back.
            Bson::Document(doc! {
                "q": {"_id": format!("{day}/{product}")},
                "u": {"$set": {"dia": &day, "id_produto": product}, "$max": {"count": *views}},
                "upsert": true,
            })
        })
        .collect();
    for updates in updates.chunks(AT_ONCE) {
        // The driver's own bulk writes want MongoDB 8.
        let command = doc! {
            "update": MOST_VIEWED,
            "updates": updates.to_vec(),
            "ordered": false,
            "writeConcern": {"w": "majority"},
        };
        let update = mongo.database.run_command(command);
        let answer = mongo.call("update", update).await?;
        if let Some(code) = refusal(&answer) {
            return Err(DocumentsError::Refused { code });
        }
    }
    Ok(())
}

/// The first code in the answer of a write command that is otherwise "ok".
fn refusal(answer: &Document) -> Option<i32> {
    let first = answer.get_array("writeErrors").ok();
    let first = first.and_then(|errors| errors.first()?.as_document());
    let error = first.or_else(|| answer.get_document("writeConcernError").ok())?;
    Some(error.get_i32("code").unwrap_or_default())
}
