//! What the page of `dao-api demo` asks of its server: which graph to show, and to be killed.
//!
//! Only the server of a demo has these routes ([`super::router`]). They are not in the document.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::{Json, http::StatusCode, response::IntoResponse};
use serde::Serialize;
use tokio::time::sleep;

/// The graph of the demo.
pub const DEMO_GRAPH: &str = "demo";
/// The line on standard output by which the server asks to be killed.
pub const KILL_LINE: &str = "dao-api demo: kill this server";
/// Between the answer to a request to be killed and the line. A process that is killed sends no answer.
const ANSWER_LEAVES: Duration = Duration::from_millis(500);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Demo {
    graph_id: &'static str,
}

/// Which graph the page shows.
pub(super) async fn demo() -> impl IntoResponse {
    Json(Demo { graph_id: DEMO_GRAPH })
}

/// Asks whoever started this server to kill it with SIGKILL, once the answer had time to leave.
pub(super) async fn kill() -> StatusCode {
    tokio::spawn(async {
        sleep(ANSWER_LEAVES).await;
        let mut out = io::stdout().lock();
        if let Err(error) = writeln!(out, "{KILL_LINE}").and_then(|()| out.flush()) {
            tracing::error!(%error, "nobody can be asked to kill this server");
        }
    });
    StatusCode::ACCEPTED
}
