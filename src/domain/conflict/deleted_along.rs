//! What goes when a node goes (rule D3): what others did inside of a node since the client's version would be
//! destroyed unseen when the node is deleted.

use std::collections::HashMap;

use dao_projections::Entity;

use super::{Judgement, Write, asked::Asked, overlap::Conflicts};
use crate::domain::{
    command::{Command, OnConflict},
    decide::{edges_of_all, with_descendants},
};

/// Entities deleted along with a node that a refusal tells of, each with what stands there: a small request must
/// not make a huge answer. Beyond it some are not told.
const TOLD_MAX: usize = 50;

impl<'a> Judgement<'a> {
    /// What a `DELETE_NODE` by somebody who may be behind deletes besides its target: the nodes inside of it;
    /// where anything that others touched counts (rule D5), also the edges of all of them.
    pub(super) fn deleted_along(&self) -> Vec<Entity<'a>> {
        let Command::DeleteNode { node_id } = &self.member.command else { return vec![] };
        if self.stale_version().is_none() {
            return vec![];
        }
        let going = with_descendants(self.graph, node_id);
        let inside = going.iter().skip(1).map(|node| Entity::Node(node.entity.id()));
        let mut along: Vec<Entity<'a>> = inside.collect();
        if self.member.on_conflict == OnConflict::Reject {
            along.extend(
                edges_of_all(self.graph, &going).into_iter().map(|edge| Entity::Edge(edge.entity.id())),
            );
        }
        along
    }

    /// Adds an entry for each of these that others created or updated, as far as there is room. That they only moved
    /// it counts where everything does.
    pub(super) fn unseen_work(
        &self,
        along: &[Entity<'a>],
        writes: &HashMap<Entity<'a>, Vec<Write<'a>>>,
        into: &mut Conflicts,
    ) {
        let written = along.iter().filter_map(|entity| Some((*entity, writes.get(entity)?)));
        for (entity, writes) in written.filter(|(_, writes)| writes.iter().any(|write| write.is_theirs)) {
            if into.told.len() >= TOLD_MAX || into.is_full() {
                return;
            }
            let overlap = self.overlap(entity, Asked::by(&self.member.command), writes);
            match self.member.on_conflict {
                OnConflict::Reject => overlap.everything_touched(Asked::Nothing, into),
                OnConflict::Merge | OnConflict::Overwrite => overlap.same_fields(is_unseen_work, into),
            }
        }
    }
}

/// A write by others that deleting the entity would destroy: anything but a move.
pub(super) fn is_unseen_work(write: &Write<'_>) -> bool {
    write.is_theirs && !write.fields().is_only_position(write.event.entity().kind())
}
