//! The names of all keys, and which of them lie together.
//!
//! Invariant: the keys of one graph, its channel, its partition's feed and operation windows carry the hash
//! tag `{p}` (the braces are literal), so that a cluster keeps them on one node and one script can
//! touch them all.

use dao_projections::{GraphId, PROJECTIONS};
use fred::{types::Key, util::redis_keyslot};

/// Which format these keys are in, and how many partitions there are.
pub(super) const META: &str = "dao:meta";

/// Most partitions: the slots of a cluster.
pub(super) const PARTITIONS_MAX: u32 = 16_384;

/// A document that belongs to no graph. All of these keys share a slot: one script changes a
/// document, the names of its kind and the number of changes.
pub(super) fn document(kind: &str, name: &str) -> Key {
    format!("dao:{{document}}:{kind}:{name}").into()
}

/// The names of all documents of a kind: fields of a hash, whose values say nothing.
pub(super) fn documents(kind: &str) -> Key {
    format!("dao:{{document}}:{kind}").into()
}

/// How many changes of documents there were.
pub(super) const DOCUMENT_CHANGES: &str = "dao:{document}";

/// The slot of a key, as a cluster hashes it.
pub(super) fn slot(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}

/// The slot of all documents.
pub(super) fn documents_slot() -> u16 {
    slot(DOCUMENT_CHANGES)
}

/// The graphs that share a slot, a feed and operation windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partition(u32);

impl Partition {
    /// CRC-16/XMODEM of the graph id, as a cluster hashes keys, modulo the number of partitions.
    pub(super) fn of(graph: &GraphId, partitions: u32) -> Self {
        Self(u32::from(redis_keyslot(graph.as_str().as_bytes())) % partitions)
    }

    pub(super) fn all(partitions: u32) -> impl Iterator<Item = Self> {
        (0..partitions).map(Self)
    }

    /// The partition of this number.
    pub(super) fn numbered(number: u32) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// The slot of everything that is the partition's.
    pub(super) fn slot(self) -> u16 {
        redis_keyslot(self.fence().as_bytes())
    }

    /// The rows of one projection of the graph, and what they are true of.
    pub(super) fn projection(self, graph: &GraphId, name: &str) -> Key {
        format!("dao:{{{}}}:graph:{graph}:{name}", self.0).into()
    }

    /// The graph as it was at some versions: version → hash and state.
    pub(super) fn checkpoints(self, graph: &GraphId) -> Key {
        format!("dao:{{{}}}:graph:{graph}:checkpoints", self.0).into()
    }

    /// The rows of the catalog, by graph.
    pub(super) fn catalog(self) -> Key {
        format!("dao:{{{}}}:catalog", self.0).into()
    }

    /// Under which members each graph stands in the indexes of the catalog.
    pub(super) fn catalog_members(self) -> Key {
        format!("dao:{{{}}}:catalog:members", self.0).into()
    }

    /// An index of the catalog: a sorted set, all of one score, of `<key>\0<graph>`.
    pub(super) fn catalog_by(self, sort: &str) -> Key {
        format!("dao:{{{}}}:catalog:by:{sort}", self.0).into()
    }

    /// Graphs in the trash by the time from which they may be purged.
    pub(super) fn catalog_trash(self) -> Key {
        format!("dao:{{{}}}:catalog:trash", self.0).into()
    }

    /// What is left of purged graphs, by the digests of their names.
    pub(super) fn gone(self) -> Key {
        format!("dao:{{{}}}:gone", self.0).into()
    }

    /// Purged graphs of which something is still to be removed, by name: up to which place of the feed.
    pub(super) fn purging(self) -> Key {
        format!("dao:{{{}}}:purging", self.0).into()
    }

    /// The stream of refused operations of all graphs of the partition.
    pub(super) fn refused(self) -> Key {
        format!("dao:{{{}}}:refused", self.0).into()
    }

    /// All keys that belong to one graph alone, its commits first.
    pub(super) fn of_graph(self, graph: &GraphId) -> Vec<Key> {
        let rows = PROJECTIONS.iter().map(|projection| self.projection(graph, projection.name));
        let own = ["salt", "archive"].map(|name| self.projection(graph, name));
        let all = [self.events(graph), self.refusals(graph), self.checkpoints(graph)];
        all.into_iter().chain(rows).chain(own).collect()
    }

    /// How far readers of the feed are.
    pub(super) fn places(self) -> Key {
        format!("dao:{{{}}}:places", self.0).into()
    }

    /// Which worker is the reader of this name.
    pub(super) fn lease(self, reader: &str) -> Key {
        format!("dao:{{{}}}:lease:{reader}", self.0).into()
    }

    /// Written to learn whether replicas have what was there before it; holds nothing.
    pub(super) fn fence(self) -> Key {
        format!("dao:{{{}}}:fence", self.0).into()
    }

    /// Written to and removed at a start, to learn what may be done.
    pub(super) fn probe(self) -> Key {
        format!("dao:{{{}}}:probe", self.0).into()
    }

    /// Published on for the same reason.
    pub(super) fn probe_channel(self) -> String {
        format!("dao:{{{}}}:live:probe", self.0)
    }

    /// The graphs that are not projected any further, and why.
    pub(super) fn parked(self) -> Key {
        format!("dao:{{{}}}:parked", self.0).into()
    }

    /// The stream of the graph's commits.
    pub(super) fn events(self, graph: &GraphId) -> Key {
        format!("dao:{{{}}}:graph:{graph}:events", self.0).into()
    }

    /// The stream with an entry for each append.
    pub(super) fn feed(self) -> Key {
        format!("dao:{{{}}}:feed", self.0).into()
    }

    /// The channel on which those who follow the graph are told.
    pub(super) fn channel(self, database: u8, graph: &GraphId) -> String {
        format!("dao:{{{}}}:live:{database}:{graph}", self.0)
    }

    /// The stream of the graph's refused operations.
    pub(super) fn refusals(self, graph: &GraphId) -> Key {
        format!("dao:{{{}}}:graph:{graph}:refusals", self.0).into()
    }

    /// The names of the partition's graphs: a sorted set, all of one score, and so in byte order.
    pub(super) fn graphs(self) -> Key {
        format!("dao:{{{}}}:graphs", self.0).into()
    }

    /// The windows of a part of the index of operation ids, as of the operation windows.
    pub(super) fn index_windows(self, window: u64) -> Vec<Key> {
        let name = |w: u64| format!("dao:{{{}}}:index:{w}", self.0).into();
        vec![name(window + 1), name(window), name(window.saturating_sub(1)), name(window.saturating_sub(2))]
    }

    /// The operation windows that a script sees: the next, this, the last, and the one before.
    pub(super) fn windows(self, window: u64) -> Vec<Key> {
        let name = |w: u64| format!("dao:{{{}}}:operations:{w}", self.0).into();
        vec![name(window + 1), name(window), name(window.saturating_sub(1)), name(window.saturating_sub(2))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_documents_share_a_slot() {
        assert_eq!(document("k", "n"), Key::from("dao:{document}:k:n"));
        let slot = |key: &str| redis_keyslot(key.as_bytes());
        assert_eq!(slot("dao:{document}:k:n"), slot(DOCUMENT_CHANGES));
        assert_eq!(documents("k"), Key::from("dao:{document}:k"));
        assert_eq!(slot("dao:{document}:k"), slot(DOCUMENT_CHANGES));
    }

    #[test]
    fn keys_of_one_graph_share_a_literal_hash_tag() {
        let graph = GraphId::parse("123456789").expect("a graph id");
        // CRC-16/XMODEM of this text, its check value, is 0x31C3: below 16,384.
        let partition = Partition::of(&graph, 64);
        assert_eq!(partition, Partition(0x31C3 % 64));
        assert_eq!(partition.events(&graph), Key::from("dao:{3}:graph:123456789:events"));
        assert_eq!(partition.feed(), Key::from("dao:{3}:feed"));
        assert_eq!(partition.channel(0, &graph), "dao:{3}:live:0:123456789");
        assert_eq!(partition.windows(7)[1], Key::from("dao:{3}:operations:7"));
    }
}
