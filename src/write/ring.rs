//! What a hot graph remembers of the way it came: its latest commits and latest operations.
//!
//! Both are bounded; what has fallen out is found in the store.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use dao_projections::{Commit, GraphId, Head, OperationId, Version};

use super::reply::Ending;
use crate::{domain::Fingerprint, store::StoredCommit};

/// Shared encodings of a commit, and of a state, that this layer keeps for another without knowing what they are. Beyond
/// them nothing is shared: every caller encodes for itself.
pub const ENCODING_SLOTS: usize = 4;

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
/// Operations whose endings are kept for a hot graph; older ones are looked up in the store. More
/// than one round can hold, so that the duplicates the store finds in a round are all remembered
/// when the round is decided again.
const OPERATIONS_MAX: usize = 4_096;
/// About how much memory those may take between two rounds, beyond the one latest: a refusal shows what stood in the
/// way.
const OPERATION_BYTES_MAX: usize = 4 << 20;
/// Operations that are remembered where memory is short.
const OPERATIONS_WHEN_SHORT: usize = 64;

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
        const FORMS: usize = 4;
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
pub(super) struct EndedOperation {
    pub(super) fingerprint: Fingerprint,
    pub(super) ending: Ending,
}

impl EndedOperation {
    /// About how much memory it takes, with what it is found by.
    fn held_bytes(&self) -> usize {
        const PLACE: usize = 2 * (size_of::<OperationId>() + size_of::<EndedOperation>());
        let refusal = match &self.ending {
            Ending::Completed { .. } => 0,
            Ending::Refused { refusal, .. } => refusal.message.len() + refusal.resolution_bytes(),
        };
        PLACE + refusal
    }
}

/// The latest operations that ended here, or were found to have ended.
#[derive(Debug, Default)]
pub(super) struct EndedOperations {
    by_id: HashMap<OperationId, (EndedOperation, usize)>,
    order: VecDeque<OperationId>,
    held_bytes: usize,
}

impl EndedOperations {
    pub(super) fn get(&self, id: &OperationId) -> Option<&EndedOperation> {
        self.by_id.get(id).map(|(known, _)| known)
    }

    /// Remembers it. Of bytes there is no bound here: a round that is decided again needs all it was told of, and
    /// [`EndedOperations::trim`] comes after it.
    pub(super) fn remember(&mut self, id: OperationId, known: EndedOperation) {
        let bytes = known.held_bytes();
        self.held_bytes += bytes;
        match self.by_id.insert(id, (known, bytes)) {
            None => self.order.push_back(id),
            Some((_, old)) => self.held_bytes -= old,
        }
        if self.order.len() > OPERATIONS_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest beyond what may be kept between two rounds.
    pub(super) fn trim(&mut self) {
        while self.held_bytes > OPERATION_BYTES_MAX && self.order.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Forgets all but the latest, because memory is short.
    pub(super) fn shorten(&mut self) {
        while self.order.len() > OPERATIONS_WHEN_SHORT {
            self.forget_oldest();
        }
        self.by_id.shrink_to_fit();
    }

    /// About how much memory they take.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front()
            && let Some((_, bytes)) = self.by_id.remove(&oldest)
        {
            self.held_bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Reason, Refusal};

    fn refused(bytes: usize) -> EndedOperation {
        let refusal = Arc::new(Refusal::new(Reason::NodeNotFound, "x".repeat(bytes)));
        EndedOperation {
            fingerprint: Fingerprint([0; 8]),
            ending: Ending::Refused { refusal, head: Head::EMPTY },
        }
    }

    #[test]
    fn o3_what_is_remembered_of_operations_is_bounded_in_bytes_between_rounds() {
        let mut operations = EndedOperations::default();
        let ids: Vec<OperationId> = (0..100).map(|n| uuid::Uuid::from_u128(n).into()).collect();
        for id in &ids {
            operations.remember(*id, refused(1 << 20));
        }
        assert!(operations.get(&ids[0]).is_some(), "a round that is decided again needs it");
        operations.trim();
        assert!(operations.held_bytes() <= OPERATION_BYTES_MAX);
        assert!(operations.get(&ids[0]).is_none() && operations.get(&ids[99]).is_some());
        ids.iter().for_each(|id| operations.remember(*id, refused(0)));
        operations.shorten();
        assert_eq!(operations.by_id.len(), OPERATIONS_WHEN_SHORT);
        while operations.order.len() > 1 {
            operations.forget_oldest();
        }
        operations.forget_oldest();
        assert_eq!(operations.held_bytes(), 0, "what is forgotten is not counted any more");
    }
}
