//! `GET /graphs/{graphId}/activity` and `GET /activity`: events counted by hour, type and user, for
//! analysts.

use axum::{extract::State, http::StatusCode, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dao_projections::{Event, GraphId, Timestamp, UserId, Version};
use serde::Serialize;
use tokio::time::timeout_at;

use super::{
    app::{App, Projections},
    extractors::{PathIds, QueryParameters, ResponseFormat},
    format::respond,
    problem::Problem,
};
use crate::{
    project,
    read::{
        self, ActivityFilter, ActivityFound, ActivityPlace, ActivityWait, BUCKET_MS_MIN, Bucket, BucketsFound,
    },
};

/// Counts in one answer, unless asked otherwise.
const PAGE_DEFAULT: usize = 1_000;
/// In one answer at most.
const PAGE_MAX: usize = 10_000;
/// Commits that a read folds itself. Where more are missing, it waits for a projector, which is behind.
const WRITTEN_NOW_MAX: u64 = 4_096;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActivityOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_id: Option<&'a GraphId>,
    /// Up to which version of the graph events are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    activity: Vec<CountOut<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_id: Option<&'a GraphId>,
    hour: Timestamp,
    r#type: &'a str,
    user_id: &'a UserId,
    events: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BucketsOut<'a> {
    graph_id: &'a GraphId,
    version: Version,
    /// How long each bucket is.
    bucket_ms: u64,
    buckets: Vec<BucketOut>,
}

#[derive(Serialize)]
struct BucketOut {
    at: Timestamp,
    events: u64,
}

impl<'a> BucketsOut<'a> {
    fn of(graph_id: &'a GraphId, found: &BucketsFound) -> Self {
        let buckets =
            found.buckets.iter().map(|Bucket { at, events }| BucketOut { at: *at, events: *events });
        Self { graph_id, version: found.version, bucket_ms: found.bucket_ms, buckets: buckets.collect() }
    }
}

impl<'a> ActivityOut<'a> {
    fn of(graph: Option<&'a GraphId>, found: &'a ActivityFound) -> Self {
        let counts = found.counts.iter().map(|count| CountOut {
            graph_id: graph.is_none().then_some(&count.graph),
            hour: count.key.hour,
            r#type: &count.key.event_type,
            user_id: &count.key.user,
            events: count.events,
        });
        Self {
            graph_id: graph,
            version: graph.map(|_| found.version),
            activity: counts.collect(),
            next_cursor: found.next.as_ref().map(write_cursor),
        }
    }
}

/// List the activity of a graph by hour, event type and user.
pub(super) async fn graph_activity(
    State(app): State<App>,
    ids: PathIds,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let graph = ids.graph()?;
    let (filter, after, limit) = question(&query)?;
    if let Some(bucket_ms) = bucket(&query)? {
        if query.text("cursor").or(query.text("limit")).is_some() {
            return Err(Problem::bad_request(
                "bucket: all buckets are one answer. Leave out cursor and limit",
            ));
        }
        await_counted(&app, &graph, query.version("minVersion")?).await?;
        let _turn = app.long_read().await?;
        let found = read::activity_buckets(&app.graphs, &graph, &filter, bucket_ms).await?;
        return Ok(respond(StatusCode::OK, format, &BucketsOut::of(&graph, &found)));
    }
    if after.as_ref().is_some_and(|place| place.graph != graph) {
        return Err(Problem::bad_cursor());
    }
    await_counted(&app, &graph, query.version("minVersion")?).await?;
    let found = read::activity(&app.graphs, &graph, &filter, after.as_ref(), limit).await?;
    Ok(respond(StatusCode::OK, format, &ActivityOut::of(Some(&graph), &found)))
}

/// Waits until the events of a graph are counted up to `min` or later, if that comes to be in time (rule H3). The rows of
/// a busy graph may wait to be written (decision 0133); then they are written now, unless a projector was faster.
async fn await_counted(app: &App, graph: &GraphId, min: Option<Version>) -> Result<(), Problem> {
    let Some(min) = min else { return Ok(()) };
    let Some(waiting) = ActivityWait::begin(&app.graphs, graph, min).await? else { return Ok(()) };
    if let Some(Projections { stores, .. }) = &app.projections
        && waiting.missing() <= WRITTEN_NOW_MAX
    {
        let turn = tokio::select! {
            biased;
            turn = app.long_read() => turn,
            counted = waiting.counted() => return Ok(counted?),
        };
        // Without a turn there is the projector still.
        if turn.is_ok() {
            let fold = project::fold_graph(stores, graph, min, app.checkpoint_every);
            if let Ok(Err(error)) = timeout_at(waiting.deadline(), fold).await {
                // The projector says it too, and goes on trying.
                tracing::debug!(%graph, %error, "rows that are asked for could not be written");
            }
        }
        drop(turn);
    }
    Ok(waiting.counted().await?)
}

/// How long a bucket is to be at least; `None` if counts are asked for.
fn bucket(query: &QueryParameters) -> Result<Option<u64>, Problem> {
    const DAY_MS: u64 = 24 * BUCKET_MS_MIN;
    match query.text("bucket") {
        None => Ok(None),
        Some("auto" | "hour") => Ok(Some(BUCKET_MS_MIN)),
        Some("day") => Ok(Some(DAY_MS)),
        Some("week") => Ok(Some(7 * DAY_MS)),
        Some(_) => query.number("bucket").map_err(|_| {
            Problem::bad_request("bucket: must be auto, hour, day, week or a number of milliseconds")
        }),
    }
}

/// List the activity of all graphs by hour, event type and user.
pub(super) async fn all_activity(
    State(app): State<App>,
    query: QueryParameters,
    ResponseFormat(format): ResponseFormat,
) -> Result<Response, Problem> {
    let (filter, after, limit) = question(&query)?;
    let found = read::all_activity(&app.graphs, &filter, after.as_ref(), limit).await?;
    Ok(respond(StatusCode::OK, format, &ActivityOut::of(None, &found)))
}

fn question(query: &QueryParameters) -> Result<(ActivityFilter, Option<ActivityPlace>, usize), Problem> {
    let user = query.text("user").map(UserId::parse).transpose();
    let filter = ActivityFilter {
        user: user.map_err(|e| Problem::bad_request(format!("user: {e}")))?,
        event_type: query.one_of("type", &Event::NAMES.map(|name| (name, name)))?.map(str::to_owned),
        from: query.number("from")?.map(Timestamp),
        to: query.number("to")?.map(Timestamp),
    };
    let after =
        query.text("cursor").map(|text| read_cursor(text).ok_or_else(Problem::bad_cursor)).transpose()?;
    Ok((filter, after, query.limit(PAGE_DEFAULT, PAGE_MAX)?))
}

/// base64url of the graph and the row, as JSON.
pub(super) fn write_cursor(place: &ActivityPlace) -> String {
    let parts = serde_json::json!([place.graph, place.key]);
    URL_SAFE_NO_PAD.encode(parts.to_string())
}

pub(super) fn read_cursor(text: &str) -> Option<ActivityPlace> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (graph, key): (String, Option<String>) = serde_json::from_slice(&bytes).ok()?;
    Some(ActivityPlace { graph: GraphId::parse(&graph).ok()?, key })
}
