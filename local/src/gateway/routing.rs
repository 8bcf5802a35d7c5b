//! Which route a request takes, as API Gateway chooses it.
//!
//! Source: API Gateway developer guide, "Routing API requests": full match, then greedy path
//! variable, then `$default`; a method before ANY; a literal before a variable.

use std::collections::BTreeMap;

use crate::bundle::Route;

/// The chosen route and the values of its path variables, decoded.
#[derive(Debug, Clone)]
pub struct Chosen<'a> {
    /// The route.
    pub route: &'a Route,
    /// Values by variable name.
    pub path_parameters: BTreeMap<String, String>,
}

/// How specific a match is; more is chosen. Compared field by field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_path: bool,
    is_not_greedy: bool,
    literals: Vec<bool>,
    has_method: bool,
}

/// The route for a method and a decoded path.
pub fn choose<'a>(routes: &'a [Route], method: &str, path: &str) -> Option<Chosen<'a>> {
    let mut best: Option<(Rank, Chosen<'a>)> = None;
    for route in routes {
        if route
            .method
            .as_deref()
            .is_some_and(|wanted| wanted != method)
        {
            continue;
        }
        let Some((rank, path_parameters)) = matches(route, path) else {
            continue;
        };
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((
                rank,
                Chosen {
                    route,
                    path_parameters,
                },
            ));
        }
    }
    best.map(|(_, chosen)| chosen)
}

fn matches(route: &Route, path: &str) -> Option<(Rank, BTreeMap<String, String>)> {
    let has_method = route.method.is_some();
    let Some(pattern) = &route.path else {
        let rank = Rank {
            is_path: false,
            is_not_greedy: false,
            literals: Vec::new(),
            has_method,
        };
        return Some((rank, BTreeMap::new()));
    };
    let mut parameters = BTreeMap::new();
    let mut literals = Vec::new();
    let mut rest = path.strip_prefix('/')?;
    let mut segments = pattern.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = segments.next() {
        if let Some(name) = variable(segment).and_then(|name| name.strip_suffix('+')) {
            if rest.is_empty() {
                return None;
            }
            parameters.insert(name.to_owned(), rest.to_owned());
            literals.push(false);
            let rank = Rank {
                is_path: true,
                is_not_greedy: false,
                literals,
                has_method,
            };
            return Some((rank, parameters));
        }
        let (value, remaining) = match rest.split_once('/') {
            Some((value, remaining)) if segments.peek().is_some() => (value, remaining),
            None if segments.peek().is_none() => (rest, ""),
            _ => return None,
        };
        match variable(segment) {
            Some(name) if !value.is_empty() => {
                parameters.insert(name.to_owned(), value.to_owned());
                literals.push(false);
            }
            None if segment == value => literals.push(true),
            _ => return None,
        }
        rest = remaining;
    }
    let rank = Rank {
        is_path: true,
        is_not_greedy: true,
        literals,
        has_method,
    };
    Some((rank, parameters))
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Vec<Route> {
        keys.iter()
            .map(|key| {
                let (method, path) = match key.split_once(' ') {
                    Some((method, path)) => (Some(method), Some(path.to_owned())),
                    None => (None, None),
                };
                Route {
                    key: (*key).to_owned(),
                    method: method.filter(|method| *method != "ANY").map(str::to_owned),
                    path,
                    function: "F".to_owned(),
                    authorizer: None,
                    scopes: Vec::new(),
                }
            })
            .collect()
    }

    fn chosen(keys: &[&str], method: &str, path: &str) -> Option<String> {
        choose(&routes(keys), method, path).map(|chosen| chosen.route.key.clone())
    }

    #[test]
    fn the_example_of_the_developer_guide() {
        let keys = [
            "GET /pets/dog/1",
            "GET /pets/dog/{id}",
            "GET /pets/{proxy+}",
            "ANY /{proxy+}",
            "$default",
        ];
        let get = |path| chosen(&keys, "GET", path).expect("a route");
        assert_eq!(get("/pets/dog/1"), "GET /pets/dog/1");
        assert_eq!(get("/pets/dog/2"), "GET /pets/dog/{id}");
        assert_eq!(get("/pets/cat/1"), "GET /pets/{proxy+}");
        assert_eq!(
            chosen(&keys, "POST", "/test/5").expect("a route"),
            "ANY /{proxy+}"
        );
        assert_eq!(get("/"), "$default");
    }

    #[test]
    fn head_is_served_only_where_it_is_routed() {
        assert_eq!(chosen(&["GET /r/{code}"], "HEAD", "/r/ABC"), None);
        assert!(chosen(&["GET /r/{code}", "HEAD /r/{code}"], "HEAD", "/r/ABC").is_some());
        assert!(chosen(&["ANY /r/{code}"], "HEAD", "/r/ABC").is_some());
    }

    #[test]
    fn segments_match_whole_and_never_empty() {
        let keys = ["GET /vouchers/{code}", "GET /vouchers/me", "GET /customer/"];
        assert_eq!(
            chosen(&keys, "GET", "/vouchers/me").as_deref(),
            Some("GET /vouchers/me")
        );
        assert_eq!(
            chosen(&keys, "GET", "/vouchers/x").as_deref(),
            Some("GET /vouchers/{code}")
        );
        assert_eq!(chosen(&keys, "GET", "/vouchers/"), None);
        assert_eq!(chosen(&keys, "GET", "/vouchers"), None);
        assert_eq!(chosen(&keys, "GET", "/vouchers/a/b"), None);
        assert_eq!(
            chosen(&keys, "GET", "/customer/").as_deref(),
            Some("GET /customer/")
        );
        assert_eq!(chosen(&keys, "GET", "/customer"), None);
        assert_eq!(chosen(&keys, "GET", "/vouchersme"), None);
    }

    #[test]
    fn variables_get_their_values() {
        let routes = routes(&["POST /vouchers/{code}/reservations", "GET /docs/{proxy+}"]);
        let chosen = choose(&routes, "POST", "/vouchers/A B/reservations").expect("a route");
        assert_eq!(chosen.path_parameters["code"], "A B");
        let chosen = choose(&routes, "GET", "/docs/a/b").expect("a route");
        assert_eq!(chosen.path_parameters["proxy"], "a/b");
    }
}
