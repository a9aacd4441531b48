//! The answers to batches.

use utoipa::ToSchema;

use super::{super::problems::Problem, Accepted};

/// A batch: one commit, or how each of its members went.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum BatchAnswer {
    Atomic(Accepted),
    EachByItself(BatchResults),
}

/// How the members of a batch went, in order.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchResults {
    #[schema(format = "uuid")]
    batch_id: String,
    results: Vec<Member>,
}

/// One member of a batch.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum Member {
    Accepted(Accepted),
    Refused(RefusedMember),
}

/// A member that was refused.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct RefusedMember {
    accepted: bool,
    #[schema(format = "uuid")]
    operation_id: String,
    status: RefusedStatus,
    version: u64,
    error: Problem,
    #[schema(nullable = false)]
    duplicate: Option<bool>,
}

/// `conflict` for a 409, `failed` for other refusals.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum RefusedStatus {
    Conflict,
    Failed,
}

/// A member that was left out because its target is gone; its place in `results` is null.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SkippedMember {
    index: u32,
    /// Why it would have been refused: `TARGET_DELETED`, `NODE_NOT_FOUND` or `EDGE_NOT_FOUND`.
    code: String,
}
