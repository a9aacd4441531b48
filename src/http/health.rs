//! `GET /healthz` and `GET /readyz`.

use axum::{Json, extract::State, response::IntoResponse};
use serde_json::{Value, json};

use super::{App, problem::Problem};

/// The process answers.
pub(super) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// The store takes writes; with what an acknowledgement promises (rule O5).
pub(super) async fn ready(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let store = app.graphs.store();
    if let Err(error) = store.check().await {
        return Err(Problem::not_ready(vec![error.to_string()]));
    }
    let durability = store.durability();
    Ok(Json(json!({
        "status": "ready",
        "store": store.location(),
        "durability": {"name": durability.name, "meaning": durability.meaning},
    })))
}
