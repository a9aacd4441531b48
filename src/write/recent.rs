//! What a hot graph remembers of the way it came: its latest commits and latest operations.
//!
//! Both are bounded; what has fallen out is found in the store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use dao_projections::{Commit, GraphId, Head, OperationId, Version};

use super::answer::Ending;
use crate::{
    domain::Fingerprint,
    store::StoredCommit,
    websocket::{Deflate, MessageKind},
};

/// Commits kept for a hot graph; older ones are read from the log.
const COMMITS_MAX: usize = 1_024;
/// Bytes of commit bodies kept for a hot graph, beyond the one latest commit.
const BYTES_MAX: usize = 1 << 20;
/// Operations whose endings are kept for a hot graph; older ones are looked up in the store. More
/// than one round can hold, so that the duplicates the store finds in a round are all remembered
/// when the round is decided again.
const OPERATIONS_MAX: usize = 4_096;

/// A commit in memory: decoded, as stored, and as JSON once somebody has asked for that.
#[derive(Debug)]
pub struct Recorded {
    /// What it says.
    pub commit: Commit,
    /// Its stored bytes.
    pub body: Bytes,
    json: OnceLock<Bytes>,
    frames: [OnceLock<Bytes>; 4],
}

/// Which of the four forms there are of what live subscribers share: text or binary, compressed or not.
pub(crate) fn form(kind: MessageKind, deflate: Deflate) -> usize {
    usize::from(kind == MessageKind::Binary) * 2 + usize::from(deflate == Deflate::On)
}

impl Recorded {
    /// A commit and the bytes it was encoded to or decoded from.
    pub fn new(commit: Commit, body: Bytes) -> Arc<Self> {
        Arc::new(Self { commit, body, json: OnceLock::new(), frames: Default::default() })
    }

    /// As the store keeps it.
    pub fn stored(&self) -> StoredCommit {
        StoredCommit { version: self.commit.version, hash: self.commit.hash, body: self.body.clone() }
    }

    /// Its encoding by `encode`, made once: every reader of a commit gets the same bytes.
    pub fn json(&self, graph: &GraphId, encode: fn(&GraphId, &Commit) -> Bytes) -> Bytes {
        self.json.get_or_init(|| encode(graph, &self.commit)).clone()
    }

    /// Its frame for live subscribers, made once by `encode` and shared by all of one kind.
    pub fn frame(
        &self,
        kind: MessageKind,
        deflate: Deflate,
        encode: impl FnOnce(&Commit) -> Bytes,
    ) -> &Bytes {
        self.frames[form(kind, deflate)].get_or_init(|| encode(&self.commit))
    }
}

/// The latest commits, without a gap, up to the head.
#[derive(Debug, Default)]
pub struct Ring {
    /// The head before the first commit that is kept.
    base: Head,
    commits: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Ring {
    /// A ring that holds nothing and whose next commit follows on `head`.
    pub fn after(head: Head) -> Self {
        Self { base: head, ..Self::default() }
    }

    /// Takes the next commit; lets go of the oldest beyond the bounds.
    pub fn push(&mut self, commit: Arc<Recorded>) {
        self.bytes += commit.body.len();
        self.commits.push_back(commit);
        while self.commits.len() > 1 && (self.commits.len() > COMMITS_MAX || self.bytes > BYTES_MAX) {
            if let Some(old) = self.commits.pop_front() {
                self.bytes -= old.body.len();
                self.base = old.commit.head();
            }
        }
    }

    /// The commits after `version`, if all of them are here.
    pub fn since(
        &self,
        version: Version,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Recorded>> + use<'_>> {
        let skip = usize::try_from(version.get().checked_sub(self.base.version.get())?).ok()?;
        (skip <= self.commits.len()).then(|| self.commits.range(skip..))
    }

    /// About how much memory it takes: a commit is kept as its bytes, decoded, and as what readers were given.
    pub fn bytes(&self) -> usize {
        const FORMS: usize = 4;
        self.bytes * FORMS
    }

    /// The version before the first commit that is kept.
    pub fn base_version(&self) -> Version {
        self.base.version
    }

    /// The head after the commit `version`, if it is here.
    pub fn head_at(&self, version: Version) -> Option<Head> {
        if version == self.base.version {
            return Some(self.base);
        }
        self.at(version).map(|recorded| recorded.commit.head())
    }

    /// The commit of this number, if it is here.
    pub fn at(&self, version: Version) -> Option<&Arc<Recorded>> {
        let index = version.get().checked_sub(self.base.version.get())?.checked_sub(1)?;
        self.commits.get(usize::try_from(index).ok()?)
    }
}

/// How an operation ended, with what tells a repeat from a reuse of its id.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) fingerprint: Fingerprint,
    pub(super) ending: Ending,
}

/// The latest operations that ended here, or were found to have ended.
#[derive(Debug, Default)]
pub(super) struct Operations {
    by_id: HashMap<OperationId, Known>,
    order: VecDeque<OperationId>,
}

impl Operations {
    pub(super) fn get(&self, id: &OperationId) -> Option<&Known> {
        self.by_id.get(id)
    }

    pub(super) fn remember(&mut self, id: OperationId, known: Known) {
        if self.by_id.insert(id, known).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > OPERATIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}
