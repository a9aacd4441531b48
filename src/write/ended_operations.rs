//! What a hot graph remembers of its latest operations: how each ended, found by its id.
//!
//! Invariant: it is bounded in number, and between two rounds in bytes. What is forgotten is found in the store. The
//! slots are a ring, and what finds one in it is a number of four bytes: ids come in no order, so an index of all that
//! an entry says would be large and cold.
//!
//! Not here: the latest commits ([`super::ring`]).

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
};

use dao_projections::OperationId;
use hashbrown::HashTable;

use super::reply::Ending;
use crate::domain::Fingerprint;

/// Operations whose endings are kept for a hot graph; older ones are looked up in the store. More
/// than one round can hold, so that the duplicates the store finds in a round are all remembered
/// when the round is decided again.
const OPERATIONS_MAX: usize = 4_096;
/// About how much memory those may take between two rounds, beyond the one latest: a refusal shows what stood in the
/// way.
const OPERATION_BYTES_MAX: usize = 4 << 20;
/// Operations that are remembered where memory is short.
const OPERATIONS_WHEN_SHORT: usize = 64;

/// How an operation ended, with what tells a repeat from a reuse of its id.
#[derive(Clone, Debug)]
pub(super) struct EndedOperation {
    pub(super) fingerprint: Fingerprint,
    pub(super) ending: Ending,
}

impl EndedOperation {
    /// About how much memory it takes, with what it is found by.
    fn held_bytes(&self) -> usize {
        /// Of a slot in the index, which is half full at least.
        const INDEX_BYTES: usize = 4 * (size_of::<u32>() + 1);
        const PLACE: usize = size_of::<Slot>() + INDEX_BYTES;
        let refusal = match &self.ending {
            Ending::Completed { .. } => 0,
            Ending::Refused { refusal, .. } => refusal.message.len() + refusal.resolution_bytes(),
        };
        PLACE + refusal
    }
}

/// One operation.
#[derive(Debug)]
struct Slot {
    id: OperationId,
    known: EndedOperation,
    held_bytes: usize,
}

/// The latest operations that ended here, or were found to have ended.
#[derive(Debug, Default)]
pub(super) struct EndedOperations {
    /// In the order in which they were remembered first.
    slots: VecDeque<Slot>,
    /// The number of the first slot. Numbers begin again at 0 after the last.
    first: u32,
    /// The numbers of all slots, by the hashes of their ids.
    numbers: HashTable<u32>,
    /// Clients choose ids, and must not choose which hashes are equal.
    keyed: RandomState,
    held_bytes: usize,
}

impl EndedOperations {
    pub(super) fn get(&self, id: &OperationId) -> Option<&EndedOperation> {
        self.slots.get(self.index_of(id)?).map(|slot| &slot.known)
    }

    /// Remembers it. Of bytes there is no bound here: a round that is decided again needs all it was told of, and
    /// [`EndedOperations::trim`] comes after it.
    pub(super) fn remember(&mut self, id: OperationId, known: EndedOperation) {
        let held_bytes = known.held_bytes();
        self.held_bytes += held_bytes;
        let new = Slot { id, known, held_bytes };
        if let Some(index) = self.index_of(&id)
            && let Some(slot) = self.slots.get_mut(index)
        {
            self.held_bytes -= slot.held_bytes;
            *slot = new;
            return;
        }
        // Before it is put there, so that the ring has room for no more than there may be.
        if self.slots.len() >= OPERATIONS_MAX {
            self.forget_oldest();
        }
        let number = self.first.wrapping_add(self.slots.len() as u32);
        self.slots.push_back(new);
        let Self { slots, first, numbers, keyed, .. } = self;
        let hash_of = |number: &u32| {
            slots.get(number.wrapping_sub(*first) as usize).map_or(0, |slot| keyed.hash_one(slot.id))
        };
        numbers.insert_unique(keyed.hash_one(id), number, hash_of);
    }

    /// Forgets the oldest beyond what may be kept between two rounds.
    pub(super) fn trim(&mut self) {
        while self.held_bytes > OPERATION_BYTES_MAX && self.slots.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Forgets all but the latest, because memory is short.
    pub(super) fn shorten(&mut self) {
        while self.slots.len() > OPERATIONS_WHEN_SHORT {
            self.forget_oldest();
        }
        let Self { slots, first, numbers, keyed, .. } = self;
        slots.shrink_to_fit();
        numbers.shrink_to_fit(|number| {
            slots.get(number.wrapping_sub(*first) as usize).map_or(0, |slot| keyed.hash_one(slot.id))
        });
    }

    /// About how much memory they take.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn index_of(&self, id: &OperationId) -> Option<usize> {
        let at = |number: &u32| number.wrapping_sub(self.first) as usize;
        let is_it = |number: &u32| self.slots.get(at(number)).is_some_and(|slot| slot.id == *id);
        self.numbers.find(self.keyed.hash_one(id), is_it).map(at)
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.slots.front() else { return };
        let hash = self.keyed.hash_one(oldest.id);
        if let Ok(entry) = self.numbers.find_entry(hash, |number| *number == self.first) {
            entry.remove();
        }
        self.held_bytes -= oldest.held_bytes;
        self.slots.pop_front();
        self.first = self.first.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use dao_projections::Head;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Reason, Refusal};

    fn refused(bytes: usize) -> EndedOperation {
        let refusal = Arc::new(Refusal::new(Reason::NodeNotFound, "x".repeat(bytes)));
        EndedOperation {
            fingerprint: Fingerprint([0; 8]),
            ending: Ending::Refused { refusal, head: Head::EMPTY },
        }
    }

    fn id(n: u128) -> OperationId {
        uuid::Uuid::from_u128(n).into()
    }

    #[test]
    fn o3_what_is_remembered_of_operations_is_bounded_in_bytes_between_rounds() {
        let mut operations = EndedOperations::default();
        let ids: Vec<OperationId> = (0..100).map(id).collect();
        for id in &ids {
            operations.remember(*id, refused(1 << 20));
        }
        assert!(operations.get(&ids[0]).is_some(), "a round that is decided again needs it");
        operations.trim();
        assert!(operations.held_bytes() <= OPERATION_BYTES_MAX);
        assert!(operations.get(&ids[0]).is_none() && operations.get(&ids[99]).is_some());
        ids.iter().for_each(|id| operations.remember(*id, refused(0)));
        operations.shorten();
        assert_eq!(operations.slots.len(), OPERATIONS_WHEN_SHORT);
        while operations.slots.len() > 1 {
            operations.forget_oldest();
        }
        operations.forget_oldest();
        assert_eq!(operations.held_bytes(), 0, "what is forgotten is not counted any more");
    }

    #[test]
    fn c3_the_latest_operations_are_found_however_many_came_before() {
        // As after four thousand million operations: the numbers begin again on the way.
        let mut operations = EndedOperations { first: u32::MAX - 6_000, ..EndedOperations::default() };
        let count = 5 * OPERATIONS_MAX as u128;
        for n in 0..count {
            operations.remember(id(n), refused(0));
        }
        let oldest = count - OPERATIONS_MAX as u128;
        assert!((0..oldest).all(|n| operations.get(&id(n)).is_none()));
        assert!((oldest..count).all(|n| operations.get(&id(n)).is_some()));
        assert_eq!(operations.slots.capacity(), OPERATIONS_MAX, "the ring does not grow beyond its bound");
        let index = operations.numbers.capacity() * size_of::<u32>();
        assert!(index <= 16 * OPERATIONS_MAX, "{index} bytes");
    }

    proptest! {
        /// As a map that forgets those that came first.
        #[test]
        fn c3_operations_are_remembered_as_in_a_map(steps in proptest::collection::vec((0..40_u128, 0..9_usize), 1..300)) {
            let (mut operations, mut model, mut order) = (EndedOperations::default(), HashMap::new(), VecDeque::new());
            for (n, bytes) in steps {
                match bytes {
                    8 => {
                        operations.forget_oldest();
                        order.pop_front().map(|oldest| model.remove(&oldest));
                    }
                    bytes => {
                        operations.remember(id(n), refused(bytes));
                        if model.insert(n, refused(bytes).held_bytes()).is_none() {
                            order.push_back(n);
                        }
                    }
                }
                prop_assert_eq!(operations.held_bytes(), model.values().sum::<usize>());
                for n in 0..40 {
                    let found = operations.get(&id(n)).map(EndedOperation::held_bytes);
                    prop_assert_eq!(found, model.get(&n).copied());
                }
            }
        }
    }
}
