//! What the page of `dao-api demo` asks of its server: which graph to show, and to be killed.
//!
//! Only the server of a demo has these routes ([`super::router`]). They are not in the document.

use std::io::{self, Write};

use axum::{Json, http::StatusCode, response::IntoResponse};
use serde::Serialize;

/// The graph of the demo.
pub const DEMO_GRAPH: &str = "demo";
/// The line on standard output by which the server asks to be killed.
pub const KILL_LINE: &str = "dao-api demo: kill this server";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Demo {
    graph_id: &'static str,
}

/// Which graph the page shows.
pub(super) async fn demo() -> impl IntoResponse {
    Json(Demo { graph_id: DEMO_GRAPH })
}

/// Asks whoever started this server to kill it with SIGKILL. It answers before that happens.
pub(super) async fn kill() -> StatusCode {
    let mut out = io::stdout().lock();
    match writeln!(out, "{KILL_LINE}").and_then(|()| out.flush()) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(error) => {
            tracing::error!(%error, "nobody can be asked to kill this server");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
