//! A document save judged (rules DS2 to DS4, DS9, DS11 and DS12): each change that the saver wants is judged like the
//! command that says it, on the graph as the changes before it left it. Only what is done with a refusal differs: the
//! whole save is refused, or what stands is kept, or the saver's values win.
//!
//! Not here: what differs between the document and its base ([`crate::domain::document`]).

mod refusals;

use dao_projections::{Entity, Event, Graph, MergePatch, Outcome, Version};

use self::refusals::TAKEN_TOLD_MAX;
use super::{
    History, HistoryMissing,
    judgement::Judgement,
    overlap::Conflicts,
    replaced,
    save_base::{Started, start},
    save_changes::{Created, Index, taken_out, without_fields},
    save_report::{SaveReport, Saved},
    verdict::{Decided, Verdict},
    writes::Written,
};
use crate::domain::{
    command::{Command, Member, OnConflict, Operation},
    decide::decide,
    document::{Change, Intent, Save},
    entity_change::apply_all,
    interest::Interest,
    lifecycle::check_state,
    limits::Limits,
    refusal::{Conflict, Reason, Refusal},
};

/// How often a change is judged again without the fields that conflict, before it is left out: a refusal does not tell
/// of more than so many fields at once.
const KEEP_ATTEMPTS_MAX: usize = 64;

/// What `save`, the only command of `operation`, comes to on `graph`.
pub fn judge_save(
    graph: &Graph,
    operation: &Operation,
    (save, member): (&Save, &Member),
    history: &dyn History,
    limits: &Limits,
) -> Result<Saved, HistoryMissing> {
    if let Some(refusal) = replaced::check(graph, operation, history)? {
        let message = "the base is not of this graph's history";
        return Ok(Saved::refused(Refusal {
            reason: Reason::BaseUnknown,
            message: message.into(),
            ..refusal
        }));
    }
    if let Some(refusal) = check_state(graph, &member.command, limits) {
        return Ok(Saved::refused(refusal));
    }
    let started = match start(graph, operation, (save, member), history)? {
        Ok(started) => started,
        Err(refusal) => return Ok(Saved::refused(refusal)),
    };
    let intent = Intent::between(&started.graph, &save.document, &save.reading);
    let Started { own, has_others, .. } = started;
    let unlimited = Limits { nodes_max: usize::MAX, edges_max: usize::MAX, ..*limits };
    let interest = Interest::of_changes(&intent.changes, member, graph);
    let gathered = gather(&interest, graph, operation, (member, &own), history, &unlimited)?;
    let (own, written) = (own.as_slice(), &gathered);
    let saving = Saving { graph, operation, save, member, own, history, limits: &unlimited, written };
    if let Some(rejection) = intent.torn(&started.graph, &save.document) {
        return saving.rejected(rejection).map(Saved::refused);
    }
    let saved = saving.run(&intent, has_others, limits)?;
    let report = SaveReport { own: own.to_vec(), ignored: save.ignored.clone(), ..saved.report };
    Ok(Saved { report, ..saved })
}

/// The writes since the base to everything that the save is about, looked for once: each change looks up its own.
fn gather<'a>(
    interest: &Interest,
    graph: &'a Graph,
    operation: &'a Operation,
    (member, own): (&'a Member, &'a [Version]),
    history: &'a dyn History,
    limits: &'a Limits,
) -> Result<Written<'a>, HistoryMissing> {
    let judgement = Judgement { base: graph, graph, operation, member, history, limits, own, written: None };
    let entities: Vec<Entity<'_>> = interest.entities().collect();
    judgement.writes_to(&entities)
}

/// One save being judged.
struct Saving<'a> {
    graph: &'a Graph,
    operation: &'a Operation,
    save: &'a Save,
    member: &'a Member,
    own: &'a [Version],
    history: &'a dyn History,
    /// Numbers of entities are compared at the end: what is deleted makes room for what is created before it.
    limits: &'a Limits,
    written: &'a Written<'a>,
}

/// What a change is judged against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// What others did since the base.
    Base,
    /// Only what stands: the saver's values win.
    Present,
}

/// What the changes so far came to.
struct Progress<'d> {
    /// The entities of the document by id; made when one is first looked up.
    document: Option<Index<'d>>,
    then: Graph,
    events: Vec<Event>,
    is_merged: bool,
    conflicts: Conflicts,
    /// Why they are refused, one for each refusal.
    reasons: Vec<Reason>,
    /// Taken ids that were told.
    taken: usize,
}

impl<'a> Saving<'a> {
    fn run(&self, intent: &Intent, others: bool, limits: &Limits) -> Result<Saved, HistoryMissing> {
        let (then, conflicts) = (self.graph.clone(), Conflicts::default());
        let mut progress = Progress {
            document: None,
            then,
            events: vec![],
            is_merged: others,
            conflicts,
            reasons: vec![],
            taken: 0,
        };
        for change in &intent.changes {
            if let Err(refusal) = self.apply(change.clone(), &mut progress)? {
                return Ok(Saved::refused(refusal));
            }
        }
        // Each person's pan is in each save: it is only written to a graph that has none, or where it is asked for.
        let has_viewport = self.graph.viewport_version() > Version::EMPTY;
        if let Some(viewport) =
            intent.viewport.as_ref().filter(|_| self.save.reading.saves_viewport || !has_viewport)
        {
            let change = Change::Command(Command::SetViewport { viewport: viewport.clone() });
            if let Err(refusal) = self.apply(change, &mut progress)? {
                return Ok(Saved::refused(refusal));
            }
        }
        if !self.save.keeps && !progress.reasons.is_empty() {
            return Ok(Saved::refused(self.refusal_of(progress)));
        }
        if let Some(refusal) = self.too_many(&progress.then, limits)?.or_else(|| self.deletes_much(&progress))
        {
            return Ok(Saved::refused(refusal));
        }
        let Progress { then, events, is_merged, conflicts, .. } = progress;
        let report = SaveReport { kept: conflicts.told, ..SaveReport::of(&events, intent, &then) };
        if events.is_empty() {
            return Ok(Saved { verdict: Verdict::Unchanged { skipped: vec![], restored: None }, report });
        }
        let outcome = if is_merged || !report.kept.is_empty() { Outcome::Merged } else { Outcome::Applied };
        let by_member = vec![events.len()];
        Ok(Saved {
            verdict: Verdict::Accepted {
                events,
                outcome,
                by_member,
                undone: None,
                restored: None,
                skipped: vec![],
            },
            report,
        })
    }

    /// Judges a change and applies what it comes to. What conflicts is noted; a refusal that is about nothing that
    /// others did ends the save.
    fn apply(
        &self,
        change: Change,
        progress: &mut Progress<'a>,
    ) -> Result<Result<(), Refusal>, HistoryMissing> {
        let taken_out = self.taken_out_by(&change, progress);
        let mut next: Vec<_> = taken_out.into_iter().map(|change| (change, Against::Present)).collect();
        next.insert(0, (change, Against::Base));
        let mut attempts = 0;
        while let Some((change, against)) = next.pop() {
            if self.is_gone_already(&change, &progress.then) {
                continue;
            }
            if progress.taken >= TAKEN_TOLD_MAX && self.is_taken(&change, &progress.then) {
                progress.reasons.push(Reason::IdTaken);
                progress.conflicts.found += 1;
                continue;
            }
            let refusal = match self.judge(&change, against, progress)? {
                Ok(decided) => {
                    apply_all(&mut progress.then, &decided.events);
                    progress.is_merged |= decided.outcome == Outcome::Merged;
                    progress.events.extend(decided.events);
                    continue;
                }
                Err(refusal) => refusal,
            };
            if let Some(instead) = self.instead(&change, &refusal, progress) {
                next.extend(instead);
                continue;
            }
            let Some(resolution) = refusal.resolution else { return Ok(Err(refusal)) };
            attempts += 1;
            if self.save.keeps && attempts < KEEP_ATTEMPTS_MAX {
                let rest = without_fields(&change, &resolution.conflicts);
                next.extend(rest.into_iter().map(|change| (change, against)));
            }
            progress.note(refusal.reason, resolution.conflicts);
        }
        Ok(Ok(()))
    }

    /// The document wins also over others who put what it has into a node that it removes.
    fn taken_out_by(&self, change: &Change, progress: &mut Progress<'a>) -> Vec<Change> {
        let Change::Command(Command::DeleteNode { node_id }) = change else { return vec![] };
        if self.member.on_conflict != OnConflict::Overwrite {
            return vec![];
        }
        let document = progress.document.get_or_insert_with(|| Index::of(&self.save.document));
        taken_out(&progress.then, node_id, document)
    }

    /// Whether an id is there with other content, and that is to stay.
    fn is_taken(&self, change: &Change, then: &Graph) -> bool {
        let reading = &self.save.reading;
        let differs = match change {
            Change::Command(Command::CreateNode { node }) => then
                .nodes()
                .get(node.id())
                .is_some_and(|found| !reading.node_changes(&found.entity, node).is_empty()),
            Change::Command(Command::CreateEdge { edge }) => then
                .edges()
                .get(edge.id())
                .is_some_and(|found| !reading.edge_changes(&found.entity, edge).is_empty()),
            Change::Command(_) | Change::ReplaceNode(_) | Change::ReplaceEdge(_) => false,
        };
        differs && self.member.on_conflict != OnConflict::Overwrite
    }

    /// What is to be deleted and is not there any more is no change (rule DS4).
    fn is_gone_already(&self, change: &Change, then: &Graph) -> bool {
        match change {
            Change::Command(Command::DeleteNode { node_id }) => then.nodes().get(node_id).is_none(),
            Change::Command(Command::DeleteEdge { edge_id }) => then.edges().get(edge_id).is_none(),
            Change::Command(_) | Change::ReplaceNode(_) | Change::ReplaceEdge(_) => false,
        }
    }

    fn judge(
        &self,
        change: &Change,
        against: Against,
        progress: &Progress<'_>,
    ) -> Result<Result<Decided, Refusal>, HistoryMissing> {
        let (command, replaced) = match change {
            Change::Command(command) => (command.clone(), None),
            Change::ReplaceNode(node) => {
                let command = Command::BatchUpdate { nodes: vec![node.clone()], edges: None, viewport: None };
                (command, None)
            }
            // Judged as an update that writes every field.
            Change::ReplaceEdge(edge) => {
                let patch = MergePatch::new(edge.to_json());
                (Command::UpdateEdge { edge_id: edge.id().clone(), patch }, Some(edge))
            }
        };
        let member = Member {
            command,
            client_version: self.member.client_version,
            on_conflict: self.member.on_conflict,
        };
        let Self { operation, own, history, limits, written, .. } = *self;
        let written = Some(written);
        let judgement = Judgement {
            base: self.graph,
            graph: &progress.then,
            operation,
            member: &member,
            history,
            limits,
            own,
            written,
        };
        let judged = match against {
            Against::Base => judgement.run()?,
            Against::Present => match decide(&progress.then, &member.command, limits) {
                Ok(events) => Ok(Decided::of(events, Outcome::Merged)),
                Err(rejection) => Err(judgement.refusal(rejection)?),
            },
        };
        Ok(judged.map(|decided| match replaced {
            Some(edge) => Decided { events: vec![Event::EdgeReplaced { edge: edge.clone() }], ..decided },
            None => decided,
        }))
    }

    /// What takes the place of a change that was refused: equal content is no change, and under `overwrite` the saver's
    /// values win (rules DS4, DS9).
    fn instead(
        &self,
        change: &Change,
        refusal: &Refusal,
        progress: &mut Progress<'a>,
    ) -> Option<Vec<(Change, Against)>> {
        let then = &progress.then;
        let in_turn =
            |changes: Vec<Change>, against| changes.into_iter().rev().map(|c| (c, against)).collect();
        let overwrites = self.member.on_conflict == OnConflict::Overwrite;
        let reading = &self.save.reading;
        match (refusal.reason, change) {
            (Reason::IdTaken, Change::Command(Command::CreateNode { node })) => {
                let changes = reading.node_changes(&then.nodes().get(node.id())?.entity, node);
                (changes.is_empty() || overwrites).then(|| in_turn(changes, Against::Base))
            }
            (Reason::IdTaken, Change::Command(Command::CreateEdge { edge })) => {
                let changes = reading.edge_changes(&then.edges().get(edge.id())?.entity, edge);
                (changes.is_empty() || overwrites).then(|| in_turn(changes, Against::Base))
            }
            // Others put another one under the id that the document lacks.
            (
                Reason::TargetDeleted,
                Change::Command(delete @ (Command::DeleteNode { .. } | Command::DeleteEdge { .. })),
            ) if overwrites => Some(vec![(Change::Command(delete.clone()), Against::Present)]),
            (Reason::TargetDeleted, change) if overwrites => {
                let created = progress
                    .document
                    .get_or_insert_with(|| Index::of(&self.save.document))
                    .created_again(change)?;
                // Where others put another one under the id, it becomes the saver's.
                let (another, command) = match created {
                    Created::Node(node) => (
                        then.nodes().get(node.id()).map(|found| reading.node_changes(&found.entity, node)),
                        Command::CreateNode { node: reading.stored_node(node) },
                    ),
                    Created::Edge(edge) => (
                        then.edges().get(edge.id()).map(|found| reading.edge_changes(&found.entity, edge)),
                        Command::CreateEdge { edge: reading.stored_edge(edge) },
                    ),
                };
                Some(match another {
                    Some(changes) => in_turn(changes, Against::Present),
                    None => vec![(Change::Command(command), Against::Base)],
                })
            }
            _ => None,
        }
    }
}

impl Progress<'_> {
    fn note(&mut self, reason: Reason, conflicts: Vec<Conflict>) {
        self.taken += usize::from(reason == Reason::IdTaken);
        self.reasons.push(reason);
        self.conflicts.append_told(conflicts);
    }
}
