//! A hot graph as readers see it: never ahead of the log, and what is encoded of it is encoded once.

use std::sync::OnceLock;

use bytes::Bytes;
use dao_projections::Graph;
use tokio::sync::OnceCell;

use super::{busy::busy, recent::form};
use crate::websocket::{Deflate, MessageKind};

/// A hot graph as readers see it.
#[derive(Debug)]
pub struct View {
    /// The graph after its latest durable commit.
    pub graph: Graph,
    /// The `state` answer for it, once somebody has asked for it.
    pub state: OnceLock<Bytes>,
    /// The same as the shared part of messages to live subscribers, in each of the four forms.
    parts: [OnceCell<Bytes>; 4],
}

impl View {
    /// Nobody has asked for it yet.
    pub fn new(graph: Graph) -> Self {
        Self { graph, state: OnceLock::new(), parts: Default::default() }
    }

    /// About how much memory it takes: the answer to `state`, and a usual size for each entity. Adding up the
    /// real ones would cost as much as reading them all.
    pub(super) fn bytes(&self) -> usize {
        const ENTITY_BYTES: usize = 1_024;
        let entities = self.graph.nodes().len() + self.graph.edges().len();
        entities * ENTITY_BYTES + self.state.get().map_or(0, |state| state.len())
    }

    /// Its state as part of a message, made once by `encode` whoever waits for it.
    pub async fn part(&self, kind: MessageKind, deflate: Deflate, encode: impl FnOnce() -> Bytes) -> &Bytes {
        self.parts[form(kind, deflate)].get_or_init(|| async { busy(encode) }).await
    }
}
