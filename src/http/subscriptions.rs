//! `/subscriptions`: named subscriptions for consumers that share the commits of all graphs (rules S5
//! to S8).

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dao_projections::{GraphId, Version};
use serde::Serialize;
use serde_json::Value;

use super::{
    app::App,
    decode::Document,
    extractors::{DecodedBody, PathIds, QueryParameters, ResponseFormat},
    format::{Format, respond},
    json_path::Path,
    json_shape::{Fields, Malformed},
    problem::Problem,
    wire::CommitOut,
};
use crate::{
    live::{
        Creation as Made, DeliveredCommit, DeliverySettings, ParkedCommits, SubscriptionName,
        SubscriptionStatus, Subscriptions,
    },
    read::FilterLists,
};

/// How long a consumer has for a commit, unless asked otherwise.
const LEASE_MS: u64 = 30_000;
/// The shortest and the longest lease.
const LEASE_MS_RANGE: std::ops::RangeInclusive<u64> = 1_000..=43_200_000;
/// Deliveries of one commit before it is parked, unless asked otherwise.
const ATTEMPTS: u64 = 5;
/// The fewest and the most.
const ATTEMPTS_RANGE: std::ops::RangeInclusive<u64> = 1..=100;
/// Deliveries in one answer, unless asked otherwise.
const DELIVERIES: u64 = 100;
/// Deliveries in one answer, and ids in one request, at most.
const DELIVERIES_MAX: usize = 1_000;
/// The longest that a consumer can wait for a commit in one request.
const WAIT_MS_MAX: u64 = 30_000;
/// Bytes of a start that can be a position.
const START_BYTES_MAX: usize = 64 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsOut<'a> {
    name: &'a str,
    filter: &'a FilterLists,
    start: &'a str,
    lease_ms: u64,
    max_attempts: u32,
}

impl<'a> SettingsOut<'a> {
    fn of(name: &'a SubscriptionName, settings: &'a DeliverySettings) -> Self {
        Self {
            name: name.as_str(),
            filter: &settings.filter,
            start: &settings.start,
            lease_ms: settings.lease_ms,
            max_attempts: settings.attempts_max,
        }
    }
}

/// Create a subscription, or confirm that it exists.
pub(super) async fn put(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let name = ids.subscription()?;
    let settings = read_settings(document)?;
    let status = match subscriptions(&app)?.create(&name, &settings).await? {
        Made::Created => StatusCode::CREATED,
        Made::There => StatusCode::OK,
    };
    Ok(respond(status, format, &SettingsOut::of(&name, &settings)))
}

/// List all subscriptions.
pub(super) async fn list(
    State(app): State<App>,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct ListOut {
        subscriptions: Vec<String>,
    }
    let subscriptions = subscriptions(&app)?.names().await?;
    Ok(respond(StatusCode::OK, format, &ListOut { subscriptions }))
}

/// Get a subscription with its settings, position and lag.
pub(super) async fn show(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct OverviewOut<'a> {
        name: &'a str,
        filter: &'a FilterLists,
        start: &'a str,
        lease_ms: u64,
        max_attempts: u32,
        position: &'a str,
        lag_commits: Option<u64>,
        in_flight: usize,
        parked: usize,
    }
    let name = ids.subscription()?;
    let SubscriptionStatus { ledger, lag_commits } = subscriptions(&app)?.overview(&name).await?;
    let SettingsOut { name, filter, start, lease_ms, max_attempts } =
        SettingsOut::of(&name, ledger.settings());
    let out = OverviewOut {
        name,
        filter,
        start,
        lease_ms,
        max_attempts,
        position: ledger.position(),
        lag_commits,
        in_flight: ledger.in_flight(),
        parked: ledger.parked().len(),
    };
    Ok(respond(StatusCode::OK, format, &out))
}

/// Delete a subscription.
pub(super) async fn delete(State(app): State<App>, ids: PathIds) -> Result<Response, Problem> {
    subscriptions(&app)?.delete(&ids.subscription()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lease the next commits to a consumer.
///
/// It has no body. The commits of one graph in an answer are a run: acknowledging one acknowledges those before it.
pub(super) async fn next(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct NextOut<'a> {
        deliveries: Vec<DeliveryOut<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct DeliveryOut<'a> {
        delivery_id: &'a str,
        attempt: u32,
        commit: CommitOut<'a>,
    }
    let name = ids.subscription()?;
    let max = number(&query, "max", DELIVERIES, 1..=DELIVERIES_MAX as u64)? as usize;
    let wait = Duration::from_millis(number(&query, "wait", 0, 0..=WAIT_MS_MAX)?);
    let _seat = match wait.is_zero() {
        true => None,
        false => Some(app.live.permit().ok_or_else(Problem::too_many_connections)?),
    };
    let stopping = app.live.stopping.cancelled();
    let handed = subscriptions(&app)?.next(&name, max, wait, stopping).await?;
    let deliveries = handed.iter().map(|DeliveredCommit { delivery_id, attempt, graph, commit }| {
        DeliveryOut { delivery_id, attempt: *attempt, commit: CommitOut::of(graph, &commit.commit) }
    });
    let deliveries = deliveries.collect();
    Ok(respond(StatusCode::OK, format, &NextOut { deliveries }))
}

/// How many of the ids that were sent meant something.
#[derive(Serialize)]
struct SettledOut {
    known: usize,
    unknown: usize,
}

impl SettledOut {
    fn of(ids: &[String], known: usize) -> Self {
        Self { known, unknown: ids.len().saturating_sub(known) }
    }
}

/// Acknowledge deliveries.
pub(super) async fn ack(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    settle(&app, &ids, document, Settlement::Acknowledge, format).await
}

/// Return deliveries for another attempt.
pub(super) async fn nack(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    settle(&app, &ids, document, Settlement::GiveBack, format).await
}

/// List parked deliveries.
pub(super) async fn parked(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PageOut<'a> {
        parked: Vec<ParkedOut<'a>>,
        next_cursor: Option<String>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ParkedOut<'a> {
        delivery_id: String,
        graph_id: &'a GraphId,
        version: Version,
        attempts: u32,
        reason: &'a str,
        commit: Option<CommitOut<'a>>,
    }
    let name = ids.subscription()?;
    let limit = query.limit(DELIVERIES as usize, DELIVERIES_MAX)?;
    let ParkedCommits { page, has_more } =
        subscriptions(&app)?.parked(&name, query.text("cursor"), limit).await?;
    let parked = page.iter().map(|(parked, commit)| ParkedOut {
        delivery_id: parked.delivery_id(),
        graph_id: &parked.graph,
        version: parked.span.from,
        attempts: parked.attempts,
        reason: &parked.reason,
        commit: commit.as_ref().map(|commit| CommitOut::of(&parked.graph, &commit.commit)),
    });
    let next_cursor = page.last().filter(|_| has_more).map(|(last, _)| last.delivery_id());
    Ok(respond(StatusCode::OK, format, &PageOut { parked: parked.collect(), next_cursor }))
}

/// Retry parked deliveries.
pub(super) async fn retry(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    settle(&app, &ids, document, Settlement::Retry, format).await
}

/// Drop parked deliveries.
pub(super) async fn drop_parked(
    State(app): State<App>,
    ids: PathIds,
    ResponseFormat(format): ResponseFormat,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    settle(&app, &ids, document, Settlement::Drop, format).await
}

/// What is done with deliveries that are named by their ids.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settlement {
    Acknowledge,
    GiveBack,
    Retry,
    Drop,
}

async fn settle(
    app: &App,
    ids: &PathIds,
    document: Document,
    settlement: Settlement,
    format: Format,
) -> Result<Response, Problem> {
    let name = ids.subscription()?;
    let (ids, reason) = read_ids(document, settlement)?;
    let subscriptions = subscriptions(app)?;
    let known = match settlement {
        Settlement::Acknowledge => subscriptions.ack(&name, &ids).await?,
        Settlement::GiveBack => subscriptions.nack(&name, &ids, reason.as_deref()).await?,
        Settlement::Retry => subscriptions.retry(&name, &ids).await?,
        Settlement::Drop => subscriptions.drop_parked(&name, &ids).await?,
    };
    Ok(respond(StatusCode::OK, format, &SettledOut::of(&ids, known)))
}

fn subscriptions(app: &App) -> Result<&Arc<Subscriptions>, Problem> {
    let found = app.subscriptions.as_ref();
    found.ok_or_else(|| Problem::not_found("this server has no feed of all graphs"))
}

/// A number of the query in these bounds.
fn number(
    query: &QueryParameters,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Problem> {
    let number = query.number(name)?.unwrap_or(default);
    let (least, most) = (range.start(), range.end());
    let problem = || Problem::bad_request(format!("{name}: must be an integer from {least} to {most}"));
    range.contains(&number).then_some(number).ok_or_else(problem)
}

fn read_settings(document: Document) -> Result<DeliverySettings, Malformed> {
    let Document { value, repeated, .. } = document;
    let mut fields = Fields::of(value, &Path::Root, &repeated)?;
    let path = Path::Key(&Path::Root, "filter");
    let filter = match fields.optional("filter") {
        None => FilterLists::default(),
        Some(value) => {
            let mut lists = Fields::of(value, &path, &repeated)?;
            let filter = FilterLists {
                types: texts(&mut lists, "types")?,
                graphs: texts(&mut lists, "graphs")?,
                users: texts(&mut lists, "users")?,
            };
            lists.finish()?;
            filter
        }
    };
    let start = fields.text("start")?.unwrap_or_else(|| "now".to_owned());
    if start.len() > START_BYTES_MAX {
        return Err(fields.wrong("start", "is too long for a position"));
    }
    // The word that streams have for it.
    let start = if start == "0" { "beginning".to_owned() } else { start };
    let lease_ms = bounded(&mut fields, "leaseMs", LEASE_MS, LEASE_MS_RANGE)?;
    let attempts_max = bounded(&mut fields, "maxAttempts", ATTEMPTS, ATTEMPTS_RANGE)? as u32;
    fields.finish()?;
    Ok(DeliverySettings { filter, start, lease_ms, attempts_max })
}

fn bounded(
    fields: &mut Fields<'_>,
    key: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Malformed> {
    let Some(value) = fields.optional(key) else { return Ok(default) };
    let number = value.as_u64().filter(|number| range.contains(number));
    let (least, most) = (range.start(), range.end());
    number.ok_or_else(|| fields.wrong(key, format!("must be an integer from {least} to {most}")))
}

fn texts(fields: &mut Fields<'_>, key: &str) -> Result<Option<Vec<String>>, Malformed> {
    let Some(items) = fields.list(key)? else { return Ok(None) };
    let text = |item| match item {
        Value::String(text) => Ok(text),
        _ => Err(fields.wrong(key, "must be a list of strings")),
    };
    items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
}

/// The ids of deliveries, and why they are given back.
fn read_ids(document: Document, settlement: Settlement) -> Result<(Vec<String>, Option<String>), Malformed> {
    let Document { value, repeated, .. } = document;
    let mut fields = Fields::of(value, &Path::Root, &repeated)?;
    let ids = texts(&mut fields, "deliveryIds")?;
    let ids = ids.ok_or_else(|| fields.wrong("deliveryIds", "is required"))?;
    if ids.len() > DELIVERIES_MAX {
        let problem = format!("must be at most {DELIVERIES_MAX}");
        return Err(Malformed::too_many("deliveryIds", problem));
    }
    let reason = if settlement == Settlement::GiveBack { fields.text("reason")? } else { None };
    fields.finish()?;
    Ok((ids, reason))
}
