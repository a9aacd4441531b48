//! Rows that a worker keeps in memory from one pass to the next: a graph under steady work needs the same ones
//! again and again.
//!
//! Invariant: what is kept is bounded, and of graphs that are being worked on. Not here: whether it is still true,
//! which shows when it is written ([`super::fold`]).

use std::collections::HashMap;

use dao_projections::GraphId;

use super::fold::GraphFold;

/// Bytes of rows, as they are stored, that are kept of one graph; those of one that holds more are read again the
/// next time. In memory they are several times that.
const GRAPH_BYTES_MAX: usize = 128 << 10;
/// Bytes that are kept in all, shared evenly among the parts of the feed; a part that has more forgets all.
const BYTES_MAX: usize = 8 << 20;
/// What a graph counts for beside its rows.
const GRAPH_BYTES: usize = 1 << 10;
/// Passes after which a graph that nothing happened to is forgotten: more than there are while a busy one waits.
const IDLE_PASSES: u64 = 30;

/// What is kept of the graphs of one part of the feed.
pub(super) struct RowCache {
    /// With the pass in which each was used last, and its bytes.
    graphs: HashMap<GraphId, (GraphFold, u64, usize)>,
    bytes: usize,
    bytes_max: usize,
    pass: u64,
}

impl RowCache {
    /// Nothing yet, in one of so many parts of the feed.
    pub(super) fn in_one_of(parts: u32) -> Self {
        let bytes_max = BYTES_MAX / parts.max(1) as usize;
        Self { graphs: HashMap::new(), bytes: 0, bytes_max, pass: 0 }
    }

    /// Forgets everything.
    pub(super) fn forget_all(&mut self) {
        (self.graphs, self.bytes) = (HashMap::new(), 0);
    }

    /// What is kept of this graph, or nothing to begin with.
    pub(super) fn take(&mut self, graph: &GraphId) -> GraphFold {
        let Some((rows, _, bytes)) = self.graphs.remove(graph) else { return GraphFold::default() };
        self.bytes -= bytes;
        rows
    }

    /// Keeps these rows of a graph that was taken, if there is room.
    pub(super) fn put(&mut self, graph: GraphId, rows: GraphFold) {
        let bytes = GRAPH_BYTES + rows.bytes();
        if bytes > GRAPH_BYTES_MAX.min(self.bytes_max) {
            return;
        }
        if self.bytes + bytes > self.bytes_max {
            self.forget_all();
        }
        self.bytes += bytes;
        self.graphs.insert(graph, (rows, self.pass, bytes));
    }

    /// A pass is over.
    pub(super) fn forget_idle(&mut self) {
        self.pass += 1;
        let oldest = self.pass.saturating_sub(IDLE_PASSES);
        self.graphs.retain(|_, (_, used, bytes)| {
            let is_used = *used >= oldest;
            self.bytes -= if is_used { 0 } else { *bytes };
            is_used
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> GraphId {
        GraphId::parse(&format!("g{number}")).expect("a graph id")
    }

    #[test]
    fn what_is_kept_is_bounded_and_forgotten_when_idle() {
        let mut kept = RowCache::in_one_of(1);
        for number in 0..2 * BYTES_MAX / GRAPH_BYTES {
            kept.put(id(number), GraphFold::default());
            assert!(kept.bytes <= BYTES_MAX && kept.bytes == kept.graphs.len() * GRAPH_BYTES);
        }
        for _ in 0..IDLE_PASSES {
            kept.forget_idle();
            assert!(!kept.graphs.is_empty());
        }
        let _taken_and_used = (kept.take(&id(0)), kept.put(id(0), GraphFold::default()));
        kept.forget_idle();
        assert_eq!((kept.graphs.len(), kept.bytes), (1, GRAPH_BYTES));
        kept.take(&id(0));
        assert_eq!((kept.graphs.len(), kept.bytes), (0, 0));
    }
}
