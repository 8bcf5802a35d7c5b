//! Answers about sales: `[{"id_produto", "total_vendido", "receita", "pedidos"}]`, as JSON, CSV or a
//! JSON object a line.

use std::fmt;
use std::io::{self, Write};

use domain::sales::{Group, Grouping, Sums};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A JSON list.
    Json,
    /// Comma-separated values with a header, quoted where needed (RFC 4180).
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl Format {
    /// From `formato`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// As `formato` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// `agrupar_por` and the groupings, and the field that a group's key is in.
const GROUPINGS: [(&str, Grouping, &str); 5] = [
    ("produto", Grouping::Product, "id_produto"),
    ("regiao", Grouping::Region, "regiao"),
    ("categoria", Grouping::Category, "categoria"),
    ("dia", Grouping::Day, "dia"),
    ("mes", Grouping::Month, "mes"),
];

/// From `agrupar_por`.
#[must_use]
pub fn parse_grouping(text: &str) -> Option<Grouping> {
    let found = GROUPINGS.iter().find(|(name, _, _)| *name == text);
    found.map(|(_, grouping, _)| *grouping)
}

/// As `agrupar_por` has it.
#[must_use]
pub fn grouping_text(grouping: Grouping) -> &'static str {
    let found = GROUPINGS.iter().find(|(_, known, _)| *known == grouping);
    found.map_or("produto", |(name, _, _)| name)
}

/// The field that the key of a group is in.
#[must_use]
pub fn key_field(grouping: Grouping) -> &'static str {
    let found = GROUPINGS.iter().find(|(_, known, _)| *known == grouping);
    found.map_or("id_produto", |(_, _, field)| field)
}

/// Writes the groups as a body, one after the other.
///
/// # Errors
/// Where `to` takes no more.
pub fn write_body(
    to: &mut impl Write,
    format: Format,
    grouping: Grouping,
    groups: &[Group],
) -> io::Result<()> {
    let field = key_field(grouping);
    match format {
        Format::Json => {
            to.write_all(b"[")?;
            for (place, group) in groups.iter().enumerate() {
                if place > 0 {
                    to.write_all(b",")?;
                }
                write_object(to, field, group)?;
            }
            to.write_all(b"]")
        }
        Format::Ndjson => {
            for group in groups {
                write_object(to, field, group)?;
                to.write_all(b"\n")?;
            }
            Ok(())
        }
        Format::Csv => {
            writeln!(to, "{field},total_vendido,receita,pedidos")?;
            for group in groups {
                write_quoted(to, group.key.as_deref().unwrap_or_default())?;
                let sums = &group.sums;
                let receita = Amount(sums.revenue_centavos);
                writeln!(to, ",{},{receita},{}", sums.quantity, sums.orders)?;
            }
            Ok(())
        }
    }
}

fn write_object(to: &mut impl Write, field: &str, group: &Group) -> io::Result<()> {
    write!(to, "{{\"{field}\":")?;
    serde_json::to_writer(&mut *to, &group.key)?;
    let Sums {
        quantity,
        revenue_centavos,
        orders,
    } = group.sums;
    let receita = Amount(revenue_centavos);
    write!(
        to,
        ",\"total_vendido\":{quantity},\"receita\":\"{receita}\",\"pedidos\":{orders}}}"
    )
}

/// An amount of centavos with two places, negative where more was returned than sold.
struct Amount(i64);

impl fmt::Display for Amount {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        write!(to, "{sign}{}.{:02}", amount / 100, amount % 100)
    }
}

fn write_quoted(to: &mut impl Write, value: &str) -> io::Result<()> {
    if value.contains([',', '"', '\n', '\r']) {
        write!(to, "\"{}\"", value.replace('"', "\"\""))
    } else {
        to.write_all(value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(format: Format, grouping: Grouping, groups: &[Group]) -> String {
        let mut written = Vec::new();
        write_body(&mut written, format, grouping, groups).unwrap();
        String::from_utf8(written).unwrap()
    }

    fn groups() -> Vec<Group> {
        let group = |key: Option<&str>, quantity, revenue_centavos| Group {
            key: key.map(str::to_owned),
            sums: Sums {
                quantity,
                revenue_centavos,
                orders: 2,
            },
        };
        vec![group(Some("a\"b,c"), 3, 123_450), group(None, -1, -5)]
    }

    #[test]
    fn groups_are_written_in_each_format() {
        let json = body(Format::Json, Grouping::Region, &groups());
        assert_eq!(
            json,
            r#"[{"regiao":"a\"b,c","total_vendido":3,"receita":"1234.50","pedidos":2},{"regiao":null,"total_vendido":-1,"receita":"-0.05","pedidos":2}]"#
        );
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        let lines = body(Format::Ndjson, Grouping::Region, &groups());
        let lines: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(parsed, serde_json::Value::from(lines));
        assert_eq!(
            body(Format::Csv, Grouping::Product, &groups()),
            "id_produto,total_vendido,receita,pedidos\n\"a\"\"b,c\",3,1234.50,2\n,-1,-0.05,2\n"
        );
        assert_eq!(body(Format::Json, Grouping::Day, &[]), "[]");
    }

    #[test]
    fn names_come_back() {
        for (text, grouping, _) in GROUPINGS {
            assert_eq!(parse_grouping(text), Some(grouping));
            assert_eq!(grouping_text(grouping), text);
        }
        for format in [Format::Json, Format::Csv, Format::Ndjson] {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(parse_grouping("ano"), None);
    }
}
