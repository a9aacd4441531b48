//! The right that a command needs beyond the route's (rules L5, L7 to L9, L12). The guard knows the path and not the command,
//! so this is checked once the command is read.

use dao_projections::{GraphId, LabelName};

use super::{authentication::may, problem::Problem};
use crate::{
    auth::{Grant, Right},
    domain::{Command, Operation},
};

/// The right on its graph that all of these operations need. `protected` are the labels that need `admin`.
pub(super) fn required_right(operations: &[Operation], protected: &[LabelName]) -> Right {
    let mut members = operations.iter().flat_map(|operation| operation.action.members());
    match members.any(|member| needs_admin(&member.command, protected)) {
        true => Right::Admin,
        false => Right::Write,
    }
}

/// Checks it; without keys everybody has every right.
pub(super) fn check(
    grant: Option<&Grant>,
    graph: &GraphId,
    operations: &[Operation],
    protected: &[LabelName],
) -> Result<(), Problem> {
    let Some(grant) = grant else { return Ok(()) };
    may(grant, required_right(operations, protected), graph)?;
    sources(operations).try_for_each(|source| may(grant, Right::Read, source))
}

/// The graphs that these operations copy, which needs `read` on each (rule L7).
pub(super) fn sources(operations: &[Operation]) -> impl Iterator<Item = &GraphId> {
    operations.iter().filter_map(|operation| operation.action.copied_from()).map(|from| &from.graph)
}

fn needs_admin(command: &Command, protected: &[LabelName]) -> bool {
    match command {
        Command::DeleteGraph { .. } | Command::RecoverGraph => true,
        Command::LabelVersion { labelling } => protected.contains(&labelling.name),
        command => command.writes_settings(),
    }
}
