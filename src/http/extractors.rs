//! What handlers take from a request: ids from the path, questions from the query, and the decoded
//! body; who asks is in [`super::authentication`]. Everything that is wrong with one is a [`Problem`] that names it.

use std::convert::Infallible;

use axum::{
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, header, request::Parts},
};
use dao_projections::{
    ClientId, EdgeId, GraphId, InvalidId, LabelName, NodeId, OperationId, TraceParent, Version,
};
use serde_json::{Map, Value};

use super::{
    app::App,
    command_path::{CommandPath, GraphInPath},
    decode::{CommandBody, Decoded, Document},
    format::Format,
    problem::Problem,
    request_body::BodyPermit,
};
use crate::{domain::VersionRef, live::SubscriptionName};

/// The ids in the path of a route.
pub(super) struct PathIds {
    texts: Vec<(String, String)>,
    /// The graph, where the guard has parsed it.
    graph: Option<GraphId>,
}

impl PathIds {
    fn id<T>(&self, name: &str, parse: fn(&str) -> Result<T, InvalidId>) -> Result<T, Problem> {
        let text = self.texts.iter().find(|(key, _)| key == name).map_or("", |(_, text)| text.as_str());
        parse(text).map_err(|e| Problem::bad_request(format!("{name} in the path: {e}")))
    }

    pub(super) fn graph(&self) -> Result<GraphId, Problem> {
        match &self.graph {
            Some(graph) => Ok(graph.clone()),
            None => self.id("graphId", GraphId::parse),
        }
    }

    pub(super) fn node(&self) -> Result<NodeId, Problem> {
        self.id("nodeId", NodeId::parse)
    }

    pub(super) fn edge(&self) -> Result<EdgeId, Problem> {
        self.id("edgeId", EdgeId::parse)
    }

    pub(super) fn subscription(&self) -> Result<SubscriptionName, Problem> {
        let text = self.texts.iter().find(|(key, _)| key == "name").map_or("", |(_, text)| text.as_str());
        let problem = |e| Problem::bad_request(format!("name in the path: {e}"));
        SubscriptionName::parse(text).map_err(problem)
    }

    pub(super) fn label(&self) -> Result<LabelName, Problem> {
        self.id("name", LabelName::parse)
    }

    pub(super) fn operation(&self) -> Result<OperationId, Problem> {
        self.id("operationId", OperationId::parse)
    }
}

impl FromRequestParts<App> for PathIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(GraphInPath(graph)) = parts.extensions.get() {
            return Ok(Self { texts: vec![], graph: Some(graph.clone()) });
        }
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::bad_request("the path is not UTF-8 when decoded"))?;
        let texts = params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(Self { texts, graph: parts.extensions.get::<GraphId>().cloned() })
    }
}

/// Where in a trace the request was made: `traceparent` of W3C Trace Context. One that can't be read, or is there
/// twice, is as if there was none, as that standard wants it: tracing must not stop anybody's work.
#[derive(Clone, Copy)]
pub(super) struct TraceContext(pub(super) Option<TraceParent>);

impl TraceContext {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all("traceparent").iter();
        let (first, second) = (values.next(), values.next());
        let only = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok());
        Self(only.and_then(|text| text.trim().parse().ok()))
    }
}

impl<S: Sync> FromRequestParts<S> for TraceContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Parsed where the span of the request began.
        let parsed = parts.extensions.get::<Self>().copied();
        Ok(parsed.unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// The `operationId` of a request whose body is no command: quotes, as other servers want them, are taken too.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<OperationId>, Problem> {
    let Some(text) = header_text(headers, "Idempotency-Key")? else { return Ok(None) };
    let id = OperationId::parse(text.trim_matches('"'));
    id.map(Some).map_err(|e| Problem::bad_request(format!("Idempotency-Key: {e}")))
}

/// The `clientId` of such a request.
pub(super) fn client_id(headers: &HeaderMap) -> Result<Option<ClientId>, Problem> {
    let Some(text) = header_text(headers, "X-Client-Id")? else { return Ok(None) };
    ClientId::parse(text).map(Some).map_err(|e| Problem::bad_request(format!("X-Client-Id: {e}")))
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(|text| Some(text.trim())).map_err(|_| Problem::bad_request(format!("{name}: must be UTF-8")))
}

/// The query of a request.
pub(super) struct QueryParameters(Vec<(String, String)>);

impl QueryParameters {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Parameters whose names begin like this, without that.
    pub(super) fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// A version; anything but a non-negative integer below 2^63 is 400, never 0 (rule H5).
    pub(super) fn version(&self, name: &str) -> Result<Option<Version>, Problem> {
        Ok(self.number(name)?.and_then(Version::new))
    }

    /// A version in any of the ways to name one (rule L13).
    pub(super) fn version_ref(&self, name: &str) -> Result<Option<VersionRef>, Problem> {
        let named = self.text(name).map(|text| text.parse::<VersionRef>());
        named.transpose().map_err(|wrong| Problem::bad_request(format!("{name}: {wrong}")))
    }

    /// A number, by the same rule.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits_only && *number <= i64::MAX as u64);
        let problem = || Problem::bad_request(format!("{name}: must be a non-negative integer below 2^63"));
        number.map(Some).ok_or_else(problem)
    }

    /// One of these words, and what it stands for.
    pub(super) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*meant));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(Problem::bad_request(format!("{name}: must be one of {}", known.join(", "))))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::bad_request(format!("{name}: must be true or false"))),
        }
    }

    /// A count from 1 to `max`.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else { return Ok(default) };
        let digits_only = text.bytes().all(|b| b.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits_only && (1..=max).contains(limit));
        limit.ok_or_else(|| Problem::bad_request(format!("limit: must be an integer from 1 to {max}")))
    }
}

impl FromRequestParts<App> for QueryParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, app).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::bad_request("the query can't be read")),
        }
    }
}

/// The format that the answer gets.
pub(super) struct ResponseFormat(pub(super) Format);

impl FromRequestParts<App> for ResponseFormat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(Format::of_answer(&parts.headers)))
    }
}

/// A decoded body, and what it is counted with until its request is answered.
pub(super) struct DecodedBody(pub(super) Document, pub(super) BodyPermit);

impl FromRequest<App> for DecodedBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (document, held) = decoded(request, app).await?;
        Ok(Self(document.ok_or_else(empty)?, held))
    }
}

/// The same of a body that is to be a command.
pub(super) struct DecodedCommand(pub(super) CommandBody, pub(super) BodyPermit);

impl FromRequest<App> for DecodedCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (command, held) = match app.command_path {
            CommandPath::Fast => decoded(request, app).await?,
            CommandPath::Routed => {
                let (document, held) = decoded(request, app).await?;
                (document.map(CommandBody::Document), held)
            }
        };
        Ok(Self(command.ok_or_else(empty)?, held))
    }
}

fn empty() -> Problem {
    Problem::bad_request("the body is empty")
}

/// The same of a request whose body may be left out, which says the same as an empty object.
pub(super) struct OptionalBody(pub(super) Document, pub(super) BodyPermit);

impl FromRequest<App> for OptionalBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (document, held) = decoded(request, app).await?;
        Ok(Self(document.unwrap_or_else(|| Document::of(Value::Object(Map::new()))), held))
    }
}

/// The decoded body of a request, if there is one.
async fn decoded<T: Decoded>(request: Request, app: &App) -> Result<(Option<T>, BodyPermit), Problem> {
    let format = Format::of_body(request.headers()).map_err(|e| Problem::unsupported_media_type(&e.0))?;
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::unsupported_encoding());
    }
    let (bytes, mut held) = app.bodies.read(request).await?;
    if bytes.is_empty() {
        return Ok((None, held));
    }
    let decoded = app.bodies.decode(bytes, format, &mut held).await?;
    Ok((Some(decoded), held))
}
