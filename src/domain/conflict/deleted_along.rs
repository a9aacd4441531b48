//! Entities that are deleted along with a node (rule D3). Changes that others made inside the node since the client's
//! version would be destroyed unseen.

use std::collections::HashMap;

use dao_projections::Entity;

use super::{asked::Asked, judgement::Judgement, overlap::Conflicts, writes::Write};
use crate::domain::{
    command::{Command, OnConflict},
    descendants::{edges_of_all, with_descendants},
};

/// The most entities deleted along with a node that a refusal lists: a small request must not make a huge answer.
const TOLD_MAX: usize = 50;

impl<'a> Judgement<'a> {
    /// The entities that a stale `DELETE_NODE` deletes besides its target: the nodes inside it and, under `reject`
    /// (rule D5), the edges of all of them.
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

    /// Adds an entry for each of these that others created or updated, as far as there is room. Moves count only under
    /// `reject`.
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
