//! Request heads that different servers could understand differently are refused with 400. If a proxy in front and this
//! server disagree about the target, the caller or the end of a body, one of them can be deceived (RFC 9112, 3.2 and 11).
//!
//! What is not a head at all never gets here: the parser refuses it ([`super::connection_io`]).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Request, Version, header, uri::Authority},
};

use super::{client_address::host_of, problem::Problem, request_context::AmbiguousFraming};

/// Fields that may occur only once. Lists may be spread over several fields.
const SINGLE: [HeaderName; 11] = [
    header::HOST,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-user-id"),
];

/// Refuses an ambiguous head.
pub(super) fn check(request: &Request<Body>) -> Result<(), Problem> {
    let headers = request.headers();
    // Nearly every request repeats nothing.
    if headers.len() != headers.keys_len()
        && let Some(name) = SINGLE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some())
    {
        return Err(Problem::ambiguous_head(format!("{}: is there more than once", shown(name))));
    }
    check_host(request.version(), headers)?;
    if request.uri().authority().is_some_and(|authority| host_of(authority.as_str()).is_none()) {
        return Err(Problem::ambiguous_head("the target must name a host, with a port or without"));
    }
    check_framing(headers, request.extensions().get::<AmbiguousFraming>().is_some())
}

/// HTTP/1.1 needs one valid `Host`; HTTP/1.0 may leave it out.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else {
        return match version {
            Version::HTTP_09 | Version::HTTP_10 => Ok(()),
            _ => Err(Problem::ambiguous_head("Host: is missing; HTTP/1.1 needs it")),
        };
    };
    let readable: Option<Authority> = host.to_str().ok().and_then(host_of);
    match readable {
        Some(_) => Ok(()),
        None => Err(Problem::ambiguous_head("Host: must be a name or an address, with a port or without")),
    }
}

/// A body ends after `Content-Length` bytes or with its last chunk, never both.
fn check_framing(headers: &HeaderMap, is_ambiguous: bool) -> Result<(), Problem> {
    let Some(encoding) = headers.get(header::TRANSFER_ENCODING) else { return Ok(()) };
    if !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Problem::ambiguous_head("Transfer-Encoding: only chunked is taken"));
    }
    if is_ambiguous || headers.contains_key(header::CONTENT_LENGTH) {
        return Err(Problem::ambiguous_head("Transfer-Encoding and Content-Length: only one may be there"));
    }
    Ok(())
}

/// A field as people write it: `X-User-Id`.
fn shown(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&str, &str)]) -> Request<Body> {
        let request = fields
            .iter()
            .fold(Request::post("/graphs/g/command"), |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).expect("a request")
    }

    #[test]
    fn o3_a_head_that_can_be_understood_in_two_ways_is_refused() {
        let bad: [&[(&str, &str)]; 14] = [
            &[],
            &[("host", "a"), ("host", "a")],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "a@b")],
            &[("host", "a:port")],
            &[("host", "[::1].evil.example")],
            &[("host", "[::1")],
            &[("host", "a"), ("origin", "http://a"), ("origin", "http://b")],
            &[("host", "a"), ("authorization", "Bearer x"), ("authorization", "Bearer y")],
            &[("host", "a"), ("x-user-id", "ada"), ("x-user-id", "bob")],
            &[("host", "a"), ("transfer-encoding", "gzip, chunked")],
            &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("host", "a"), ("transfer-encoding", "chunked"), ("content-length", "3")],
        ];
        for fields in bad {
            let problem = check(&request(fields)).expect_err(&format!("{fields:?}"));
            assert_eq!(problem.code, "BAD_REQUEST", "{fields:?}");
        }
        let good: [&[(&str, &str)]; 6] = [
            &[("host", "localhost")],
            &[("host", "[::1]:3000")],
            &[("host", "127.0.0.1:3000")],
            &[("host", "Editor.example.")],
            &[("host", "a"), ("accept", "text/plain"), ("accept", "application/json")],
            &[("host", "a"), ("transfer-encoding", "Chunked")],
        ];
        for fields in good {
            assert!(check(&request(fields)).is_ok(), "{fields:?}");
        }
    }

    #[test]
    fn o3_the_parser_may_have_taken_the_length_away() {
        let mut request = request(&[("host", "a"), ("transfer-encoding", "chunked")]);
        request.extensions_mut().insert(AmbiguousFraming);
        assert!(check(&request).is_err());
    }
}
