//! What is durable, and shared by all instances and workers: histories, and what the read side keeps.
//! It also remembers every point that any history ever had, with what the graph was there: what
//! subscribers are given and what rows say is held against that, the moment it happens.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use dao_api::{
    domain::{OperationRecord, RecordedOutcome},
    store::{
        Append, Entry, FeedEntry, FeedPlace, ParkedGraph, Publication, PublicationSender, RefusalPlace,
        RowsHead, StoredCommit, StoredRefusal,
    },
};
use dao_projections::{Commit, CommitBody, Graph, GraphId, Head, OperationId, Version};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::rng::Rng;

/// In so many parts is the feed.
pub const FEED_PARTS: u32 = 2;

/// What the graph was at one point of a history.
#[derive(Clone, Default)]
pub struct Point {
    pub graph: Graph,
    /// Events by row key, and undone operations: counted by hand, for the activity projection.
    pub activity: BTreeMap<String, u64>,
    /// How often this point was lost from the log. One append that is made again may bring it back.
    pub lost: u64,
}

/// What is durable of one graph.
#[derive(Default)]
pub struct Log {
    pub commits: Vec<StoredCommit>,
    pub records: BTreeMap<OperationId, Bytes>,
    pub refusals: Vec<StoredRefusal>,
    /// Every point there ever was, but the empty one and those that can't be read.
    pub ever: HashMap<Head, Point>,
    /// What each point there ever was follows on.
    pub before: HashMap<Head, Head>,
    /// How often its history was cut off.
    pub upheavals: u64,
}

impl Log {
    pub fn head(&self) -> Head {
        self.commits.last().map_or(Head::EMPTY, StoredCommit::head)
    }

    /// Whether the history goes through this point.
    pub fn has(&self, head: Head) -> bool {
        let Some(index) = head.version.get().checked_sub(1) else { return head == Head::EMPTY };
        self.commits.get(index as usize).is_some_and(|commit| commit.head() == head)
    }

    /// Whether the history up to `head`, today's or another, has all of these points (rule D8).
    pub fn leads_through(&self, mut head: Head, points: &[(u64, String)]) -> bool {
        let mut hashes = BTreeMap::from([(head.version.get(), head.hash.to_hex())]);
        while let Some(before) = self.before.get(&head) {
            head = *before;
            hashes.insert(head.version.get(), head.hash.to_hex());
        }
        points.iter().all(|(version, hash)| hashes.get(version) == Some(hash))
    }

    /// What the graph was at this point, in whichever history.
    pub fn point(&self, head: Head) -> Option<Point> {
        if head == Head::EMPTY { Some(Point::default()) } else { self.ever.get(&head).cloned() }
    }

    /// The contract of `append`, in as few lines as it takes.
    fn append(&mut self, expected: Head, entries: &[Entry]) -> Append {
        let known = |entry: &Entry| Some((entry.operation, self.records.get(&entry.operation)?.clone()));
        let duplicates: Vec<_> = entries.iter().filter_map(known).collect();
        if !duplicates.is_empty() {
            return Append::Duplicate(duplicates);
        }
        if expected != self.head() {
            return Append::HeadMoved(self.head());
        }
        for entry in entries {
            self.records.insert(entry.operation, entry.record.clone());
            if let Some(commit) = &entry.commit {
                self.push(commit.clone());
            }
            self.refusals.extend(entry.refused_at.map(|version| StoredRefusal {
                place: RefusalPlace { version, number: self.refusals.len() as u64 + 1 },
                operation: entry.operation,
                record: entry.record.clone(),
            }));
        }
        Append::Appended
    }

    /// One more commit, whoever made it.
    pub fn push(&mut self, commit: StoredCommit) {
        let (before, head) = (self.point(self.head()), commit.head());
        self.before.insert(head, self.head());
        if let (Some(mut point), Ok(body)) = (before, CommitBody::decode(&commit.body)) {
            let hour = body.timestamp.0 / 3_600_000;
            for event in &body.events {
                let kind = serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned();
                *point.activity.entry(format!("{hour:010}/{kind}/{}", body.user_id)).or_default() += 1;
            }
            for undone in &body.undoes {
                point.activity.insert(format!("undone/{undone}"), commit.version.get());
            }
            point.graph.apply(&Commit { version: commit.version, hash: commit.hash, body });
            point.lost = self.ever.get(&head).map_or(0, |known| known.lost);
            self.ever.insert(head, point);
        }
        self.commits.push(commit);
    }

    /// Loses its commits after `keep`, and what hangs on them, as a fail-over does.
    pub fn cut(&mut self, keep: usize) {
        self.upheavals += 1;
        for lost in self.commits.split_off(keep.min(self.commits.len())) {
            if let Some(point) = self.ever.get_mut(&lost.head()) {
                point.lost += 1;
            }
        }
        let end = self.head().version;
        self.refusals.retain(|refusal| refusal.place.version <= end);
        self.records.retain(|_, bytes| {
            let at = match OperationRecord::decode(bytes).unwrap().outcome {
                RecordedOutcome::Committed { version } => version,
                RecordedOutcome::Unchanged(by) | RecordedOutcome::Refused { by, .. } => by.version,
            };
            at <= end
        });
    }
}

/// How often what goes wrong, in percent of calls or hints; `crash` in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub fail: u64,
    pub unknown: u64,
    pub slow: u64,
    pub crash: u64,
    /// Hints that get lost.
    pub lost: u64,
}

/// One part of the feed.
#[derive(Default)]
pub struct Part {
    pub entries: Vec<FeedEntry>,
    pub trimmed: FeedPlace,
    pub end: FeedPlace,
}

/// The rows of one projection of one graph.
pub struct StoredRows {
    pub at: RowsHead,
    pub rows: BTreeMap<String, Bytes>,
}

/// What the read side keeps.
#[derive(Default)]
pub struct ReadSide {
    pub feed: [Part; FEED_PARTS as usize],
    pub places: BTreeMap<(String, u32), FeedPlace>,
    pub leases: BTreeMap<(String, u32), (String, Instant)>,
    pub rows: BTreeMap<(GraphId, String), StoredRows>,
    pub checkpoints: BTreeMap<GraphId, BTreeMap<Version, (Head, Bytes)>>,
    pub parked: BTreeMap<GraphId, ParkedGraph>,
    pub documents: BTreeMap<(String, String), (u64, Bytes)>,
    /// Changes of documents so far.
    pub document_changes: u64,
    /// Appends so far: what places and times are made of.
    appends: u64,
}

/// Somebody who listens to a graph.
struct Listener {
    store: usize,
    graph: GraphId,
    sender: Arc<PublicationSender>,
    death: CancellationToken,
}

/// The durable part, which all instances share, and those who listen to it.
#[derive(Default)]
pub struct Shared {
    pub graphs: BTreeMap<GraphId, Log>,
    pub read_side: ReadSide,
    pub trouble: Trouble,
    /// Whether hints get lost without a word; else who listens is told that there was something.
    pub loses_silently: bool,
    /// How often, in percent, a read gives a few commits where more were asked for.
    pub pieces: u64,
    /// So many of the next changes of rows come too late: another worker was faster.
    pub lost_races: u32,
    /// The points that operations named, one list for each way they were sent.
    pub claims: BTreeMap<OperationId, Vec<Vec<(u64, String)>>>,
    /// What somebody did or was given that the rules forbid.
    pub misuse: Vec<String>,
    listeners: Vec<Listener>,
    luck: Option<Rng>,
}

impl Shared {
    pub fn new(luck: Rng, trouble: Trouble, loses_silently: bool) -> Self {
        Self { luck: Some(luck), trouble, loses_silently, ..Self::default() }
    }

    /// An append takes effect; everybody but its author may hear of it.
    pub fn land(&mut self, graph: &GraphId, expected: Head, entries: &[Entry], author: usize) -> Append {
        let is_known = |entry: &&Entry| self.claims.contains_key(&entry.operation);
        let log = self.graphs.entry(graph.clone()).or_default();
        let outcome = log.append(expected, entries);
        if let Append::Appended = outcome {
            let mut known = entries.iter().filter(is_known);
            let is_misled = |entry: &&Entry| {
                let mut ways = self.claims[&entry.operation].iter();
                !ways.any(|points| log.leads_through(expected, points))
            };
            if let Some(entry) = known.find(is_misled) {
                let problem =
                    format!("{} was judged on a history that its author did not name", entry.operation);
                self.misuse.push(problem);
            }
        }
        let commits: Vec<StoredCommit> = entries.iter().filter_map(|entry| entry.commit.clone()).collect();
        if let (Append::Appended, Some(first), Some(last)) = (&outcome, commits.first(), commits.last()) {
            self.tell_feed(graph, first.version, last.version);
            self.publish(graph, &Publication::Commits(commits), author);
        }
        outcome
    }

    /// The feed tells of these commits.
    pub fn tell_feed(&mut self, graph: &GraphId, from: Version, to: Version) {
        self.read_side.appends += 1;
        let now = self.read_side.appends;
        let part = &mut self.read_side.feed[feed_part(graph) as usize];
        part.end = FeedPlace { major: now, minor: 0 };
        part.entries.push(FeedEntry {
            place: part.end,
            graph: graph.clone(),
            from,
            to,
            at_ms: now,
            purged: None,
        });
    }

    pub fn listen(
        &mut self,
        graph: &GraphId,
        store: usize,
        sender: Arc<PublicationSender>,
        death: CancellationToken,
    ) {
        self.listeners.push(Listener { store, graph: graph.clone(), sender, death });
    }

    /// Tells those who listen, but `author`: in time, late, twice, not all, or not at all.
    pub fn publish(&mut self, graph: &GraphId, hint: &Publication, author: usize) {
        let Some(luck) = &mut self.luck else { return };
        self.listeners.retain(|listener| listener.sender.is_listened_to() && !listener.death.is_cancelled());
        let told = self.listeners.iter().filter(|listener| listener.graph == *graph);
        for listener in told.filter(|listener| listener.store != author) {
            let is_lost = luck.chance(self.trouble.lost);
            let hint = match hint {
                _ if is_lost && self.loses_silently && luck.chance(50) => continue,
                _ if is_lost => Publication::MayHaveMissed,
                Publication::Commits(commits) if luck.chance(10) => {
                    Publication::Head(commits.last().unwrap().head())
                }
                hint => hint.clone(),
            };
            let times = if luck.chance(10) { 2 } else { 1 };
            for _ in 0..times {
                let late = if luck.chance(self.trouble.slow) { luck.below(500) } else { luck.below(4) };
                let (sender, hint) = (listener.sender.clone(), hint.clone());
                tokio::spawn(async move {
                    sleep(Duration::from_millis(late)).await;
                    sender.send(hint);
                });
            }
        }
    }

    /// Something is not as it must be.
    pub fn blame(&mut self, problem: impl Into<String>) {
        self.misuse.push(problem.into());
    }
}

/// In which part of the feed a graph is.
pub fn feed_part(graph: &GraphId) -> u32 {
    u32::from(*graph.as_str().as_bytes().last().unwrap()) % FEED_PARTS
}
