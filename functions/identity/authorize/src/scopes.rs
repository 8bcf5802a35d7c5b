//! The scopes of each route, as template.yaml says under `Metadata.Scopes`.

include!(concat!(env!("OUT_DIR"), "/scopes.rs"));

/// The scope of routes that ask for no token.
pub(crate) const PUBLIC: &str = "public";

/// The scopes of which a route wants one; `None` for a route that is not in the template.
pub(crate) fn of_route(route: &str) -> Option<&'static [&'static str]> {
    let place = SCOPES.binary_search_by(|(key, _)| (*key).cmp(route)).ok()?;
    SCOPES.get(place).map(|(_, scopes)| *scopes)
}
