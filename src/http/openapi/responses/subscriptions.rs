//! What consumers of named subscriptions get.

use utoipa::ToSchema;

use super::{super::requests::FilterSent, Commit};

/// The names of all subscriptions.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SubscriptionNames {
    subscriptions: Vec<String>,
}

/// The settings of a subscription.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SubscriptionSettings {
    name: String,
    filter: FilterSent,
    start: String,
    lease_ms: u64,
    max_attempts: u32,
}

/// A subscription with its position and lag.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct SubscriptionOverview {
    name: String,
    filter: FilterSent,
    start: String,
    lease_ms: u64,
    max_attempts: u32,
    position: String,
    /// Null where it can't be told.
    #[schema(required)]
    lag_commits: Option<u64>,
    in_flight: u64,
    parked: u64,
}

/// Commits for one consumer.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Deliveries {
    deliveries: Vec<Delivery>,
}

/// One commit, until its lease ends.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Delivery {
    delivery_id: String,
    #[schema(minimum = 1)]
    attempt: u32,
    commit: Commit,
}

/// How many of the ids that were sent meant something.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Settled {
    known: u64,
    unknown: u64,
}

/// One page of what was given up.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct ParkedPage {
    parked: Vec<Parked>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A commit that no consumer could deal with.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct Parked {
    delivery_id: String,
    graph_id: String,
    version: u64,
    attempts: u32,
    reason: String,
    #[schema(required)]
    commit: Option<Commit>,
}
