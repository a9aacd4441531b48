//! What health and readiness answer.

use utoipa::ToSchema;

/// The process answers.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Alive {
    #[schema(pattern = "^ok$")]
    status: String,
}

/// The store takes writes, and projections follow.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Ready {
    #[schema(pattern = "^ready$")]
    status: String,
    /// `shards`, where shards of a cluster take no writes while others do.
    #[schema(nullable = false)]
    reasons: Option<Vec<String>>,
    /// Those shards, each with the cause; for admins, as is all that follows.
    #[schema(nullable = false)]
    impaired: Option<Vec<String>>,
    /// Where histories are, without a password.
    #[schema(nullable = false)]
    store: Option<String>,
    #[schema(nullable = false)]
    durability: Option<Durability>,
    #[schema(nullable = false)]
    projections: Option<ProjectionsHealth>,
}

/// What an acknowledgement promises.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Durability {
    name: String,
    meaning: String,
}

/// The state of projections.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ProjectionsHealth {
    lag_commits: u64,
    lag_ms: u64,
    parked_graphs: u64,
    /// The first of them.
    parked: Vec<ParkedGraph>,
}

/// A graph whose history can't be folded.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ParkedGraph {
    graph_id: String,
    version: u64,
    reason: String,
}
