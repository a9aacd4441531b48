//! Query parameters are checked strictly (rule H7): a mistyped filter must not answer another question. The parameters that
//! a route knows are those of its operation in the OpenAPI document, so the two can't differ.
//!
//! Not here: the values of parameters. Handlers read them with [`super::extractors::QueryParameters`].

use std::collections::HashSet;

use axum::{
    extract::{MatchedPath, Query, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{openapi_document, problem::Problem};

/// Known on every route, for pages that can't set a header. Used only without keys (rule O2).
const EVERYWHERE: &str = "userId";
/// Tokens in a URL are ignored (rule O1), wherever a proxy or an older client puts them (RFC 6750, 2.3).
const IGNORED: [&str; 2] = ["token", "access_token"];
/// Characters of an unknown name that are shown in the error.
const SHOWN_CHARS_MAX: usize = 40;

/// Passes on requests whose parameters are all known and given once.
pub(super) async fn check(request: Request, next: Next) -> Response {
    match problem_of(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Whether the parameter is this one, or one of a family: `data.{key}` stands for all that begin with `data.`.
fn is_meant(known: &str, name: &str) -> bool {
    match known.strip_suffix("{key}") {
        Some(family) => name.strip_prefix(family).is_some_and(|key| !key.is_empty()),
        None => known == name,
    }
}

fn problem_of(request: &Request) -> Option<Problem> {
    request.uri().query().filter(|query| !query.is_empty())?;
    let route = request.extensions().get::<MatchedPath>()?;
    let known = openapi_document::query_parameters(request.method(), route.as_str())?;
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()) else {
        return Some(Problem::bad_request("the query can't be read"));
    };
    let mut seen = HashSet::new();
    for (name, _) in &pairs {
        if IGNORED.contains(&name.as_str()) {
            continue;
        }
        let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        let wrong = if !known.iter().any(|known| is_meant(known, name)) && name != EVERYWHERE {
            format!("Unknown query parameter {shown:?}.")
        } else if !seen.insert(name.as_str()) {
            format!("The query parameter {shown:?} is given more than once.")
        } else {
            continue;
        };
        let known: Vec<&str> = known.iter().map(String::as_str).chain([EVERYWHERE]).collect();
        return Some(Problem::bad_request(format!("{wrong} This route knows: {}.", known.join(", "))));
    }
    None
}
