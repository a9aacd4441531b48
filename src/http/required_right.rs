//! The right that a command needs beyond the route's (rules L5, L8, L9). The guard knows the path and not the command, so
//! this is checked once the command is read.

use dao_projections::GraphId;

use super::{authentication::may, problem::Problem};
use crate::{
    auth::{Grant, Right},
    domain::{Command, Operation},
};

/// The right on its graph that all of these operations need.
pub(super) fn required_right(operations: &[Operation]) -> Right {
    let mut members = operations.iter().flat_map(|operation| operation.action.members());
    match members.any(|member| needs_admin(&member.command)) {
        true => Right::Admin,
        false => Right::Write,
    }
}

/// Checks it; without keys everybody has every right.
pub(super) fn check(grant: Option<&Grant>, graph: &GraphId, operations: &[Operation]) -> Result<(), Problem> {
    grant.map_or(Ok(()), |grant| may(grant, required_right(operations), graph))
}

fn needs_admin(command: &Command) -> bool {
    matches!(command, Command::DeleteGraph { .. } | Command::RecoverGraph) || command.writes_settings()
}
