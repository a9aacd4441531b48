//! Refusals in the document: the problem document (RFC 9457) and which statuses a route can answer with.
//!
//! Statuses are decided in `problem`; what is said of them here is for readers of the document, and a test
//! holds the two together.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{Content, Ref, RefOr, Response, ResponseBuilder, ResponsesBuilder},
};

use super::{Json, words::EventName};

/// A refusal (RFC 9457).
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Problem {
    /// `urn:dao-api:problem:` and the code in lower case.
    #[schema(example = "urn:dao-api:problem:conflict")]
    r#type: String,
    /// The same for every refusal with this code.
    title: String,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong here: names the field, the variable, the limit.
    detail: String,
    /// Stable; docs/protocol.md lists all.
    #[schema(pattern = "^[A-Z_]+$", example = "CONFLICT")]
    code: String,
    #[schema(format = "uuid", nullable = false)]
    operation_id: Option<String>,
    #[schema(nullable = false)]
    resolution: Option<Resolution>,
    /// Which member of a batch it is about.
    #[schema(nullable = false)]
    index: Option<u32>,
    /// Nodes that a document save would delete, of `DELETES_MUCH`.
    #[schema(nullable = false)]
    nodes: Option<u64>,
    /// Edges that it would delete.
    #[schema(nullable = false)]
    edges: Option<u64>,
    /// The operation was refused before: this is the first outcome again.
    #[schema(nullable = false)]
    duplicate: Option<bool>,
    /// Since when the graph is in the trash, in milliseconds since the Unix epoch; with `GRAPH_TRASHED` only.
    #[schema(nullable = false)]
    at: Option<u64>,
    /// Who put it there.
    #[schema(nullable = false)]
    by: Option<String>,
    /// When it may be purged; left out if that is not going to happen by itself.
    #[schema(nullable = false)]
    purge_at: Option<u64>,
    /// The graph that takes its place.
    #[schema(nullable = false)]
    moved_to: Option<String>,
    /// Why the server is not ready.
    #[schema(nullable = false)]
    reasons: Option<Vec<String>>,
}

/// What a client needs to show a person what happened, and to try again.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Resolution {
    current_version: u64,
    conflicts: Vec<Conflict>,
    /// The hash of that version; with `HISTORY_REPLACED` only.
    #[schema(nullable = false)]
    hash: Option<String>,
}

/// One path on which two sides disagree.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Conflict {
    entity: EntityKind,
    id: String,
    /// A JSON Pointer; empty for the whole entity.
    #[schema(example = "/data/label")]
    path: String,
    /// What was asked for; null where that is absence.
    yours: Json,
    /// What stands there; null where nothing does.
    current: Json,
    /// The latest commit that wrote it.
    version: u64,
    user_id: String,
    #[schema(format = "uuid")]
    operation_id: String,
}

/// What a conflict is about.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum EntityKind {
    Node,
    Edge,
    Viewport,
    Graph,
}

/// The errors that every route can answer.
const ALWAYS: [(u16, &str); 9] = [
    (400, "Something in the request is malformed; `detail` names it"),
    (401, "No token, or one that proves nothing"),
    (403, "The token lacks a right, which is named"),
    (404, "What was asked for is not there"),
    (405, "The route does not take this method; `Allow` lists those it takes"),
    (410, "The graph is in the trash; `state?trashed=include` still shows it"),
    (429, "Too many requests of this user: see `Retry-After`"),
    (500, "What is stored can't be read, or the server failed"),
    (503, "The store is away or the server is busy: see `Retry-After`"),
];
/// The errors that routes with a body can answer besides.
const OF_BODIES: [(u16, &str); 5] = [
    (408, "The body did not come in time"),
    (409, "Others were faster; `resolution` says what stands there now"),
    (413, "The body or an entity in it is too large"),
    (415, "The body is neither JSON nor MessagePack, or is compressed"),
    (422, "It is well-formed, and can't be done to this graph"),
];

/// The errors of routes that only read.
pub(in crate::http) struct ReadErrors;

impl IntoResponses for ReadErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        listed(ALWAYS)
    }
}

/// The errors of routes that take a body.
pub(in crate::http) struct WriteErrors;

impl IntoResponses for WriteErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        listed(ALWAYS.into_iter().chain(OF_BODIES))
    }
}

/// The errors of health checks, which need no right and are not rate limited.
pub(in crate::http) struct HealthErrors;

impl IntoResponses for HealthErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        listed(ALWAYS.into_iter().filter(|(status, _)| matches!(status, 400 | 405 | 500 | 503)))
    }
}

fn listed(statuses: impl IntoIterator<Item = (u16, &'static str)>) -> BTreeMap<String, RefOr<Response>> {
    let problem = || Content::new(Some(Ref::from_schema_name("Problem")));
    let response = |description| {
        ResponseBuilder::new().description(description).content("application/problem+json", problem())
    };
    let all = statuses.into_iter().map(|(status, said)| (status.to_string(), response(said)));
    all.fold(ResponsesBuilder::new(), |responses, (status, response)| responses.response(status, response))
        .build()
        .responses
        .into_iter()
        .collect()
}

/// Makes sure that what is only referred to by name is there.
pub(in crate::http) fn schemas() -> Vec<(String, RefOr<utoipa::openapi::Schema>)> {
    let mut all = vec![
        (Problem::name().into_owned(), Problem::schema()),
        // Parameters name schemas and do not bring them.
        (EventName::name().into_owned(), EventName::schema()),
    ];
    Problem::schemas(&mut all);
    all
}
