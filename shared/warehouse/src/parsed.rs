//! Every statement that Redshift is told, through sqlglot's Redshift dialect. It is a parser and no
//! Redshift: it finds what no dialect knows, and not what a version of Redshift refuses.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use domain::{
    lake::Table,
    sales::{Grouping, Question},
    time::Day,
};

use crate::{redshift, sales, schema, sync};

/// Answers the statements that can't be read, or that are read as an unknown command.
const PARSE: &str = "
import json, logging, sys
import sqlglot
from sqlglot import exp
logging.disable(logging.CRITICAL)
bad = []
for text in json.load(sys.stdin):
    try:
        read = sqlglot.parse_one(text, read='redshift')
        if isinstance(read, exp.Command) and not text.startswith('LOCK TABLE'):
            bad.append('unknown: ' + text)
    except sqlglot.errors.SqlglotError as error:
        bad.append(str(error) + ': ' + text)
print(json.dumps(bad))
";

fn statements() -> Vec<String> {
    let mut all: Vec<String> = vec![schema::FILES.to_owned(), schema::VERSIONS.to_owned()];
    let copy =
        redshift::copy_statement("vendas_nova", "s3://feira/1.json", "arn:aws:iam::1:role/r");
    all.extend(copy);
    for table in Table::ALL {
        all.extend(schema::create_statement(table).map(str::to_owned));
        all.extend(sync::statements(table));
    }
    for grouping in [
        Grouping::Product,
        Grouping::Region,
        Grouping::Category,
        Grouping::Day,
        Grouping::Month,
    ] {
        let day = Day::parse("2026-11-20").ok();
        let question = Question {
            grouping,
            from: day,
            to: day,
            region: Some("SP".to_owned()),
            category: Some("livros".to_owned()),
            product: Some("p1".to_owned()),
        };
        all.push(sales::statement(&question).0);
    }
    all.push(sales::VERSION.to_owned());
    all
}

#[test]
fn sqlglot_reads_every_statement_as_redshifts() {
    let Some(python) = testkit::lake_engines() else {
        return;
    };
    let mut process = Command::new(python)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let all = statements();
    assert!(all.len() > 25);
    let input = serde_json::to_vec(&all).unwrap();
    process.stdin.take().unwrap().write_all(&input).unwrap();
    let output = process.wait_with_output().unwrap();
    let bad: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(bad, Vec::<String>::new());
}
