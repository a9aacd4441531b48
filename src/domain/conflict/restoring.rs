//! A `RESTORE_VERSION` judged (rule L11).

use std::borrow::Cow;

use dao_projections::{Entity, Event, Graph, Outcome, Version};

use super::{
    HistoryMissing,
    judgement::{Judged, Judgement},
    overlap::{Conflicts, whole},
    save_base::COMMITS_MAX,
    verdict::Decided,
    wording::conflict_message,
};
use crate::domain::{
    command::OnConflict,
    document::Saver,
    refusal::{Reason, Refusal},
    restore::{RESTORED_BYTES_MAX, Restoring, restore},
    size::json_bytes,
    version_ref::VersionRef,
};

impl Judgement<'_> {
    pub(super) fn judge_restore(&self, restoring: &Restoring) -> Judged {
        let to = match self.version_named(&restoring.to)? {
            Ok(version) => version,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let old = match to {
            Version::EMPTY => Graph::empty(),
            _ if to == self.graph.head().version => self.graph.clone(),
            _ => self.history.graph_at(to).ok_or(HistoryMissing::Graph(to))?,
        };
        let has_others = self.has_others_since()?;
        let is_conflict = has_others && self.member.on_conflict != OnConflict::Overwrite;
        let (events, result) = match restore(self.graph, &old, (to, restoring), self.limits) {
            Ok(restored) => restored,
            Err(_) if is_conflict => return Ok(Err(self.restore_conflict(&[], &old)?)),
            Err(rejection) => return Ok(Err(self.refusal(rejection)?)),
        };
        if is_conflict && !events.is_empty() {
            return Ok(Err(self.restore_conflict(&events, &old)?));
        }
        // Only a graph larger than that can make events that are.
        let bytes_of = || events.iter().map(json_bytes).sum::<usize>();
        if old.json_bytes() > RESTORED_BYTES_MAX && bytes_of() > RESTORED_BYTES_MAX {
            let message = "What is to be restored is larger than 64 MiB. Nothing was written. Restore it in parts, by \
                           `nodes` and `edges`.";
            return Ok(Err(Refusal::new(Reason::AnswerTooLarge, message)));
        }
        let is_whole = result.skipped.is_empty() && !has_others;
        let outcome = if is_whole { Outcome::Applied } else { Outcome::Merged };
        Ok(Ok(Decided { restored: Some(Box::new(result)), ..Decided::of(events, outcome) }))
    }

    /// The version that a name means in this graph (rule L13).
    fn version_named(&self, name: &VersionRef) -> Result<Result<Version, Refusal>, HistoryMissing> {
        let head = self.graph.head().version;
        Ok(match name {
            VersionRef::Head => Ok(head),
            VersionRef::Version(version) if *version > head => Err(self.version_not_found(*version)),
            VersionRef::Version(version) => Ok(*version),
            VersionRef::Label(name) => {
                let label = self.graph.metadata().labels.get(name);
                let unknown = || Refusal::new(Reason::LabelNotFound, format!("There is no label {name}"));
                label.map(|label| label.version).ok_or_else(unknown)
            }
            VersionRef::Time(time) if self.graph.last_modified().is_none_or(|last| last <= *time) => Ok(head),
            VersionRef::Time(time) => {
                Ok(self.history.version_at(*time).ok_or(HistoryMissing::VersionAt(*time))?)
            }
        })
    }

    /// Whether somebody else committed anything since the client's version, or that was too long ago to say.
    fn has_others_since(&self) -> Result<bool, HistoryMissing> {
        let Some(since) = self.stale_version() else { return Ok(false) };
        let client = self.operation.is_client_named.then_some(&self.operation.client);
        let own = match client {
            None => 0,
            // So far back it is not told apart whose commits they are.
            Some(_) if self.graph.head().version.since(since) > COMMITS_MAX => return Ok(true),
            Some(_) => {
                let saver = Saver { user: &self.operation.user, client, versions: &[] };
                self.history.owned_since(since, &saver).ok_or(HistoryMissing::Owned(since))?.len()
            }
        };
        Ok(self.graph.head().version.since(since) > own as u64)
    }

    /// It shows what others wrote of what these events change.
    fn restore_conflict(&self, events: &[Event], old: &Graph) -> Result<Refusal, HistoryMissing> {
        let entities: Vec<Entity<'_>> = events.iter().map(Event::entity).collect();
        let writes = self.writes_to(&entities)?;
        let mut conflicts = Conflicts::default();
        for event in events {
            let entity = event.entity();
            let theirs =
                writes.get(&entity).and_then(|writes| writes.iter().rev().find(|write| write.is_theirs));
            if let Some(write) = theirs {
                let (yours, current) = (whole(old, entity), whole(self.graph, entity));
                conflicts.add(entity, &[], Cow::Owned(yours), Cow::Owned(current), write.commit);
            }
        }
        let message = match conflicts.told.is_empty() {
            true => {
                let head = self.graph.head().version;
                format!(
                    "Others committed since the version that the client had. The graph is at version {head}"
                )
            }
            false => conflict_message(&conflicts),
        };
        Ok(self.conflict(Reason::Conflict, message, conflicts.told))
    }
}
