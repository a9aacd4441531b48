//! For auditors: who did what, what differs, what happened to one entity, and whether it is true
//! (rules A1, A3–A5).
//!
//! What clients see is in [`wire`], places to go on from in `cursor`, lines of progress in `progress`. Not here: how any of
//! it is found out.

mod all;
mod cursor;
mod progress;
pub mod wire;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dao_projections::{CommandType, GraphId, NodeId, Subject, Timestamp, UserId, Version};
use serde::Serialize;

pub(super) use self::all::all_operations;
use self::{
    cursor::Cursor,
    wire::{DifferenceOut, HistoryOut, ListingOut, VerifiedOut},
};
use super::{
    app::App,
    document::based_on,
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::{Format, respond, respond_encoded},
    problem::Problem,
};
use crate::{
    domain::Reason,
    read::{self, AuditFilter, AuditQuery, OperationStatus, Order, RefusalPlace},
    write::WriteError,
};

/// Operations, or entries of a history, in one answer, unless asked otherwise.
const PAGE_DEFAULT: usize = 100;
/// In one answer at most.
const PAGE_MAX: usize = 1_000;

/// What becomes of a cursor when it is asked with: the place that it names.
const OPERATIONS: &str = "operations";

/// List the operations of a graph, accepted and refused.
pub(super) async fn operations(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let order = order(&query)?;
    let cursor = Cursor::of(&graph, &[OPERATIONS, order_word(order)]);
    let question = AuditQuery {
        filter: filter(&query)?,
        order,
        limit: query.limit(PAGE_DEFAULT, PAGE_MAX)?,
        after: query.text("cursor").map(|text| cursor.read(text)).transpose()?,
        min_version: query.version("minVersion")?,
    };
    let listing = read::operations(&app.graphs, &graph, &question).await?;
    let next = listing.next.map(|place| cursor.write(place));
    encoded(format, move || format.encode(&ListingOut::of(&listing, next))).await
}

fn filter(query: &QueryParameters) -> Result<AuditFilter, Problem> {
    let wrong = |name: &str, problem: String| Problem::bad_request(format!("{name}: {problem}"));
    let user = query.text("user").map(|text| UserId::parse(text).map_err(|e| wrong("user", e.to_string())));
    // The rule of node and edge ids is one.
    let entity =
        query.text("entity").map(|text| NodeId::parse(text).map_err(|e| wrong("entity", e.to_string())));
    Ok(AuditFilter {
        user: user.transpose()?,
        command: query.one_of("type", &CommandType::ALL.map(|command| (command.as_str(), command)))?,
        entity: entity.transpose()?.map(|id| id.as_str().to_owned()),
        from: query.number("from")?.map(Timestamp),
        to: query.number("to")?.map(Timestamp),
        status: query.one_of("status", &OperationStatus::ALL.map(|status| (status.as_str(), status)))?,
        reasons: query.text("code").map(reasons).transpose()?,
    })
}

/// The reasons that clients are told by this code.
fn reasons(code: &str) -> Result<Vec<Reason>, Problem> {
    let found: Vec<Reason> =
        Reason::ALL.into_iter().filter(|reason| Problem::code_of(*reason) == code).collect();
    match found.is_empty() {
        true => {
            Err(Problem::bad_request("code: must be the code of a refusal of an operation, such as CONFLICT"))
        }
        false => Ok(found),
    }
}

fn order(query: &QueryParameters) -> Result<Order, Problem> {
    let words = [Order::NewestFirst, Order::OldestFirst].map(|order| (order_word(order), order));
    Ok(query.one_of("order", &words)?.unwrap_or(Order::NewestFirst))
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::OldestFirst => "asc",
        Order::NewestFirst => "desc",
    }
}

/// Compare two versions of a graph.
pub(super) async fn diff(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let Some(from) = query.version_ref("from")? else {
        return Err(Problem::bad_request("from: is required"));
    };
    let (to, min) = (query.version_ref("to")?.unwrap_or_default(), query.version("minVersion")?);
    read::await_version(&app.graphs, &graph, min).await?;
    let _turn = app.long_read().await?;
    let difference = read::diff(&app.graphs, &graph, (&from, &to), min).await?;
    encoded(format, move || format.encode(&DifferenceOut::of(&graph, &difference))).await
}

/// List the changes of a node.
pub(super) async fn node_history(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let subject = Subject::Node(ids.node()?);
    history(&app, &ids.graph()?, subject, &query, format).await
}

/// List the changes of an edge.
pub(super) async fn edge_history(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let subject = Subject::Edge(ids.edge()?);
    history(&app, &ids.graph()?, subject, &query, format).await
}

async fn history(
    app: &App,
    graph: &GraphId,
    subject: Subject,
    query: &QueryParameters,
    format: Format,
) -> Result<Response, Problem> {
    let kind = match &subject {
        Subject::Node(_) => "node",
        Subject::Edge(_) => "edge",
    };
    let cursor = Cursor::of(graph, &[kind, subject.as_str()]);
    let before = query.text("cursor").map(|text| cursor.read(text)).transpose()?;
    let (limit, min) = (query.limit(PAGE_DEFAULT, PAGE_MAX)?, query.version("minVersion")?);
    let before = before.map(|place| place.version);
    read::await_version(&app.graphs, graph, min).await?;
    let _turn = app.long_read().await?;
    let history = read::history(&app.graphs, graph, &subject, before, limit, min).await?;
    let next = history.next.map(|version| cursor.write(RefusalPlace::before(version)));
    encoded(format, move || format.encode(&HistoryOut::of(&history, next))).await
}

/// List who wrote each node and edge last.
pub(super) async fn authors(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let (at, min) = (query.version_ref("at")?.unwrap_or_default(), query.version("minVersion")?);
    read::await_version(&app.graphs, &graph, min).await?;
    let _turn = app.long_read().await?;
    let current = read::current(&app.graphs, &graph, min).await?;
    let named = read::version_named(&app.graphs, &graph, &current.view.graph, &at).await?;
    let shown = match named.version == current.head().version {
        true => current,
        false => read::at_version(&app.graphs, &graph, named.version).await?,
    };
    let authors = read::authors(&app.graphs, &graph, &shown.view.graph).await?;
    let head = shown.head();
    let answer = encoded(format, move || format.encode_long(&wire::AuthorsOut(&authors))).await?;
    Ok(based_on(answer, head))
}

/// Verify the history of a graph.
pub(super) async fn verify(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    if let Some(min) = query.version("minVersion")? {
        await_version(&app, &graph, min).await?;
    }
    if progress::is_wanted(&headers) {
        return Ok(progress::lines(&app, graph));
    }
    let _turn = app.verifying.acquire().await.map_err(|_| WriteError::Stopped)?;
    let verified = read::verify(&app.graphs, &graph, |_, _| {}).await?;
    Ok(respond(StatusCode::OK, format, &VerifiedOut::of(&graph, &verified)))
}

/// Waits as rule H3 says; a history that can't be read is what the answer will be about.
async fn await_version(app: &App, graph: &GraphId, min: Version) -> Result<(), Problem> {
    match read::current(&app.graphs, graph, Some(min)).await {
        Ok(_) | Err(read::ReadError::Graph(WriteError::Unreadable(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Answers that can be large are encoded on the blocking pool.
async fn encoded(
    format: Format,
    encode: impl FnOnce() -> Vec<u8> + Send + 'static,
) -> Result<Response, Problem> {
    let body = tokio::task::spawn_blocking(encode).await.map_err(Problem::of_panic)?;
    Ok(respond_encoded(format, body))
}

/// As a line of JSON.
fn line(value: &impl Serialize) -> Vec<u8> {
    Format::Json.encode(value)
}
