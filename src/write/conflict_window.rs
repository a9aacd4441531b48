//! How far back a round of judgements looks: this round, the commits in memory, and what was read of
//! the log where those do not reach.
//!
//! Invariant: a round reads each commit of the log once at most to sift it, however many operations
//! ask and however often they are judged again. Not here: what a history means (`domain::conflict`).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    sync::Arc,
};

use dao_projections::{
    Commit, EdgeId, Entity, Graph, GraphId, Hash, NodeId, OperationId, Timestamp, Version,
};

use super::{
    copy::CopySource,
    history_reader,
    ring::{Recorded, Ring},
};
use crate::{
    domain::{CopyFrom, History, HistoryMissing, Interest, Operation, Past, Saver, Source, Undone},
    store::{EventStore, ProjectionStore, StoreError},
};

/// Earlier graphs that a round holds at once.
const GRAPHS_MAX: usize = 4;

/// What was read of the log for operations whose authors are further behind than the ring goes.
#[derive(Debug, Default)]
pub(super) struct OlderCommits {
    /// Everything that can matter to any operation of the round is here, after the first of these
    /// versions and up to the second.
    span: Option<(Version, Version)>,
    touching: CommitsByEntity,
    /// Single commits that were asked for by number, without their events.
    single: Vec<Commit>,
    /// Hashes of versions that were asked for.
    hashes: HashMap<Version, Hash>,
    /// Graphs at the versions that savers of documents started from.
    graphs: HashMap<Version, Graph>,
    /// By the version after which they were looked for and whose they are: commits, and up to which version.
    owned: HashMap<(Version, OperationId), (Vec<Commit>, Version)>,
    /// The graph that was to be copied last: a round holds one at most.
    source: Option<(CopyFrom, CopySource)>,
    /// Versions at times that were asked for.
    times: HashMap<Timestamp, Version>,
    /// What operations that are to be undone did. As a round is judged again its own commits are others.
    pasts: Vec<(Vec<Undone>, Past)>,
    /// What the operations of the round are about; found out when it is first needed.
    interest: Option<Interest>,
}

/// Of each commit what matters, by what it touches: what one operation looks for is not in proportion to
/// what all look for.
#[derive(Debug, Default)]
struct CommitsByEntity {
    nodes: HashMap<NodeId, CommitsByVersion>,
    edges: HashMap<EdgeId, CommitsByVersion>,
    viewport: CommitsByVersion,
    graph: CommitsByVersion,
}

type CommitsByVersion = BTreeMap<Version, Arc<Commit>>;

impl CommitsByEntity {
    fn add(&mut self, commit: Commit) {
        let commit = Arc::new(commit);
        for event in &commit.body.events {
            let commits = match event.entity() {
                Entity::Node(id) => self.nodes.entry(id.clone()).or_default(),
                Entity::Edge(id) => self.edges.entry(id.clone()).or_default(),
                Entity::Viewport => &mut self.viewport,
                Entity::Graph => &mut self.graph,
            };
            commits.insert(commit.version, commit.clone());
        }
    }

    /// Those after a version that touch any of `wanted`, oldest first, each once.
    fn after(
        &self,
        version: Version,
        wanted: &HashSet<Entity<'_>>,
    ) -> impl Iterator<Item = &Commit> + use<'_> {
        let mut found = BTreeMap::new();
        for entity in wanted {
            let commits = match entity {
                Entity::Node(id) => self.nodes.get(*id),
                Entity::Edge(id) => self.edges.get(*id),
                Entity::Viewport => Some(&self.viewport),
                Entity::Graph => Some(&self.graph),
            };
            let later = (Bound::Excluded(version), Bound::Unbounded);
            found.extend(commits.into_iter().flat_map(|commits| commits.range(later)));
        }
        found.into_values().map(|commit| &**commit)
    }
}

impl OlderCommits {
    /// A round is judged from its beginning.
    pub(super) fn begin_round(&mut self) {
        self.pasts.clear();
    }

    /// How much is to be taken back by what was read so far.
    pub(super) fn undone_weight(&self) -> usize {
        self.pasts.iter().map(|(_, past)| past.weight()).sum()
    }

    /// The graph that is to be copied was read.
    pub(super) fn keep_source(&mut self, from: CopyFrom, source: CopySource) {
        self.source = Some((from, source));
    }

    fn source(&self, from: &CopyFrom) -> Option<&CopySource> {
        self.source.as_ref().filter(|(of, _)| of == from).map(|(_, source)| source)
    }

    /// The commits that are copied from it.
    pub(super) fn copied(&self, from: &CopyFrom) -> &[Arc<Recorded>] {
        self.source(from).map_or(&[], |source| &source.commits)
    }

    /// The version at this time was found.
    pub(super) fn keep_version_at(&mut self, time: Timestamp, version: Version) {
        self.times.insert(time, version);
    }

    /// What these operations did was read.
    pub(super) fn keep_past(&mut self, operations: Vec<Undone>, past: Past) {
        self.pasts.push((operations, past));
    }

    /// Reads who made one commit, and when.
    async fn read_one(
        &mut self,
        store: &dyn EventStore,
        id: &GraphId,
        version: Version,
    ) -> Result<(), StoreError> {
        let Some(recorded) = history_reader::one(store, id, version).await? else {
            let problem = "this commit is missing".to_owned();
            return Err(StoreError::Corrupt { graph: id.clone(), version, problem });
        };
        let mut commit = recorded.commit.clone();
        commit.body.events = vec![];
        self.single.push(commit);
        Ok(())
    }

    /// Reads what `operation`, one of `requests`, misses; `base` is where the ring begins.
    pub(super) async fn read(
        &mut self,
        (store, rows, id): (&dyn EventStore, Option<&dyn ProjectionStore>, &GraphId),
        missing: HistoryMissing,
        operation: &Operation,
        (requests, graph): (&[Vec<Operation>], &Graph),
        base: Version,
    ) -> Result<(), StoreError> {
        match missing {
            HistoryMissing::Since(version, wanted) => {
                // Of an atomic batch all at once: it is judged again from its first member.
                let versions = operation.action.members().iter().filter_map(|member| member.client_version);
                let after = versions.min().map_or(version, |least| least.min(version));
                let interest =
                    self.interest.get_or_insert_with(|| Interest::of(requests.iter().flatten(), graph));
                if !interest.covers(&wanted) {
                    // An operation of this round put something into what a later one deletes.
                    interest.join(*wanted);
                    (self.span, self.touching) = (None, CommitsByEntity::default());
                }
                let sieve = |commit| interest.part_of(commit);
                let (from, to) = self.span.unwrap_or((base, base));
                for (after, to) in [(after, from), (to, base)] {
                    let found = history_reader::sift(store, id, after, to, sieve).await?;
                    found.into_iter().for_each(|commit| self.touching.add(commit));
                }
                self.span = Some((after.min(from), base));
            }
            HistoryMissing::At(version) => self.read_one(store, id, version).await?,
            HistoryMissing::Graph(version) => {
                let graph = history_reader::at_version(store, rows, id, version).await?;
                // An operation asks for one: of many in a round few are held.
                if self.graphs.len() >= GRAPHS_MAX {
                    self.graphs.clear();
                }
                self.graphs.insert(version, graph);
            }
            HistoryMissing::Owned(version) => {
                let save = operation.action.save();
                let versions = save.map_or(&[][..], |(save, _)| save.named_versions());
                let client = operation.is_client_named.then_some(&operation.client);
                let saver = Saver { user: &operation.user, client, versions };
                let sieve = |commit| Some(commit).filter(|commit| saver.owns(commit));
                let found = history_reader::sift(store, id, version, base, sieve).await?;
                self.owned.insert((version, operation.id), (found, base));
            }
            // They are read by the task, where the round's own commits are at hand.
            HistoryMissing::Past(_) | HistoryMissing::VersionAt(_) | HistoryMissing::Source(_) => {}
            HistoryMissing::Hash(version) => {
                // Of the whole round at once: a batch may name as many versions as it has members.
                let claims = requests.iter().flatten().flat_map(|operation| &operation.claims);
                let older = claims.map(|claim| claim.version).filter(|claimed| *claimed < base);
                let wanted: BTreeSet<Version> = older.chain([version]).collect();
                let wanted = wanted.into_iter().filter(|wanted| !self.hashes.contains_key(wanted)).collect();
                let found = history_reader::hashes_at(store, id, &wanted).await?;
                // A history that ends before a version has no hash for it: the append, or a read of the head,
                // finds that.
                self.hashes.extend(
                    wanted
                        .into_iter()
                        .map(|wanted| (wanted, found.get(&wanted).copied().unwrap_or_default())),
                );
            }
        }
        Ok(())
    }
}

/// All that a judgement can look back on.
pub(super) struct ConflictWindow<'a> {
    pub(super) ring: &'a Ring,
    /// The commits of this round.
    pub(super) pending: &'a [Arc<Recorded>],
    pub(super) older: &'a OlderCommits,
    /// The graph before this round.
    pub(super) graph: &'a Graph,
    /// The operation that is judged.
    pub(super) operation: OperationId,
}

impl History for ConflictWindow<'_> {
    fn since(
        &self,
        version: Version,
        wanted: &HashSet<Entity<'_>>,
    ) -> Option<Box<dyn Iterator<Item = &Commit> + '_>> {
        let pending = self.pending.iter().map(|recorded| &recorded.commit);
        if let Some(recent) = self.ring.since(version) {
            return Some(Box::new(recent.map(|recorded| &recorded.commit).chain(pending)));
        }
        if let Some(first) = self.pending.first().filter(|first| version >= first.commit.version) {
            let skip = version.since(first.commit.version) as usize + 1;
            return Some(Box::new(pending.skip(skip)));
        }
        let base = self.ring.base_version();
        self.older.interest.as_ref().filter(|known| known.covers(&Interest::in_entities(wanted)))?;
        self.older.span.filter(|(since, to)| *since <= version && *to >= base)?;
        let recent = self.ring.since(base)?.map(|recorded| &recorded.commit);
        Some(Box::new(self.older.touching.after(version, wanted).chain(recent).chain(pending)))
    }

    fn at(&self, version: Version) -> Option<&Commit> {
        let pending = self.pending.iter().map(|recorded| &recorded.commit);
        let in_memory = self.ring.at(version).map(|recorded| &recorded.commit);
        in_memory
            .or_else(|| pending.into_iter().find(|commit| commit.version == version))
            .or_else(|| self.older.single.iter().find(|commit| commit.version == version))
    }

    fn graph_at(&self, version: Version) -> Option<Graph> {
        if version < self.graph.head().version {
            return self.older.graphs.get(&version).cloned();
        }
        let mut graph = self.graph.clone();
        let pending = self.pending.iter().map(|recorded| &recorded.commit);
        pending.take_while(|commit| commit.version <= version).for_each(|commit| graph.apply(commit));
        Some(graph)
    }

    fn owned_since(&self, version: Version, saver: &Saver<'_>) -> Option<Vec<&Commit>> {
        let base = self.ring.base_version();
        let older = match version < base {
            true => {
                let found = self.older.owned.get(&(version, self.operation));
                &found.filter(|(_, to)| *to >= base)?.0[..]
            }
            false => &[],
        };
        // Nothing of the ring, where the version is one of this round.
        let recent = self.ring.since(version.max(base)).into_iter().flatten();
        let recent = recent.chain(self.pending).map(|recorded| &recorded.commit);
        let after = older.last().map_or(version, |last| last.version.max(version));
        let recent = recent.filter(|commit| commit.version > after && saver.owns(commit));
        Some(older.iter().chain(recent).collect())
    }

    fn hash_at(&self, version: Version) -> Option<Hash> {
        let pending = || self.pending.iter().find(|recorded| recorded.commit.version == version);
        let recent = self.ring.head_at(version).map(|head| head.hash);
        recent
            .or_else(|| pending().map(|recorded| recorded.commit.hash))
            .or_else(|| self.older.hashes.get(&version).copied())
    }

    fn version_at(&self, time: Timestamp) -> Option<Version> {
        if self.graph.last_modified().is_none_or(|last| last <= time) {
            let pending = self.pending.iter().map(|recorded| &recorded.commit);
            let until = pending.take_while(|commit| commit.body.timestamp <= time);
            return Some(until.last().map_or(self.graph.head().version, |commit| commit.version));
        }
        self.older.times.get(&time).copied()
    }

    fn source(&self, from: &CopyFrom) -> Option<&Source> {
        self.older.source(from).map(|source| &source.source)
    }

    fn past(&self, operations: &[Undone]) -> Option<&Past> {
        self.older.pasts.iter().find(|(of, _)| of == operations).map(|(_, past)| past)
    }
}
