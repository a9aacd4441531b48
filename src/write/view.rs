//! A hot graph as readers see it: never ahead of the log, and what is encoded of it is encoded once.
//!
//! What is encoded counts as held memory for as long as somebody holds the view.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dao_projections::Graph;
use tokio::sync::OnceCell;

use super::{
    budget::{Budget, Charge},
    busy::busy,
    recent::form,
};
use crate::websocket::{Deflate, MessageKind};

/// A hot graph as readers see it.
#[derive(Debug)]
pub struct View {
    /// The graph after its latest durable commit.
    pub graph: Graph,
    /// The `state` answer for it, once somebody has asked for it.
    state: OnceLock<Bytes>,
    /// The same as the shared part of messages to live subscribers, in each of the four forms.
    parts: [OnceCell<Bytes>; 4],
    /// What is encoded of it; of a view of its own also the graph.
    held: Charge,
}

impl View {
    /// Of a graph that is counted where it is kept.
    pub(super) fn new(graph: Graph, budget: &Arc<Budget>) -> Self {
        let held = Charge::on(budget);
        Self { graph, state: OnceLock::new(), parts: Default::default(), held }
    }

    /// Of a graph that nobody else keeps.
    pub(super) fn of_its_own(graph: Graph, budget: &Arc<Budget>) -> Self {
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

    /// Its state as part of a message, made once by `encode` whoever waits for it.
    pub async fn part(&self, kind: MessageKind, deflate: Deflate, encode: impl FnOnce() -> Bytes) -> &Bytes {
        let cell = &self.parts[form(kind, deflate)];
        cell.get_or_init(|| async {
            let part = busy(encode);
            // Often it is the `state` answer itself.
            if self.state.get().is_none_or(|state| state.as_ptr() != part.as_ptr()) {
                self.held.add(part.len());
            }
            part
        })
        .await
    }

    /// Bytes of what is encoded of it.
    pub(super) fn encoded_bytes(&self) -> usize {
        self.held.bytes()
    }
}
