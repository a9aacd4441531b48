//! What a hot graph remembers of the way it came: its latest commits.
//!
//! They are bounded; what has fallen out is found in the store. Not here: the latest operations
//! ([`super::ended_operations`]).

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use dao_projections::{Commit, GraphId, Head, Version};

use crate::store::StoredCommit;

/// Shared encodings of a commit, and of a state, that this layer keeps for another without knowing what they are. Beyond
/// them nothing is shared: every caller encodes for itself.
pub const ENCODING_SLOTS: usize = 5;

/// Commits kept for a hot graph; older ones are read from the log.
const COMMITS_MAX: usize = 1_024;
/// Bytes of commit bodies kept for a hot graph, beyond the one latest commit.
const BYTES_MAX: usize = 1 << 20;
/// About how much memory these commits may take, beyond the one latest: decoded they are up to eighty times their
/// stored bytes. What is not kept is decoded again by whoever looks back that far, and then costs memory at a time that
/// others choose; so it is about what [`BYTES_MAX`] of commits with many small fields come to.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Commits that a hot graph keeps where memory is short, at most.
const COMMITS_WHEN_SHORT: usize = 16;
/// About how much memory those may take.
const HELD_BYTES_WHEN_SHORT: usize = 256 << 10;
/// A commit in memory: decoded, as stored, and as JSON once somebody has asked for that.
#[derive(Debug)]
pub struct Recorded {
    /// What it says.
    pub commit: Commit,
    /// Its stored bytes.
    pub body: Bytes,
    /// About how much memory it takes, with what readers are given of it.
    held_bytes: usize,
    json: OnceLock<Bytes>,
    /// Kept for `http`, which fills them with the frames that live subscribers share.
    encoded: [OnceLock<Bytes>; ENCODING_SLOTS],
}

impl Recorded {
    /// A commit and the bytes it was encoded to or decoded from.
    pub fn new(commit: Commit, body: Bytes) -> Arc<Self> {
        /// How often its bytes are kept, about: as stored, as JSON, and as frames.
        const FORMS: usize = 5;
        let held_bytes = size_of::<Self>() + commit.held_bytes() + FORMS * body.len();
        Arc::new(Self { commit, body, held_bytes, json: OnceLock::new(), encoded: Default::default() })
    }

    /// As the store keeps it.
    pub fn stored(&self) -> StoredCommit {
        StoredCommit { version: self.commit.version, hash: self.commit.hash, body: self.body.clone() }
    }

    /// Its encoding by `encode`, made once: every reader of a commit gets the same bytes.
    pub fn json(&self, graph: &GraphId, encode: fn(&GraphId, &Commit) -> Bytes) -> Bytes {
        self.json.get_or_init(|| encode(graph, &self.commit)).clone()
    }

    /// Its encoding in this slot, made once by `encode` and shared by all who use the slot.
    pub fn encoded(&self, slot: usize, encode: impl FnOnce(&Commit) -> Bytes) -> Bytes {
        match self.encoded.get(slot) {
            Some(encoded) => encoded.get_or_init(|| encode(&self.commit)).clone(),
            None => encode(&self.commit),
        }
    }
}

/// The latest commits, without a gap, up to the head.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// The head before the first commit that is kept.
    base: Head,
    commits: VecDeque<Arc<Recorded>>,
    /// Bytes of their bodies.
    bytes: usize,
    held_bytes: usize,
}

impl Ring {
    /// A ring that holds nothing and whose next commit follows on `head`.
    pub fn after(head: Head) -> Self {
        Self { base: head, ..Self::default() }
    }

    /// Takes the next commit; lets go of the oldest beyond the bounds.
    pub fn push(&mut self, commit: Arc<Recorded>) {
        self.bytes += commit.body.len();
        self.held_bytes += commit.held_bytes;
        self.commits.push_back(commit);
        while self.commits.len() > 1
            && (self.commits.len() > COMMITS_MAX
                || self.bytes > BYTES_MAX
                || self.held_bytes > HELD_BYTES_MAX)
        {
            self.pop();
        }
    }

    /// Lets go of all but the latest, and of those too if they are large, because memory is short.
    pub(super) fn shorten(&mut self) {
        while self.commits.len() > COMMITS_WHEN_SHORT || self.held_bytes > HELD_BYTES_WHEN_SHORT {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(old) = self.commits.pop_front() {
            self.bytes -= old.body.len();
            self.held_bytes -= old.held_bytes;
            self.base = old.commit.head();
        }
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Recorded>> {
        self.commits.iter()
    }

    /// The commits after `version`, if all of them are here.
    pub fn since(
        &self,
        version: Version,
    ) -> Option<impl DoubleEndedIterator<Item = &Arc<Recorded>> + use<'_>> {
        let skip = usize::try_from(version.get().checked_sub(self.base.version.get())?).ok()?;
        (skip <= self.commits.len()).then(|| self.commits.range(skip..))
    }

    /// About how much memory it takes.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The version before the first commit that is kept.
    pub fn base_version(&self) -> Version {
        self.base.version
    }

    /// The head after all of them.
    pub fn head(&self) -> Head {
        self.commits.back().map_or(self.base, |last| last.commit.head())
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
