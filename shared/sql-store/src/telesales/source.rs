//! The company's customers as a source tells them: by a view of its database, or by lines of JSON.

use contracts::{
    changes::{self, Field, Projection, Shape, Taken},
    fields::BadMessage,
    telesales::Telesales,
};
use domain::{identity::CustomerId, time::UtcMillis};
use sea_orm::{DbErr, FromQueryResult, QueryResult};
use serde_json::{Map, Value, json};

use super::reconciliation::{AsOf, Source, SourceRow};
use crate::{Store, StoreError, Tx, values};

/// Columns of a view, by their names in the topic.
const COLUMNS: [&str; 5] = ["id_cliente", "versao", "nome", "telefone", "regiao"];
/// Whether the customer agreed; without the column the view holds only those who did.
const CONSENT: &str = "consentimento";

/// A row that is none: nothing may be concluded from the source.
const UNREADABLE: &str = "origem_ilegivel";
/// A row without `versao` or `atualizado_em` compares with nothing.
const WITHOUT_VERSION: &str = "origem_sem_versao";
const UNREACHABLE: &str = "origem_inacessivel";
const REFUSED: &str = "origem_recusou";
/// Fields whose content telesales may find wrong.
const OF_THE_CONTACT: [&str; 3] = ["nome", "telefone", "regiao"];

/// A view may be of a replica that is behind: what came in the minutes before it is asked may be
/// missing in it.
const REPLICA_LAG_MS: i64 = 5 * 60_000;

/// Whose row it is, and nothing else of it.
struct Whose;

impl Projection for Whose {
    const NAME: &'static str = Telesales::NAME;
    const FIELDS: &'static [Field] = &[];
    type Row = ();

    fn row(_: &Taken<'_>) -> Result<Option<()>, BadMessage> {
        Ok(None)
    }
}

/// Reads rows in the form of `clientes`.
#[derive(Default)]
pub struct RowReader(Option<(Shape, Shape)>);

impl RowReader {
    /// A line of JSON. Whoever did not agree, or whose name, phone or region nobody could call by,
    /// has a row without a contact: the same who would not be kept if the topic told of them.
    ///
    /// # Errors
    /// A stable code, when the line is none: then the whole source is in doubt.
    pub fn read(&mut self, line: &[u8], now: UtcMillis) -> Result<SourceRow, &'static str> {
        if self.0.is_none() {
            let contact = Shape::parse::<Telesales>("").map_err(|_| UNREADABLE)?;
            let whose = Shape::parse::<Whose>("").map_err(|_| UNREADABLE)?;
            self.0 = Some((contact, whose));
        }
        let (contact, whose) = self.0.as_ref().ok_or(UNREADABLE)?;
        let record = changes::Record {
            key: None,
            value: Some(line),
            partition: -1,
            offset: 0,
            timestamp_ms: now.get(),
        };
        let (customer, stamp, contact) = match changes::read::<Telesales>(contact, &record, now) {
            Ok(change) => (change.customer, change.stamp, change.row),
            Err(bad) if bad.field.is_some_and(|name| OF_THE_CONTACT.contains(&name)) => {
                // A field that is not there at all is another source than the one that was meant.
                if bad.code == BadMessage::missing("nome").code {
                    return Err(UNREADABLE);
                }
                let change = changes::read::<Whose>(whose, &record, now);
                let change = change.map_err(|_| UNREADABLE)?;
                (change.customer, change.stamp, None)
            }
            Err(_) => return Err(UNREADABLE),
        };
        Ok(SourceRow {
            customer,
            version: stamp.version.ok_or(WITHOUT_VERSION)?,
            contact,
        })
    }
}

/// A view of the company's database, read by a query with two `?`: the id after which a page begins
/// and its size. It gives `id_cliente`, `versao`, `nome`, `telefone` and `regiao`, in the order of
/// the ids as texts, byte by byte; with a column `consentimento` (0 or 1), who did not agree.
pub struct SqlView {
    store: Store,
    query: String,
    clock: fn() -> UtcMillis,
}

impl SqlView {
    /// A view in `store`; `clock` tells which rows lie in the future.
    ///
    /// # Errors
    /// When the query is no such query.
    pub fn new(store: Store, query: &str, clock: fn() -> UtcMillis) -> Result<Self, &'static str> {
        let query = query.trim();
        let begins = |word: &str| {
            let head = query.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let reads = begins("select ") || begins("with ");
        if !reads || query.contains(';') || query.matches('?').count() != 2 {
            return Err(
                "RECONCILE_QUERY must be one SELECT with two ?: the id after which a page \
                        begins, and its size",
            );
        }
        Ok(Self {
            store,
            query: query.to_owned(),
            clock,
        })
    }

    /// See [`Source::page`].
    ///
    /// # Errors
    /// A stable code, when the view can't be read.
    pub async fn page(
        &self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        let after = after.map_or("", CustomerId::as_str);
        let work = async |tx: &Tx| {
            let rows = tx
                .all::<ViewRow>(&self.query, values![after, limit])
                .await?;
            Ok::<_, StoreError>(rows)
        };
        let rows = self.store.transact(work).await.map_err(|error| {
            tracing::error!(%error, "the view of the company's customers cannot be read");
            if error.is_transient() {
                UNREACHABLE
            } else {
                REFUSED
            }
        })?;
        let mut reader = RowReader::default();
        let now = (self.clock)();
        let read = |row: ViewRow| {
            let line = row.in_the_topics_form()?.to_string();
            reader.read(line.as_bytes(), now)
        };
        rows.into_iter().map(read).collect()
    }
}

impl Source for &SqlView {
    async fn as_of(&mut self, began: UtcMillis) -> Result<AsOf, &'static str> {
        Ok(AsOf {
            complete: began.plus_millis(-REPLICA_LAG_MS),
            latest: began,
        })
    }

    async fn page(
        &mut self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<SourceRow>, &'static str> {
        SqlView::page(self, after, limit).await
    }
}

/// A row of a view. What is neither text nor a whole number is left out, and then missed.
struct ViewRow {
    fields: Map<String, Value>,
    agreed: Option<Value>,
}

impl FromQueryResult for ViewRow {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let value = |name: &str| -> Option<Value> {
            let text = row
                .try_get::<Option<String>>(prefix, name)
                .map(|text| json!(text));
            let signed = || {
                row.try_get::<Option<i64>>(prefix, name)
                    .map(|number| json!(number))
            };
            let unsigned = || {
                row.try_get::<Option<u64>>(prefix, name)
                    .map(|number| json!(number))
            };
            text.or_else(|_| signed()).or_else(|_| unsigned()).ok()
        };
        let read = |name: &&str| Some(((*name).to_owned(), value(name)?));
        let has_consent = row.column_names().iter().any(|name| name == CONSENT);
        Ok(Self {
            fields: COLUMNS.iter().filter_map(read).collect(),
            agreed: has_consent.then(|| value(CONSENT).unwrap_or(Value::Bool(true))),
        })
    }
}

impl ViewRow {
    fn in_the_topics_form(mut self) -> Result<Value, &'static str> {
        let agreed = match self.agreed {
            None => true,
            Some(Value::Null) => false,
            Some(Value::Number(number)) if number.as_i64() == Some(1) => true,
            Some(Value::Number(number)) if number.as_i64() == Some(0) => false,
            Some(_) => return Err(UNREADABLE),
        };
        let agreed = json!({"televendas": agreed});
        self.fields.insert("consentimentos".to_owned(), agreed);
        Ok(Value::Object(self.fields))
    }
}
