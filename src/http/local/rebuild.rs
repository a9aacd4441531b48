//! `POST /local/graphs/{graphId}/rebuild`: the rows of a graph, from its log. The answer is lines of JSON: how much there
//! is to do, how far it is, and last what was done.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dao_projections::PROJECTIONS;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{
        app::App,
        extractors::{DecodedBody, PathIds},
        problem::Problem,
    },
    asked, stores,
};
use crate::project;

/// Lines that wait for their reader. What comes when it is full is not told: the next line says more.
const WAITING_MAX: usize = 4;

#[derive(Deserialize)]
struct RebuildBody {
    /// Only this one.
    #[serde(default)]
    projection: Option<String>,
}

/// Rebuild the rows of a graph, for as long as somebody reads the answer.
pub(super) async fn rebuild(
    State(app): State<App>,
    ids: PathIds,
    DecodedBody(document, _held): DecodedBody,
) -> Result<Response, Problem> {
    let (graph, RebuildBody { projection }) = (ids.graph()?, asked(document)?);
    let stores = stores(&app)?.clone();
    if projection.as_ref().is_some_and(|name| PROJECTIONS.iter().all(|known| known.name != name)) {
        return Err(Problem::bad_request("projection: there is none of this name"));
    }
    // The number of commits is known up front, except for those written meanwhile.
    let head = stores.events.head(&graph).await;
    let head = head.map_err(|e| Problem::from(crate::write::WriteError::from(e)).logged())?.version.get();
    let of = head * if projection.is_some() { 1 } else { PROJECTIONS.len() as u64 };
    let (tell, told) = mpsc::channel(WAITING_MAX);
    let working = tokio::spawn(async move {
        let _first = tell.try_send(line(&json!({ "of": of })));
        let mut folded = 0;
        let progress = |commits| {
            folded += commits;
            let _full = tell.try_send(line(&json!({ "folded": folded })));
        };
        let last = match project::rebuild(&stores, &graph, projection.as_deref(), progress).await {
            Ok(rebuilt) => json!({ "commits": rebuilt.commits }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        // A reader that has gone does not hear it.
        let _gone = tell.send(line(&last)).await;
    });
    let working = AbortOnDropHandle::new(working);
    let lines = futures::stream::unfold((told, working), |(mut told, working)| async move {
        let out = told.recv().await?;
        Some((Ok::<_, Infallible>(out), (told, working)))
    });
    Ok(Body::from_stream(lines).into_response())
}

fn line(value: &Value) -> Bytes {
    format!("{value}\n").into()
}
