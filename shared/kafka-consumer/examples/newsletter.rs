//! A second consumer, whole: the newsletter's list, an e-mail address of everybody who agreed.

use std::{env, error::Error};

use contracts::changes::{Field, Projection, Taken};
use contracts::fields::BadMessage;
use domain::{personal::Email, pseudonym::PseudonymKey};
use kafka_consumer::{Keys, Settings};
use lambda_kit::clock;
use sql_store::migrate::{Migration, RECEIPTS, migrate_by};
use sql_store::{Store, Value, projection::Columns, projection_table, values};

/// What it reads: these fields, and everything else is skipped.
pub struct Newsletter;
/// What it keeps.
#[derive(Clone)]
pub struct Subscriber(Email);

impl Projection for Newsletter {
    const NAME: &'static str = "newsletter";
    const FIELDS: &'static [Field] = &[
        Field::text("email", "to send the newsletter"),
        Field::consent("consentimentos", "newsletter", "to know who agreed"),
    ];
    type Row = Subscriber;

    fn row(taken: &Taken<'_>) -> Result<Option<Subscriber>, BadMessage> {
        if !taken.agrees("consentimentos")? {
            return Ok(None); // whatever the address is
        }
        // Absent, it is an unknown shape, for which nobody is deleted.
        let email = taken.parse_present("email", Email::parse)?;
        Ok(email.map(Subscriber))
    }
}

impl Columns for Subscriber {
    const TABLE: &'static str = "subscribers";
    const COLUMNS: &'static [&'static str] = &["email"];

    fn values(&self, _: &PseudonymKey) -> Vec<Value> {
        values![self.0.expose()]
    }
}

const TABLE: &str = projection_table!("subscribers", "email VARCHAR(254)");
/// Its table, beside the receipts that every consumer has.
pub const MIGRATIONS: [Migration; 2] = [(1, "subscribers", TABLE), (2, "receipts", RECEIPTS)];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read(Newsletter::NAME, |name| env::var(name).ok())?;
    let store = Store::open(&env::var("DATABASE_URL")?).await?;
    migrate_by(&store, &MIGRATIONS, clock::now()).await?;
    let (pseudonyms, letters) = (env::var("PSEUDONYM_KEY")?, env::var("DEAD_LETTER_KEY")?);
    let keys = Keys::new(pseudonyms.as_bytes(), letters.as_bytes())?;
    Ok(kafka_consumer::start::<Newsletter>(settings, "", store, keys).await?)
}
