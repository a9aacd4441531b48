//! `GET /healthz` and `GET /readyz`.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    access::Access,
    app::{App, ListenerScope},
    authentication,
    extractors::ResponseFormat,
    format::respond,
    problem::Problem,
    same_origin,
};
use crate::{
    auth::{Auth, Right},
    project::Health,
};

/// Projections that lag further behind than this are not ready.
const LAG_MAX: Duration = Duration::from_secs(10);
/// Parked graphs that are listed by id.
const PARKED_NAMED_MAX: usize = 20;

/// Check that the process is alive.
pub(super) async fn live(ResponseFormat(format): ResponseFormat) -> Response {
    respond(StatusCode::OK, format, &json!({"status": "ok"}))
}

/// Check that the server is ready.
pub(super) async fn ready(
    State(app): State<App>,
    ResponseFormat(format): ResponseFormat,
    request: Request,
) -> Result<Response, Problem> {
    let shown = Detail::to(&app, request);
    let answer = match assess(&app).await {
        Ok(answer) => answer,
        Err(not_ready) => return Err(not_ready.told(shown)),
    };
    Ok(match shown {
        Detail::All => respond(StatusCode::OK, format, &answer),
        Detail::Names => respond(StatusCode::OK, format, &names_of(&answer)),
    })
}

/// How much of the answer a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// That it is ready, or the names of what is not.
    Names,
    /// Also addresses, paths, graphs and causes.
    All,
}

impl Detail {
    /// Admins of all graphs see all of it. So does everybody where there are no keys and only this machine asks, but
    /// for pages of other sites.
    fn to(app: &App, request: Request) -> Self {
        let is_own = same_origin::check(app, &request, Access::AllGraphs(Right::Read)).is_ok();
        let (parts, _) = request.into_parts();
        let is_admin = match &app.auth {
            Auth::Off => app.reach == ListenerScope::Loopback && is_own,
            Auth::Keys(_) => match authentication::proved(app, &parts) {
                Ok(Some(grant)) => grant.rights.on_all() == Some(Right::Admin),
                // A bad token counts as none: health is public.
                Ok(None) | Err(_) => false,
            },
        };
        if is_admin { Self::All } else { Self::Names }
    }
}

/// What is not ready.
struct NotReady {
    /// As everybody is told it.
    name: &'static str,
    detail: &'static str,
    cause: String,
}

impl NotReady {
    fn store(cause: String) -> Self {
        Self { name: "store", detail: "the store is unavailable; what is in memory can still be read", cause }
    }

    fn told(self, shown: Detail) -> Problem {
        let reason = match shown {
            Detail::Names => self.name.to_owned(),
            Detail::All => self.cause.clone(),
        };
        Problem::not_ready(self.detail, vec![reason]).because(self.cause)
    }
}

/// How the server is, as admins see it.
async fn assess(app: &App) -> Result<Value, NotReady> {
    let store = app.graphs.store();
    store.check().await.map_err(|error| NotReady::store(error.to_string()))?;
    let durability = store.durability();
    let mut answer = json!({
        "status": "ready",
        "store": store.location(),
        "durability": {"name": durability.name, "meaning": durability.meaning},
    });
    let impaired = store.impaired();
    if !impaired.is_empty() {
        answer["reasons"] = json!(["shards"]);
        answer["impaired"] = json!(impaired);
    }
    if let Some(projections) = &app.projections {
        match projections.lag_cache.measure(&projections.stores).await {
            Ok(health) => answer["projections"] = described(&health)?,
            // Projections of the other shards go on, but their health can't be read while a shard is unavailable.
            Err(_) if !impaired.is_empty() => {}
            Err(error) => return Err(NotReady::store(error)),
        }
    }
    Ok(answer)
}

/// The part that everybody sees.
fn names_of(answer: &Value) -> Value {
    match answer.get("reasons") {
        Some(reasons) => json!({"status": answer["status"], "reasons": reasons}),
        None => json!({"status": answer["status"]}),
    }
}

/// A dead or stuck projector makes the server not ready. A parked graph is listed, and delays no other graph.
fn described(health: &Health) -> Result<Value, NotReady> {
    let lag = health.lag;
    if lag.age > LAG_MAX {
        let cause = format!(
            "the projector of part {} of the feed is {} s behind ({} commits wait): is a `dao-api worker` or a \
             server with PROJECTORS=on running?",
            lag.part,
            lag.age.as_secs(),
            lag.commits
        );
        return Err(NotReady { name: "projections", detail: "projections are behind the log", cause });
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
