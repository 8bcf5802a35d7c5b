//! Answers GET /produtos/mais_vendidos: the products that sold most, by units or by revenue.

use lambda_kit::Problem;
use lambda_kit::http::{Handler, Request, Response};
use sales_answers::{Answers, Asked, Page, Ranking, SalesSource};

/// Products of a page where the caller gives no `limite`.
const USUAL_PRODUCTS: u32 = 100;
const PARAMETERS: [&str; 8] = [
    "por",
    "de",
    "ate",
    "regiao",
    "categoria",
    "limite",
    "cursor",
    "formato",
];

/// The handler of /produtos/mais_vendidos.
pub struct TopProducts<S> {
    answers: Answers<S>,
}

impl<S: SalesSource> TopProducts<S> {
    /// Answers from this source.
    pub fn new(source: S) -> Self {
        Self {
            answers: Answers::new(source),
        }
    }
}

impl<S: SalesSource> Handler for TopProducts<S> {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&PARAMETERS)?;
        let ranking = match request.query_parameter("por") {
            None => Ranking::Quantity,
            Some(text) => Ranking::parse(text)
                .ok_or_else(|| Problem::field("por", "must be quantidade or receita"))?,
        };
        let asked = Asked::read(request, ranking)?;
        let page = Page::read(request, USUAL_PRODUCTS)?;
        let path = "/produtos/mais_vendidos";
        self.answers.respond(request, path, asked, page).await
    }
}
