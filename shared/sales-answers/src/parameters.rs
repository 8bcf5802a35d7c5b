//! What a request asks for.

use contracts::sales_summary::{Format, grouping_text, parse_grouping};
use domain::sales::text::{LONGEST_ID, LONGEST_NAME};
use domain::sales::{Grouping, Question};
use domain::time::Day;
use lambda_kit::http::Request;
use lambda_kit::{FieldError, Problem};

/// The most groups of a page of JSON.
const MOST_JSON_GROUPS: u32 = 1_000;
/// The most groups of a page of CSV or of JSON lines.
const MOST_LINES: u32 = 20_000;

/// By what groups are ranked, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ranking {
    /// `total_vendido`.
    Quantity,
    /// `receita`.
    Revenue,
}

impl Ranking {
    /// From `por`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "quantidade" => Some(Self::Quantity),
            "receita" => Some(Self::Revenue),
            _ => None,
        }
    }

    /// As `por` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quantity => "quantidade",
            Self::Revenue => "receita",
        }
    }
}

/// What is asked and how it is ranked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// The ranking.
    pub ranking: Ranking,
}

/// Which part of the answer goes back, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How it is written.
    pub format: Format,
    /// The most groups; `None` for all of them.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Asked {
    /// Reads `agrupar_por` (default produto), `de`, `ate`, `regiao`, `categoria` and `id_produto`.
    ///
    /// # Errors
    /// 400 with every parameter that is wrong.
    pub fn read(request: &Request, ranking: Ranking) -> Result<Self, Problem> {
        let mut wrong = Vec::new();
        let grouping = match request.query_parameter("agrupar_por") {
            None => Grouping::Product,
            Some(text) => parse_grouping(text).unwrap_or_else(|| {
                let rule = "must be produto, regiao, categoria, dia or mes";
                wrong.push(FieldError::new("agrupar_por", rule));
                Grouping::Product
            }),
        };
        let from = day(request, "de", &mut wrong);
        let to = day(request, "ate", &mut wrong);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            wrong.push(FieldError::new("ate", "must not be before de"));
        }
        let question = Question {
            grouping,
            from,
            to,
            region: text(request, "regiao", LONGEST_NAME, &mut wrong),
            category: text(request, "categoria", LONGEST_NAME, &mut wrong),
            product: text(request, "id_produto", LONGEST_ID, &mut wrong),
        };
        if question.product.as_deref() == Some("") {
            wrong.push(FieldError::new("id_produto", "must be the id of a product"));
        }
        if wrong.is_empty() {
            Ok(Self { question, ranking })
        } else {
            Err(Problem::invalid(wrong))
        }
    }

    /// The question as one text: two have the same only where they are the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        let question = &self.question;
        let day = |day: Option<Day>| day.map_or_else(String::new, |day| day.to_string());
        let text = |text: &Option<String>| match text {
            None => "-".to_owned(),
            Some(text) => format!("{}:{text}", text.len()),
        };
        let grouping = grouping_text(question.grouping);
        [
            grouping.to_owned(),
            day(question.from),
            day(question.to),
            text(&question.region),
            text(&question.category),
            text(&question.product),
            self.ranking.as_str().to_owned(),
        ]
        .join("|")
    }
}

impl Page {
    /// Reads `formato`, `limite` and `cursor`. Without `limite`, a list of JSON has `usual` groups,
    /// the other formats all of them.
    ///
    /// # Errors
    /// 400 with the parameter that is wrong.
    pub fn read(request: &Request, usual: u32) -> Result<Self, Problem> {
        let format = match request.query_parameter("formato") {
            None => Format::Json,
            Some(text) => Format::parse(text)
                .ok_or_else(|| Problem::field("formato", "must be json, csv or ndjson"))?,
        };
        let most = match format {
            Format::Json => MOST_JSON_GROUPS,
            Format::Csv | Format::Ndjson => MOST_LINES,
        };
        let limit = match (request.query_parameter("limite"), format) {
            (None, Format::Json) => Some(usual),
            (None, Format::Csv | Format::Ndjson) => None,
            (Some(_), _) => Some(request.page_size(most)?),
        };
        Ok(Self {
            format,
            limit,
            cursor: request.query_parameter("cursor").map(str::to_owned),
        })
    }
}

fn day(request: &Request, name: &str, wrong: &mut Vec<FieldError>) -> Option<Day> {
    let parsed = Day::parse(request.query_parameter(name)?);
    parsed
        .map_err(|invalid| wrong.push(FieldError::new(name, invalid.rule)))
        .ok()
}

/// A text as the lake has it; empty for what nobody knows.
fn text(
    request: &Request,
    name: &str,
    longest: usize,
    wrong: &mut Vec<FieldError>,
) -> Option<String> {
    let value = request.query_parameter(name)?;
    match domain::sales::text::optional(value.as_bytes(), longest) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => {
            let rule = format!("must be a text of at most {longest} characters");
            wrong.push(FieldError::new(name, rule));
            None
        }
    }
}
