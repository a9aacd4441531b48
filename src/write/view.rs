//! A hot graph as readers see it: never ahead of the log, and what is encoded of it is encoded once.
//!
//! What is encoded counts as held memory for as long as somebody holds the view.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use dao_projections::Graph;
use tokio::sync::OnceCell;

use super::{
    blocking::run_blocking,
    budget::{MemoryBudget, MemoryCharge},
    ring::ENCODING_SLOTS,
};

/// What is encoded of a graph for answers, beside its state as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The state as MessagePack.
    StateMessagePack,
    /// All nodes as JSON.
    NodesJson,
    /// All nodes as MessagePack.
    NodesMessagePack,
    /// All edges as JSON.
    EdgesJson,
    /// All edges as MessagePack.
    EdgesMessagePack,
    /// What an editor's document has, as JSON.
    DocumentJson,
    /// The same as MessagePack.
    DocumentMessagePack,
}

/// How many of those there are.
const ENCODINGS: usize = 7;

/// One of them. It goes with its last reader.
#[derive(Debug)]
struct Encoded(Vec<u8>);

/// A reader's hold on it.
struct Held(Arc<Encoded>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0.0
    }
}

/// A hot graph as readers see it.
#[derive(Debug)]
pub struct View {
    /// The graph after its latest durable commit.
    pub graph: Graph,
    /// The `state` answer for it, once somebody has asked for it.
    state: OnceLock<Bytes>,
    /// The same as `http` keeps it to share among live subscribers.
    parts: [OnceCell<Bytes>; ENCODING_SLOTS],
    /// Encodings that somebody is reading. Held to look and to note, never while one is made.
    lent: [Mutex<Weak<Encoded>>; ENCODINGS],
    /// What is encoded of it; of a view of its own also the graph.
    held: MemoryCharge,
}

impl View {
    /// Of a graph that is counted where it is kept.
    pub(super) fn new(graph: Graph, budget: &Arc<MemoryBudget>) -> Self {
        let held = MemoryCharge::on(budget);
        let (state, parts, lent) = Default::default();
        Self { graph, state, parts, lent, held }
    }

    /// Of a graph that nobody else keeps.
    pub(super) fn of_its_own(graph: Graph, budget: &Arc<MemoryBudget>) -> Self {
        let view = Self::new(graph, budget);
        view.held.set(view.graph.held_bytes());
        view
    }

    /// The `state` answer, if somebody has asked for it before.
    pub fn known_state(&self) -> Option<&Bytes> {
        self.state.get()
    }

    /// About how many bytes the `state` answer has. It is not made for that.
    pub fn state_bytes(&self) -> usize {
        self.state.get().map_or_else(|| self.graph.json_bytes(), Bytes::len)
    }

    /// The `state` answer, made once by `encode`.
    pub fn state(&self, encode: impl FnOnce(&Graph) -> Bytes) -> &Bytes {
        self.state.get_or_init(|| {
            let state = encode(&self.graph);
            self.held.add(state.len());
            state
        })
    }

    /// This encoding, if somebody is reading it.
    pub fn lent(&self, encoding: Encoding) -> Option<Bytes> {
        let lent = self.lent[encoding as usize].lock().unwrap_or_else(PoisonError::into_inner);
        lent.upgrade().map(|encoded| Bytes::from_owner(Held(encoded)))
    }

    /// This encoding for its first reader and all who come while it is read; another's, if that was made first.
    pub fn lend(&self, encoding: Encoding, bytes: Vec<u8>) -> Bytes {
        let mut lent = self.lent[encoding as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = lent.upgrade().unwrap_or_else(|| Arc::new(Encoded(bytes)));
        *lent = Arc::downgrade(&encoded);
        Bytes::from_owner(Held(encoded))
    }

    /// Its state in this slot, made once by `encode` and shared by all who use the slot.
    pub async fn part(&self, slot: usize, encode: impl FnOnce() -> Bytes) -> Bytes {
        let Some(part) = self.parts.get(slot) else { return run_blocking(encode) };
        let part = part.get_or_init(|| async {
            let part = run_blocking(encode);
            // Often it is the `state` answer itself.
            if self.state.get().is_none_or(|state| state.as_ptr() != part.as_ptr()) {
                self.held.add(part.len());
            }
            part
        });
        part.await.clone()
    }

    /// Bytes of what is encoded of it.
    pub(super) fn encoded_bytes(&self) -> usize {
        self.held.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w6_readers_of_one_encoding_share_it_and_it_goes_with_the_last() {
        let view = View::new(Graph::default(), &MemoryBudget::new(usize::MAX));
        let first = view.lend(Encoding::NodesJson, b"[]".to_vec());
        let second = view.lend(Encoding::NodesJson, b"[ ]".to_vec());
        let third = view.lent(Encoding::NodesJson).expect("it is being read");
        assert!(first.as_ptr() == second.as_ptr() && second.as_ptr() == third.as_ptr());
        assert!(view.lent(Encoding::EdgesJson).is_none());
        drop((first, second, third));
        assert!(view.lent(Encoding::NodesJson).is_none());
    }
}
