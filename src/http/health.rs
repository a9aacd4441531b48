//! `GET /healthz` and `GET /readyz`.

use std::time::Duration;

use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{
    App, Projections,
    extract::AnswerAs,
    openapi::{
        answers::{Alive, Ready},
        problems::OfHealth,
    },
    problem::Problem,
    respond,
};
use crate::project::{self, Health};

/// Projections that are further behind than this are not ready.
const LAG_MAX: Duration = Duration::from_secs(10);
/// How often the lag is measured at most.
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
/// Parked graphs that are named.
const PARKED_NAMED_MAX: usize = 20;

/// The last measurement of how projections are.
#[derive(Default)]
pub(super) struct Watch {
    /// Held while measuring, so that many who ask measure once.
    last: Mutex<Option<(Instant, Health)>>,
}

/// Check whether the process answers.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "operation",
    responses((status = 200, description = "The process answers", body = Alive), OfHealth)
)]
pub(super) async fn live(AnswerAs(format): AnswerAs) -> Response {
    respond(StatusCode::OK, format, &json!({"status": "ok"}))
}

/// Check whether the server can serve, and what an acknowledgement promises (rule O5).
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "operation",
    responses((status = 200, description = "The store takes writes, and projections follow", body = Ready), OfHealth)
)]
pub(super) async fn ready(State(app): State<App>, AnswerAs(format): AnswerAs) -> Result<Response, Problem> {
    let store = app.graphs.store();
    if let Err(error) = store.check().await {
        return Err(Problem::not_ready(vec![error.to_string()]));
    }
    let durability = store.durability();
    let mut answer = json!({
        "status": "ready",
        "store": store.location(),
        "durability": {"name": durability.name, "meaning": durability.meaning},
    });
    if let Some(projections) = &app.projections {
        let health = measure(projections).await?;
        answer["projections"] = described(&health)?;
    }
    Ok(respond(StatusCode::OK, format, &answer))
}

pub(super) async fn measure(projections: &Projections) -> Result<Health, Problem> {
    let mut last = projections.watch.last.lock().await;
    if let Some((at, health)) = &*last
        && at.elapsed() < MEASURE_INTERVAL
    {
        return Ok(health.clone());
    }
    let health = project::health(&projections.stores).await;
    let health = health.map_err(|error| Problem::not_ready(vec![error.to_string()]))?;
    *last = Some((Instant::now(), health.clone()));
    Ok(health)
}

/// A projector that is dead or stuck is named; a parked graph is told, and makes nobody else wait.
fn described(health: &Health) -> Result<Value, Problem> {
    let lag = health.lag;
    if lag.age > LAG_MAX {
        let reason = format!(
            "the projector of part {} of the feed is {} s behind ({} commits wait): is a `dao-api worker` or a \
             server with PROJECTORS=on running?",
            lag.part,
            lag.age.as_secs(),
            lag.commits
        );
        return Err(Problem::not_ready(vec![reason]));
    }
    let parked =
        health.parked.iter().take(PARKED_NAMED_MAX).map(
            |(graph, parked)| json!({"graphId": graph, "version": parked.version, "reason": parked.reason}),
        );
    Ok(json!({
        "lagCommits": lag.commits,
        "lagMs": lag.age.as_millis() as u64,
        "parkedGraphs": health.parked.len(),
        "parked": parked.collect::<Vec<_>>(),
    }))
}
