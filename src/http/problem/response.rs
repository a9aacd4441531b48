//! A problem document as a response.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    super::{format::Format, rate_limits},
    Problem,
};

/// The code of the problem in a response, for metrics.
#[derive(Clone, Copy)]
pub(in crate::http) struct ProblemCode(pub(in crate::http) &'static str);

/// Why the server failed, in the extensions of a response: for who asks in the same process. It is not sent.
#[derive(Clone, Debug)]
pub struct Cause(pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = self.logged();
        let body = Format::Json.encode(&problem);
        let mut response = (problem.status, body).into_response();
        response.extensions_mut().insert(ProblemCode(problem.code));
        if let Some(cause) = problem.cause_of_failure() {
            response.extensions_mut().insert(Cause(cause.to_owned()));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after) = problem.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(rate_limits::seconds(retry_after)));
        }
        if problem.ends_connection {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = problem.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(allow) = problem.allow {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_the_server_failed_is_beside_the_answer_and_not_in_it() {
        let failed = || Problem::internal().because("the disk is full");
        for problem in [failed(), failed().logged()] {
            let body = Format::Json.encode(&problem);
            assert!(!String::from_utf8_lossy(&body).contains("disk"));
            let response = problem.into_response();
            let cause = response.extensions().get::<Cause>();
            assert_eq!(cause.map(|Cause(why)| why.as_str()), Some("the disk is full"));
            assert!(
                response.headers().values().all(|value| !value.as_bytes().windows(4).any(|w| w == b"disk"))
            );
        }
        let mistake = Problem::bad_request("no").because("a mistake").into_response();
        assert!(mistake.extensions().get::<Cause>().is_none());
    }
}
