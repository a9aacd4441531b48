//! What every store promises: one suite, run on each adapter.
//!
//! Titles begin with the rule of `docs/protocol.md` that needs the promise.

use std::{sync::Arc, time::Duration};

use dao_api::store::{
    EventStore,
    redis::{RedisConfig, RedisStore},
};

use crate::support::redis::RedisServer;

const OPERATION_TTL: Duration = Duration::from_secs(3_600);

/// Somewhere a store keeps its histories.
#[allow(async_fn_in_trait, reason = "only these tests implement and call it")]
trait Place {
    /// With nothing in it.
    async fn empty() -> Self;
    /// A writer's handle.
    fn store(&self) -> Arc<dyn EventStore>;
    /// Another writer's, as far from the first as the store allows.
    fn other_store(&self) -> Arc<dyn EventStore>;
    /// Ends every writer and starts again on what is there.
    async fn reopen(&mut self);
}

struct OnRedis {
    server: RedisServer,
    stores: [Arc<RedisStore>; 2],
}

impl OnRedis {
    async fn connect(server: &RedisServer) -> [Arc<RedisStore>; 2] {
        let connect = async || {
            // Two partitions: of three graphs, two share one, and of many, not all do.
            let config = RedisConfig { partitions: Some(2), ..RedisConfig::at(server.url(), OPERATION_TTL) };
            Arc::new(RedisStore::connect(config).await.expect("connect"))
        };
        [connect().await, connect().await]
    }
}

impl Place for OnRedis {
    async fn empty() -> Self {
        let server = RedisServer::start();
        let stores = Self::connect(&server).await;
        Self { server, stores }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        self.stores[0].clone()
    }

    fn other_store(&self) -> Arc<dyn EventStore> {
        self.stores[1].clone()
    }

    async fn reopen(&mut self) {
        for store in &self.stores {
            store.close().await;
        }
        self.server.restart();
        self.stores = Self::connect(&self.server).await;
    }
}

//
use dao_api::store::embedded::{EmbeddedConfig, EmbeddedStore, SyncMode};
//
struct OnDisk {
    dir: tempfile::TempDir,
    /// One handle for all: a second process is refused.
    store: Option<Arc<EmbeddedStore>>,
}

impl OnDisk {
    fn open(dir: &std::path::Path) -> Option<Arc<EmbeddedStore>> {
        let config =
            EmbeddedConfig { dir: dir.to_owned(), durability: SyncMode::Fsync, operation_ttl: OPERATION_TTL };
        Some(Arc::new(EmbeddedStore::open(config).expect("open")))
    }
}

impl Place for OnDisk {
    async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Self::open(dir.path());
        Self { dir, store }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        self.store.clone().expect("open")
    }

    fn other_store(&self) -> Arc<dyn EventStore> {
        self.store()
    }

    async fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        self.store = Self::open(self.dir.path());
    }
}

macro_rules! contract {
    ($store:ident, $place:ty, $($rule:ident)*) => {
        mod $store {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    super::rules::$rule(<$place>::empty().await).await;
                }
            )*
        }
    };
}

/// Runs every rule on every place, each in a new one.
macro_rules! on_every_store {
    ($($rule:ident)*) => {
        contract!(redis, OnRedis, $($rule)*);
        contract!(embedded, OnDisk, $($rule)*);
    };
}

on_every_store! {
    v1_an_unknown_graph_is_empty
    v1_what_was_appended_is_read
    v1_an_append_on_a_moved_head_changes_nothing
    v4_the_same_version_with_another_hash_is_a_moved_head
    v1_an_append_ahead_of_the_history_is_a_moved_head
    v1_graphs_have_nothing_to_do_with_each_other
    v2_a_thousand_entries_are_one_append
    v2_an_append_of_nothing_compares_heads
    l7_copied_commits_come_before_the_entries_and_have_no_operations
    v3_any_bytes_come_back_as_they_were
    c3_a_recorded_operation_is_a_duplicate_and_nothing_is_appended
    c3_duplicates_are_looked_for_before_heads_are_compared
    c3_a_lost_acknowledgement_is_found_out_by_appending_again
    c3_one_duplicate_among_new_operations_holds_up_all
    c3_operations_without_a_commit_are_recorded
    c3_an_operation_without_a_commit_needs_the_expected_head
    c3_commits_and_refusals_go_together
    c3_one_operation_id_can_be_used_in_many_graphs
    c3_operations_answers_in_the_order_asked
    c3_an_unknown_operation_is_found_nowhere
    a1_refusals_are_found_where_they_were_judged
    a1_only_what_was_appended_is_listed
    a1_refusals_are_read_from_either_end_within_bounds
    a1_of_many_refusals_the_latest_are_kept
    a5_graphs_are_listed_by_name
    v7_a_read_is_bounded_at_both_ends
    v7_a_read_has_a_limit
    v7_a_read_has_a_bound_in_bytes
    v7_a_read_of_bodies_beyond_the_bound_gives_one
    v6_everything_is_there_after_a_restart
    c4_writers_that_race_make_one_history
    w4_who_listens_hears_what_others_append_and_not_itself
    w7_who_listens_hears_what_others_broadcast_and_not_itself
    w4_listening_ends_and_begins_again
}

mod rules {
    use std::collections::HashSet;

    use bytes::Bytes;
    use dao_api::store::{
        Append, Entry, EventStore, Order, Publication, Publications, READ_BYTES_MAX, REFUSALS_MAX,
        RefusalPlace, StoredCommit, StoredRefusal,
    };
    use dao_projections::{GraphId, Head, Version};

    use super::Place;
    use crate::support::history::{
        accepted, accepted_all, assert_is_a_history, commit, found, graph, grow, operation, read_all, record,
        refused, refused_at, version,
    };

    pub(super) async fn v1_an_unknown_graph_is_empty(place: impl Place) {
        let (store, g) = (place.store(), graph("nobody-wrote-here"));
        assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
        assert_eq!(store.read(&g, Version::EMPTY, version(100), 100).await.unwrap(), []);
        assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [None]);
        assert_eq!(store.operations(&g, &[]).await.unwrap(), []);
        store.check().await.unwrap();
        assert!(!store.durability().name.is_empty() && !store.location().is_empty());
    }

    pub(super) async fn v1_what_was_appended_is_read(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let (entries, head) = accepted_all(1..=5, Head::EMPTY);
        assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);

        assert_eq!(store.head(&g).await.unwrap(), head);
        let commits = entries.into_iter().filter_map(|entry| entry.commit).collect::<Vec<_>>();
        assert_eq!(place.other_store().read(&g, Version::EMPTY, head.version, 100).await.unwrap(), commits);
    }

    pub(super) async fn v1_an_append_on_a_moved_head_changes_nothing(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let first = grow(&*store, &g, Head::EMPTY, [1]).await;
        let second = grow(&*store, &g, first, [2]).await;

        for stale in [Head::EMPTY, first] {
            let late = store.append(&g, stale, &[accepted(3, stale)]).await.unwrap();
            assert_eq!(late, Append::HeadMoved(second));
        }
        assert_eq!(store.head(&g).await.unwrap(), second);
        assert_eq!(store.operations(&g, &[operation(3)]).await.unwrap(), [None]);
        assert_eq!(read_all(&*store, &g).await.len(), 2);
    }

    pub(super) async fn v4_the_same_version_with_another_hash_is_a_moved_head(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        let other_history = accepted(2, Head::EMPTY).commit.unwrap().head();
        assert_eq!(head.version, other_history.version);

        let outcome = store.append(&g, other_history, &[accepted(3, other_history)]).await.unwrap();
        assert_eq!(outcome, Append::HeadMoved(head));
        assert_eq!(store.head(&g).await.unwrap(), head);
    }

    pub(super) async fn v1_an_append_ahead_of_the_history_is_a_moved_head(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let (_, ahead) = accepted_all(1..=3, Head::EMPTY);
        let far_ahead = Head { version: version(i64::MAX as u64 - 1), ..ahead };
        for head in [ahead, far_ahead] {
            let outcome = store.append(&g, head, &[accepted(9, head)]).await.unwrap();
            assert_eq!(outcome, Append::HeadMoved(Head::EMPTY));
        }
        assert_eq!(read_all(&*store, &g).await, []);
    }

    pub(super) async fn v1_graphs_have_nothing_to_do_with_each_other(place: impl Place) {
        let store = place.store();
        // Ids that are each other's prefix, or look like parts of keys or of a client's protocol.
        let ids = ["a", "ab", "a:events", "A", "message", "subscribe", "0", "feed"];
        for (i, id) in ids.iter().enumerate() {
            let numbers = (0..=i).map(|n| (i * 100 + n) as u128);
            grow(&*store, &graph(id), Head::EMPTY, numbers).await;
        }
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(read_all(&*store, &graph(id)).await.len(), i + 1, "{id}");
        }
    }

    pub(super) async fn v2_a_thousand_entries_are_one_append(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, 0..1_000).await;
        let refusals: Vec<Entry> = (1_000..4_500).map(refused).collect();
        assert_eq!(store.append(&g, head, &refusals).await.unwrap(), Append::Appended);

        let commits = read_all(&*store, &g).await;
        assert_eq!(commits.len(), 1_000);
        assert_is_a_history(&commits);
        let ids: Vec<_> = (0..4_500).map(operation).collect();
        let records: Vec<_> = (0..4_500).map(|n| Some(record(n))).collect();
        assert_eq!(store.operations(&g, &ids).await.unwrap(), records);
        let again = store.append(&g, head, &refusals).await.unwrap();
        assert!(matches!(again, Append::Duplicate(found) if found.len() == 3_500));
    }

    pub(super) async fn l7_copied_commits_come_before_the_entries_and_have_no_operations(place: impl Place) {
        let (store, g, h) = (place.store(), graph("g"), graph("h"));
        let head = grow(&*store, &g, Head::EMPTY, 0..20).await;
        let copied = read_all(&*store, &g).await;
        let entry = Entry { commit: Some(commit(head, "the fork")), ..refused(0) };
        let (first, rest) = copied.split_at(5);
        assert_eq!(store.append_copied(&h, Head::EMPTY, first, &[]).await.unwrap(), Append::Appended);
        let at = first[4].head();
        assert_eq!(store.append_copied(&h, Head::EMPTY, first, &[]).await.unwrap(), Append::HeadMoved(at));
        let entries = std::slice::from_ref(&entry);
        assert_eq!(store.append_copied(&h, at, rest, entries).await.unwrap(), Append::Appended);
        let commits = read_all(&*store, &h).await;
        assert_eq!((&commits[..20], commits.len()), (copied.as_slice(), 21));
        assert_is_a_history(&commits);
        assert_eq!(store.head(&h).await.unwrap(), commits[20].head());
        let ids: Vec<_> = (0..3).map(operation).collect();
        assert_eq!(store.operations(&h, &ids).await.unwrap(), [Some(record(0)), None, None]);
        let again = store.append_copied(&h, at, rest, entries).await.unwrap();
        assert_eq!(again, Append::Duplicate(vec![(operation(0), record(0))]));
        assert_eq!(store.graphs(None, 10).await.unwrap(), [g, h]);
    }

    pub(super) async fn v2_an_append_of_nothing_compares_heads(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        assert_eq!(store.append(&g, Head::EMPTY, &[]).await.unwrap(), Append::Appended);
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        assert_eq!(store.append(&g, Head::EMPTY, &[]).await.unwrap(), Append::HeadMoved(head));
    }

    pub(super) async fn v3_any_bytes_come_back_as_they_were(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let bodies: [Bytes; 7] = [
            Bytes::new(),
            Bytes::from_static(b"message"),
            Bytes::from_static(b"\0"),
            Bytes::from_static(b"\xff\xfe\r\n$-1\r\n"),
            Bytes::from_static(b"12"),
            Bytes::from((0..=255).collect::<Vec<u8>>()),
            vec![0xa5; 1 << 20].into(),
        ];
        let mut head = Head::EMPTY;
        let mut written: Vec<StoredCommit> = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            let commit = commit(head, body.clone());
            let entry = Entry {
                operation: operation(n as u128),
                record: body.clone(),
                commit: Some(commit.clone()),
                refused_at: None,
            };
            assert_eq!(store.append(&g, head, &[entry]).await.unwrap(), Append::Appended);
            head = commit.head();
            written.push(commit);
        }
        assert_eq!(read_all(&*store, &g).await, written);
        let ids: Vec<_> = (0..bodies.len() as u128).map(operation).collect();
        assert_eq!(store.operations(&g, &ids).await.unwrap(), bodies.map(Some));
    }

    pub(super) async fn c3_a_recorded_operation_is_a_duplicate_and_nothing_is_appended(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;

        let again = Entry { record: "another record".into(), ..accepted(1, head) };
        let outcome = place.other_store().append(&g, head, &[again]).await.unwrap();
        assert_eq!(outcome, Append::Duplicate(vec![(operation(1), record(1))]));
        assert_eq!(store.head(&g).await.unwrap(), head);
        assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))]);
    }

    pub(super) async fn c3_duplicates_are_looked_for_before_heads_are_compared(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        grow(&*store, &g, head, [2]).await;

        let outcome = store.append(&g, Head::EMPTY, &[accepted(1, Head::EMPTY)]).await.unwrap();
        assert_eq!(outcome, Append::Duplicate(vec![(operation(1), record(1))]));
    }

    pub(super) async fn c3_a_lost_acknowledgement_is_found_out_by_appending_again(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let (entries, head) = accepted_all(1..=40, Head::EMPTY);
        assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);

        let recorded = entries.iter().map(|entry| (entry.operation, entry.record.clone())).collect();
        let outcome = place.other_store().append(&g, Head::EMPTY, &entries).await.unwrap();
        assert_eq!(outcome, Append::Duplicate(recorded));
        assert_eq!(store.head(&g).await.unwrap(), head);
    }

    pub(super) async fn c3_one_duplicate_among_new_operations_holds_up_all(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1, 2, 3]).await;

        let (entries, _) = accepted_all([10, 2, 11], head);
        let outcome = store.append(&g, head, &entries).await.unwrap();
        assert_eq!(outcome, Append::Duplicate(vec![(operation(2), record(2))]));
        assert_eq!(store.head(&g).await.unwrap(), head);
        assert_eq!(store.operations(&g, &[operation(10), operation(11)]).await.unwrap(), [None, None]);
    }

    pub(super) async fn c3_operations_without_a_commit_are_recorded(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        assert_eq!(store.append(&g, Head::EMPTY, &[refused(1)]).await.unwrap(), Append::Appended);
        assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
        assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))]);
        let again = store.append(&g, Head::EMPTY, &[refused(1)]).await.unwrap();
        assert_eq!(again, Append::Duplicate(vec![(operation(1), record(1))]));
    }

    pub(super) async fn c3_an_operation_without_a_commit_needs_the_expected_head(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        let outcome = store.append(&g, Head::EMPTY, &[refused(2)]).await.unwrap();
        assert_eq!(outcome, Append::HeadMoved(head));
        assert_eq!(store.operations(&g, &[operation(2)]).await.unwrap(), [None]);
        assert_eq!(store.append(&g, head, &[refused(2)]).await.unwrap(), Append::Appended);
    }

    pub(super) async fn c3_commits_and_refusals_go_together(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let (accepted, head) = accepted_all([1, 3], Head::EMPTY);
        let [first, third] = accepted.try_into().unwrap();
        let entries = [refused(0), first, refused(2), third, refused(4)];
        assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);

        assert_eq!(store.head(&g).await.unwrap(), head);
        assert_eq!(read_all(&*store, &g).await.len(), 2);
        let ids: Vec<_> = (0..5).map(operation).collect();
        let records: Vec<_> = (0..5).map(|n| Some(record(n))).collect();
        assert_eq!(store.operations(&g, &ids).await.unwrap(), records);
    }

    pub(super) async fn c3_one_operation_id_can_be_used_in_many_graphs(place: impl Place) {
        let store = place.store();
        let graphs: Vec<_> = (0..12).map(|n| graph(&format!("graph-{n}"))).collect();
        let record_in = |n: usize| Bytes::from(format!("record in graph {n}\0"));
        for (n, g) in graphs.iter().enumerate() {
            let entries = [
                Entry { record: record_in(n), ..accepted(7, Head::EMPTY) },
                Entry { record: Bytes::new(), ..refused(100 + n as u128) },
            ];
            assert_eq!(store.append(g, Head::EMPTY, &entries).await.unwrap(), Append::Appended, "{g}");
        }
        for (n, g) in graphs.iter().enumerate() {
            let head = store.head(g).await.unwrap();
            let again = store.append(g, head, &[accepted(7, head)]).await.unwrap();
            assert_eq!(again, Append::Duplicate(vec![(operation(7), record_in(n))]), "{g}");
            let asked = [operation(7), operation(100 + n as u128), operation(99)];
            let records = store.operations(g, &asked).await.unwrap();
            assert_eq!(records, [Some(record_in(n)), Some(Bytes::new()), None]);
            let alone = found(&*store, operation(100 + n as u128)).await.unwrap();
            assert_eq!(alone, [(g.clone(), Bytes::new())]);
        }
        let mut everywhere = found(&*store, operation(7)).await.unwrap();
        everywhere.sort();
        let mut expected: Vec<_> =
            graphs.iter().enumerate().map(|(n, g)| (g.clone(), record_in(n))).collect();
        expected.sort();
        assert_eq!(everywhere, expected);
    }

    pub(super) async fn c3_operations_answers_in_the_order_asked(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        grow(&*store, &g, Head::EMPTY, 1..=10).await;
        let asked = [9, 77, 1, 10, 78, 1].map(operation);
        let records = [Some(9), None, Some(1), Some(10), None, Some(1)].map(|n| n.map(record));
        assert_eq!(store.operations(&g, &asked).await.unwrap(), records);
    }

    pub(super) async fn c3_an_unknown_operation_is_found_nowhere(place: impl Place) {
        let store = place.store();
        grow(&*store, &graph("g"), Head::EMPTY, [1]).await;
        assert_eq!(found(&*store, operation(2)).await.unwrap(), []);
        assert_eq!(found(&*store, operation(1)).await.unwrap(), [(graph("g"), record(1))]);
    }

    /// All refusals judged on a version from `low` to `high`.
    async fn refusals(
        store: &dyn EventStore,
        graph: &GraphId,
        (low, high): (u64, u64),
        order: Order,
        limit: usize,
    ) -> Vec<StoredRefusal> {
        let between = (RefusalPlace::before(version(low)), RefusalPlace::after(version(high)));
        store.refusals(graph, between, order, limit).await.unwrap()
    }

    /// Which operation was refused where.
    fn told(refusals: &[StoredRefusal]) -> Vec<(u64, u128)> {
        let number = |refusal: &StoredRefusal| refusal.operation.as_uuid().as_u128();
        refusals
            .iter()
            .map(|refusal| {
                assert_eq!(refusal.record, record(number(refusal)), "with its record");
                (refusal.place.version.get(), number(refusal))
            })
            .collect()
    }

    pub(super) async fn a1_refusals_are_found_where_they_were_judged(mut place: impl Place) {
        let g = graph("message");
        let (accepted, head) = accepted_all([1, 2], Head::EMPTY);
        let [first, second] = accepted.try_into().unwrap();
        let at = |n, v| refused_at(n, version(v));
        let round = [at(10, 0), at(11, 0), first, at(12, 1), refused(13), second, at(14, 2)];
        assert_eq!(place.store().append(&g, Head::EMPTY, &round).await.unwrap(), Append::Appended);
        assert_eq!(place.other_store().append(&g, head, &[at(15, 2)]).await.unwrap(), Append::Appended);
        place.reopen().await;
        let store = place.store();
        assert_eq!(store.append(&g, head, &[at(16, 2)]).await.unwrap(), Append::Appended);

        let all = refusals(&*store, &g, (0, 2), Order::OldestFirst, 100).await;
        assert_eq!(told(&all), [(0, 10), (0, 11), (1, 12), (2, 14), (2, 15), (2, 16)]);
        assert!(all.iter().is_sorted_by(|a, b| a.place < b.place), "{all:?}");
        let one = refusals(&*store, &g, (1, 1), Order::OldestFirst, 100).await;
        assert_eq!(told(&one), [(1, 12)]);
        assert_eq!(refusals(&*store, &graph("other"), (0, 9), Order::OldestFirst, 100).await, []);
        let found = store.operations(&g, &[operation(10), operation(16)]).await.unwrap();
        assert_eq!(found, [Some(record(10)), Some(record(16))], "C3: and remembered like all others");
        let moved = grow(&*store, &g, head, [3]).await;
        assert_eq!(store.head(&g).await.unwrap(), moved);
    }

    pub(super) async fn a1_only_what_was_appended_is_listed(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        let at = |n| refused_at(n, version(1));
        assert_eq!(store.append(&g, head, &[at(2)]).await.unwrap(), Append::Appended);

        let moved = store.append(&g, Head::EMPTY, &[refused_at(3, version(0))]).await.unwrap();
        assert_eq!(moved, Append::HeadMoved(head));
        let repeated = store.append(&g, head, &[at(4), at(2)]).await.unwrap();
        assert_eq!(repeated, Append::Duplicate(vec![(operation(2), record(2))]));
        assert_eq!(told(&refusals(&*store, &g, (0, 9), Order::OldestFirst, 100).await), [(1, 2)]);
    }

    pub(super) async fn a1_refusals_are_read_from_either_end_within_bounds(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let mut head = Head::EMPTY;
        let mut written = Vec::new();
        for v in 0..4_u64 {
            let numbers = (0..150).map(|n| u128::from(v) * 1_000 + 100 + n);
            let round: Vec<_> = numbers.map(|n| refused_at(n, version(v))).collect();
            written.extend(round.iter().map(|entry| (v, entry.operation.as_uuid().as_u128())));
            assert_eq!(store.append(&g, head, &round).await.unwrap(), Append::Appended);
            head = grow(&*store, &g, head, [u128::from(v)]).await;
        }
        let all = refusals(&*store, &g, (0, 9), Order::OldestFirst, 1_000).await;
        assert_eq!(told(&all), written);
        let mut newest = refusals(&*store, &g, (0, 9), Order::NewestFirst, 1_000).await;
        newest.reverse();
        assert_eq!(newest, all);
        for (from, to) in [(0, 599), (149, 151), (10, 11), (10, 12), (300, 450)] {
            let between = (all[from].place, all[to].place);
            let inner = &all[from + 1..to];
            for limit in [1, 5, 128, 1_000] {
                let kept = limit.min(inner.len());
                let read = store.refusals(&g, between, Order::OldestFirst, limit).await.unwrap();
                assert_eq!(read, inner[..kept], "{from} {to} {limit}");
                let mut read = store.refusals(&g, between, Order::NewestFirst, limit).await.unwrap();
                read.reverse();
                assert_eq!(read, inner[inner.len() - kept..], "{from} {to} {limit}");
            }
        }
    }

    pub(super) async fn a1_of_many_refusals_the_latest_are_kept(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let total = REFUSALS_MAX as u128 + 2_500;
        for from in (0..total).step_by(2_500) {
            let round: Vec<_> = (from..from + 2_500).map(|n| refused_at(n, version(0))).collect();
            assert_eq!(store.append(&g, Head::EMPTY, &round).await.unwrap(), Append::Appended);
        }
        let kept = refusals(&*store, &g, (0, 0), Order::NewestFirst, usize::MAX).await;
        assert!((REFUSALS_MAX..REFUSALS_MAX + 500).contains(&kept.len()), "{}", kept.len());
        let latest = told(&kept).into_iter().map(|(_, n)| n);
        assert!(latest.eq((total - kept.len() as u128..total).rev()));
    }

    pub(super) async fn a5_graphs_are_listed_by_name(place: impl Place) {
        let store = place.store();
        assert_eq!(store.graphs(None, 10).await.unwrap(), []);
        let names = ["message", "subscribe", "a", "Z", "a.b", "b:events", "0", "pmessage"];
        for name in names {
            grow(&*store, &graph(name), Head::EMPTY, [1]).await;
        }
        let refused_alone = [refused_at(1, version(0))];
        store.append(&graph("refused"), Head::EMPTY, &refused_alone).await.unwrap();

        let mut sorted: Vec<_> = names.map(graph).into();
        sorted.sort();
        assert_eq!(place.other_store().graphs(None, 100).await.unwrap(), sorted);
        for limit in 1..=names.len() {
            let mut listed: Vec<GraphId> = vec![];
            loop {
                let page = store.graphs(listed.last(), limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                listed.extend(page);
            }
            assert_eq!(listed, sorted, "{limit} at a time");
        }
        assert_eq!(store.graphs(Some(&graph("b")), 2).await.unwrap(), [graph("b:events"), graph("message")]);
    }

    pub(super) async fn v7_a_read_is_bounded_at_both_ends(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        grow(&*store, &g, Head::EMPTY, 1..=50).await;
        let all = read_all(&*store, &g).await;
        for (after, to) in
            [(0, 50), (0, 1), (49, 50), (10, 11), (10, 12), (10, 13), (10, 14), (10, 45), (20, 1_000)]
        {
            let read = store.read(&g, version(after), version(to), 1_000).await.unwrap();
            assert_eq!(read, all[after as usize..all.len().min(to as usize)], "({after}, {to}]");
        }
        for (after, to) in [(50, 51), (50, i64::MAX as u64), (7, 7), (8, 7), (1_000, 2_000), (0, 0)] {
            assert_eq!(
                store.read(&g, version(after), version(to), 1_000).await.unwrap(),
                [],
                "({after}, {to}]"
            );
        }
    }

    pub(super) async fn v7_a_read_has_a_limit(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        grow(&*store, &g, Head::EMPTY, 1..=200).await;
        let all = read_all(&*store, &g).await;
        for limit in [0, 1, 2, 3, 4, 5, 16, 17, 199, 200] {
            let read = store.read(&g, Version::EMPTY, version(200), limit).await.unwrap();
            assert_eq!(read, all[..limit], "{limit}");
        }
    }

    pub(super) async fn v7_a_read_has_a_bound_in_bytes(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let mut head = Head::EMPTY;
        // Small ones first, so that a store which sizes its pages by them meets big ones.
        for n in 0..30_u8 {
            let body = vec![n; if n < 20 { 100 } else { 1 << 20 }];
            let commit = commit(head, body);
            let entry = Entry { commit: Some(commit.clone()), ..refused(n.into()) };
            assert_eq!(store.append(&g, head, &[entry]).await.unwrap(), Append::Appended);
            head = commit.head();
        }
        let read = store.read(&g, Version::EMPTY, head.version, 1_000).await.unwrap();
        let bytes: usize = read.iter().map(|commit| commit.body.len()).sum();
        assert!(bytes <= READ_BYTES_MAX, "{bytes} bytes");
        assert!(read.len() > 20, "{} commits", read.len());
        let all = read_all(&*store, &g).await;
        assert_eq!(all.len(), 30);
        assert_is_a_history(&all);
    }

    pub(super) async fn v7_a_read_of_bodies_beyond_the_bound_gives_one(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let first = commit(Head::EMPTY, vec![1; READ_BYTES_MAX + 1]);
        let second = commit(first.head(), vec![2; READ_BYTES_MAX]);
        for (n, commit) in [&first, &second].into_iter().enumerate() {
            let entry = Entry { commit: Some(commit.clone()), ..refused(n as u128) };
            let on = store.head(&g).await.unwrap();
            assert_eq!(store.append(&g, on, &[entry]).await.unwrap(), Append::Appended);
        }
        assert_eq!(store.read(&g, Version::EMPTY, version(2), 10).await.unwrap(), [first]);
        assert_eq!(store.read(&g, version(1), version(2), 10).await.unwrap(), [second]);
    }

    pub(super) async fn v6_everything_is_there_after_a_restart(mut place: impl Place) {
        let g = graph("g");
        let head = grow(&*place.store(), &g, Head::EMPTY, 1..=20).await;
        assert_eq!(place.store().append(&g, head, &[refused(21)]).await.unwrap(), Append::Appended);
        let before = read_all(&*place.store(), &g).await;

        place.reopen().await;
        let store = place.store();
        assert_eq!(store.head(&g).await.unwrap(), head);
        assert_eq!(read_all(&*store, &g).await, before);
        assert_eq!(found(&*store, operation(21)).await.unwrap(), [(g.clone(), record(21))]);
        let again = store.append(&g, Head::EMPTY, &[accepted(1, Head::EMPTY)]).await.unwrap();
        assert_eq!(again, Append::Duplicate(vec![(operation(1), record(1))]));
        grow(&*store, &g, head, [22]).await;
    }

    pub(super) async fn c4_writers_that_race_make_one_history(place: impl Place) {
        const WRITERS: u128 = 8;
        const APPENDS: u128 = 25;
        let g = graph("g");
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let store = if writer % 2 == 0 { place.store() } else { place.other_store() };
            let g = g.clone();
            writers.spawn(async move {
                let mut head = Head::EMPTY;
                for n in 0..APPENDS {
                    loop {
                        let first = (writer * APPENDS + n) * 3;
                        let (mut entries, after) = accepted_all(first..first + 2, head);
                        entries.push(refused(first + 2));
                        match store.append(&g, head, &entries).await.unwrap() {
                            Append::Appended => break head = after,
                            Append::HeadMoved(now) => head = now,
                            Append::Duplicate(found) => panic!("nobody wrote {found:?} before"),
                        }
                    }
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }

        let commits = read_all(&*place.store(), &g).await;
        assert_is_a_history(&commits);
        let bodies: HashSet<_> = commits.iter().map(|commit| commit.body.clone()).collect();
        for n in 0..WRITERS * APPENDS * 3 {
            assert_eq!(bodies.contains(format!("body of {n}").as_bytes()), n % 3 != 2, "operation {n}");
        }
    }

    /// Hints that are told from now on; none where nobody else writes.
    async fn listening(place: &impl Place, g: &dao_projections::GraphId) -> Publications {
        let mut hints = place.store().listen(g);
        if place.store().is_shared() {
            assert_eq!(hints.next().await, Publication::MayHaveMissed, "from now on");
        }
        hints
    }

    pub(super) async fn w4_who_listens_hears_what_others_append_and_not_itself(place: impl Place) {
        let (store, other, g) = (place.store(), place.other_store(), graph("g"));
        let mut hints = listening(&place, &g).await;
        let head = grow(&*store, &g, Head::EMPTY, [1, 2]).await;
        grow(&*other, &graph("another"), Head::EMPTY, [1]).await;
        let (mut entries, after) = accepted_all(3..=5, head);
        entries.push(refused(6));
        assert_eq!(other.append(&g, head, &entries).await.unwrap(), Append::Appended);
        assert_eq!(other.append(&g, after, &[refused(7)]).await.unwrap(), Append::Appended);
        let last = grow(&*other, &g, after, [8]).await;
        if !store.is_shared() {
            assert_eq!(hints.try_next(), None);
            return;
        }
        let commits = entries.into_iter().filter_map(|entry| entry.commit).collect();
        assert_eq!(hints.next().await, Publication::Commits(commits));
        let Publication::Commits(next) = hints.next().await else { panic!("no commits") };
        assert_eq!(next.last().map(StoredCommit::head), Some(last), "what left no commit is not told");
    }

    pub(super) async fn w7_who_listens_hears_what_others_broadcast_and_not_itself(place: impl Place) {
        let (store, other, g) = (place.store(), place.other_store(), graph("g"));
        other.broadcast(&g, Bytes::from_static(b"nobody listens")).await.unwrap();
        let mut hints = listening(&place, &g).await;
        store.broadcast(&g, Bytes::from_static(b"to myself")).await.unwrap();
        other.broadcast(&graph("another"), Bytes::from_static(b"elsewhere")).await.unwrap();
        for message in [&b"message"[..], b"", b"\0\xff"] {
            other.broadcast(&g, Bytes::from_static(message)).await.unwrap();
            match store.is_shared() {
                true => assert_eq!(hints.next().await, Publication::Message(Bytes::from_static(message))),
                false => assert_eq!(hints.try_next(), None),
            }
        }
        assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY, "nothing is stored");
    }

    pub(super) async fn w4_listening_ends_and_begins_again(place: impl Place) {
        let (other, g) = (place.other_store(), graph("g"));
        for round in 0..10_u32 {
            let (first, mut second) = (listening(&place, &g).await, listening(&place, &g).await);
            drop(first);
            let message = Bytes::from(round.to_string());
            other.broadcast(&g, message.clone()).await.unwrap();
            if place.store().is_shared() {
                while second.next().await != Publication::Message(message.clone()) {}
            }
        }
    }
}
