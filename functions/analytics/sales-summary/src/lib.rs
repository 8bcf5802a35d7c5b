//! Answers GET /vendas/resumo: what was sold by product, region, category, day or month.

use lambda_kit::Problem;
use lambda_kit::http::{Handler, Request, Response};
use sales_answers::{Answers, Asked, Page, Ranking, SalesSource};

/// Groups of a page where the caller gives no `limite`.
const USUAL_GROUPS: u32 = 1_000;
const PARAMETERS: [&str; 9] = [
    "agrupar_por",
    "de",
    "ate",
    "regiao",
    "categoria",
    "id_produto",
    "limite",
    "cursor",
    "formato",
];

/// The handler of /vendas/resumo.
pub struct SalesSummary<S> {
    answers: Answers<S>,
}

impl<S: SalesSource> SalesSummary<S> {
    /// Answers from this source.
    pub fn new(source: S) -> Self {
        Self {
            answers: Answers::new(source),
        }
    }
}

impl<S: SalesSource> Handler for SalesSummary<S> {
    async fn handle(&self, request: &Request) -> Result<Response, Problem> {
        request.only_query(&PARAMETERS)?;
        let asked = Asked::read(request, Ranking::Quantity)?;
        let page = Page::read(request, USUAL_GROUPS)?;
        let path = "/vendas/resumo";
        self.answers.respond(request, path, asked, page).await
    }
}
