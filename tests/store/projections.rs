//! What every store promises to the read side: one suite, run on each adapter.

use std::{path::Path, sync::Arc, time::Duration};

use dao_api::store::{
    EventStore, ProjectionStore,
    embedded::{EmbeddedConfig, EmbeddedStore, SyncMode},
    redis::{RedisConfig, RedisStore},
};

use crate::support::redis::RedisServer;

const OPERATION_TTL: Duration = Duration::from_secs(3_600);

/// Somewhere a store keeps what the read side needs.
#[allow(async_fn_in_trait, reason = "only these tests implement and call it")]
trait Place {
    type Store: EventStore + ProjectionStore;
    /// With nothing in it.
    async fn empty() -> Self;
    fn store(&self) -> Arc<Self::Store>;
    /// Another process's handle, as far from the first as the store allows.
    fn other_store(&self) -> Arc<Self::Store>;
    /// Ends every process and starts again on what is there.
    async fn reopen(&mut self);
}

struct OnRedis {
    server: RedisServer,
    stores: [Arc<RedisStore>; 2],
}

impl OnRedis {
    async fn connect(server: &RedisServer) -> [Arc<RedisStore>; 2] {
        let connect = async || {
            let config = RedisConfig { partitions: Some(2), ..RedisConfig::at(server.url(), OPERATION_TTL) };
            Arc::new(RedisStore::connect(config).await.expect("connect"))
        };
        [connect().await, connect().await]
    }
}

impl Place for OnRedis {
    type Store = RedisStore;

    async fn empty() -> Self {
        let server = RedisServer::start();
        let stores = Self::connect(&server).await;
        Self { server, stores }
    }

    fn store(&self) -> Arc<RedisStore> {
        self.stores[0].clone()
    }

    fn other_store(&self) -> Arc<RedisStore> {
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

struct OnDisk {
    dir: tempfile::TempDir,
    /// One handle for all: a second process is refused.
    store: Option<Arc<EmbeddedStore>>,
}

impl OnDisk {
    fn open(dir: &Path) -> Option<Arc<EmbeddedStore>> {
        let config =
            EmbeddedConfig { dir: dir.to_owned(), durability: SyncMode::Fsync, operation_ttl: OPERATION_TTL };
        Some(Arc::new(EmbeddedStore::open(config).expect("open")))
    }
}

impl Place for OnDisk {
    type Store = EmbeddedStore;

    async fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Self::open(dir.path());
        Self { dir, store }
    }

    fn store(&self) -> Arc<EmbeddedStore> {
        self.store.clone().expect("open")
    }

    fn other_store(&self) -> Arc<EmbeddedStore> {
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
    an_empty_feed_has_no_entries_and_no_bounds
    every_append_with_commits_has_one_entry_in_its_graphs_part_in_order
    the_feed_is_read_in_chunks_that_continue_each_other
    what_is_trimmed_is_gone_and_the_rest_stays
    after_everything_was_trimmed_later_places_are_later
    trimming_back_changes_nothing
    readers_have_places_of_their_own
    a_lease_belongs_to_one_worker_until_it_lets_go
    rows_of_a_graph_that_was_never_projected_are_none
    rows_and_their_head_change_together
    rows_change_only_from_the_exact_version_hash_and_format
    rows_are_replaced_removed_and_kept
    projections_and_graphs_have_nothing_to_do_with_each_other
    thousands_of_rows_change_at_once
    keys_and_rows_are_any_text_and_any_bytes
    writers_that_race_change_rows_one_after_the_other
    all_rows_are_of_one_moment
    l2_graphs_are_listed_by_each_key_in_both_directions_and_in_pieces
    l2_a_graph_that_changes_moves_in_its_lists
    graphs_are_parked_with_a_reason_and_released
    documents_change_only_from_what_the_writer_saw
    documents_of_a_kind_are_listed_by_name
    a_change_of_a_document_is_never_taken_for_another
    writers_that_race_change_a_document_one_after_the_other
    everything_is_there_after_a_restart
}

mod rules {
    use bytes::Bytes;
    use dao_api::store::{
        FeedPlace, ListOrder, ListQuery, ListSort, Listing, ParkedGraph, RowsChange, RowsFound, RowsHead,
    };
    use dao_projections::{GraphId, Head, ListKeys};

    use super::{Arc, Duration, EventStore, Place, ProjectionStore};
    use crate::support::history::{accepted, graph, grow, refused, version};

    /// Everything that a part of the feed holds, as graph and versions.
    async fn all(store: &impl ProjectionStore, part: u32) -> Vec<(FeedPlace, String, u64, u64)> {
        let entries = store.feed(part, FeedPlace::START, usize::MAX >> 1).await.unwrap();
        entries.into_iter().map(|e| (e.place, e.graph.to_string(), e.from.get(), e.to.get())).collect()
    }

    /// A graph with one commit, and the head after it.
    async fn one_commit(store: &impl EventStore, id: &str) -> (GraphId, Head) {
        let g = graph(id);
        let head = grow(store, &g, Head::EMPTY, [1]).await;
        (g, head)
    }

    fn at(head: Head) -> RowsHead {
        RowsHead { head, format: 1 }
    }

    fn change(from: Option<RowsHead>, to: RowsHead, rows: &[(&str, Option<&str>)]) -> RowsChange {
        let row = |(key, bytes): &(&str, Option<&str>)| {
            ((*key).to_owned(), bytes.map(|bytes| Bytes::copy_from_slice(bytes.as_bytes())))
        };
        RowsChange { from, to, replaces: false, rows: rows.iter().map(row).collect(), listing: None }
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn found(at: Option<RowsHead>, rows: &[Option<&str>]) -> RowsFound {
        let row = |bytes: &Option<&str>| bytes.map(|bytes| Bytes::copy_from_slice(bytes.as_bytes()));
        RowsFound { at, rows: rows.iter().map(row).collect() }
    }

    pub(super) async fn an_empty_feed_has_no_entries_and_no_bounds(place: impl Place) {
        let store = place.store();
        for part in 0..store.feed_parts() {
            assert_eq!(all(&*store, part).await, []);
            let bounds = store.feed_bounds(part).await.unwrap();
            assert_eq!((bounds.trimmed, bounds.end), (FeedPlace::START, FeedPlace::START));
        }
    }

    pub(super) async fn every_append_with_commits_has_one_entry_in_its_graphs_part_in_order(
        place: impl Place,
    ) {
        let (store, other) = (place.store(), place.other_store());
        let graphs: Vec<GraphId> = (0..8).map(|n| graph(&format!("g{n}"))).collect();
        let mut heads = vec![Head::EMPTY; graphs.len()];
        let mut expected = vec![vec![]; store.feed_parts() as usize];
        for round in 0..5_u128 {
            for (n, g) in graphs.iter().enumerate() {
                let from = heads[n].version.get() + 1;
                let numbers = (0..=round).map(|i| round * 100 + i);
                let writer = if round % 2 == 0 { &store } else { &other };
                heads[n] = grow(&**writer, g, heads[n], numbers).await;
                let part = store.feed_part(g);
                assert_eq!(other.feed_part(g), part, "everybody says the same");
                expected[part as usize].push((g.to_string(), from, heads[n].version.get()));
            }
        }
        // Refusals and lost races are no entries.
        store.append(&graphs[0], heads[0], &[refused(10_000)]).await.unwrap();
        store.append(&graphs[0], Head::EMPTY, &[accepted(10_001, Head::EMPTY)]).await.unwrap();
        for part in 0..store.feed_parts() {
            let entries = all(&*store, part).await;
            assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order: {entries:?}");
            assert!(entries.first().is_none_or(|first| first.0 > FeedPlace::START));
            let bounds = store.feed_bounds(part).await.unwrap();
            assert_eq!(bounds.end, entries.last().map_or(FeedPlace::START, |last| last.0));
            assert_eq!(bounds.trimmed, FeedPlace::START);
            let told: Vec<_> = entries.into_iter().map(|(_, g, from, to)| (g, from, to)).collect();
            assert_eq!(told, expected[part as usize]);
        }
        assert!(expected.iter().all(|part| !part.is_empty()), "every part is used");
    }

    pub(super) async fn the_feed_is_read_in_chunks_that_continue_each_other(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let mut head = Head::EMPTY;
        for n in 0..25 {
            head = grow(&*store, &g, head, [n]).await;
        }
        let part = store.feed_part(&g);
        let (mut after, mut versions) = (FeedPlace::START, vec![]);
        loop {
            let chunk = store.feed(part, after, 4).await.unwrap();
            assert!(chunk.len() <= 4);
            let Some(last) = chunk.last() else { break };
            after = last.place;
            versions.extend(chunk.iter().map(|entry| entry.to.get()));
        }
        assert_eq!(versions, (1..=25).collect::<Vec<_>>());
        assert_eq!(store.feed(part, after, 4).await.unwrap(), []);
    }

    pub(super) async fn what_is_trimmed_is_gone_and_the_rest_stays(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let mut head = Head::EMPTY;
        for n in 0..6 {
            head = grow(&*store, &g, head, [n]).await;
        }
        let part = store.feed_part(&g);
        let entries = all(&*store, part).await;
        store.trim_feed(part, entries[3].0).await.unwrap();
        assert_eq!(all(&*place.other_store(), part).await, entries[4..]);
        let bounds = place.other_store().feed_bounds(part).await.unwrap();
        assert_eq!((bounds.trimmed, bounds.end), (entries[3].0, entries[5].0));
    }

    pub(super) async fn after_everything_was_trimmed_later_places_are_later(place: impl Place) {
        let mut place = place;
        let (store, g) = (place.store(), graph("g"));
        let head = grow(&*store, &g, Head::EMPTY, [1]).await;
        let head = grow(&*store, &g, head, [2]).await;
        let part = store.feed_part(&g);
        let end = store.feed_bounds(part).await.unwrap().end;
        store.trim_feed(part, end).await.unwrap();
        assert_eq!(all(&*store, part).await, []);
        let bounds = store.feed_bounds(part).await.unwrap();
        assert_eq!((bounds.trimmed, bounds.end), (end, end));

        let head = grow(&*store, &g, head, [3]).await;
        let after: Vec<_> = all(&*store, part).await;
        assert!(after.len() == 1 && after[0].0 > end, "{after:?}");
        store.trim_feed(part, after[0].0).await.unwrap();
        drop(store);
        place.reopen().await;
        let store = place.store();
        grow(&*store, &g, head, [4]).await;
        let later = all(&*store, part).await;
        assert!(later.len() == 1 && later[0].0 > after[0].0, "{later:?} after {after:?}");
        assert_eq!(store.feed(part, after[0].0, 10).await.unwrap().len(), 1);
    }

    pub(super) async fn trimming_back_changes_nothing(place: impl Place) {
        let (store, g) = (place.store(), graph("g"));
        let mut head = Head::EMPTY;
        for n in 0..4 {
            head = grow(&*store, &g, head, [n]).await;
        }
        let part = store.feed_part(&g);
        let entries = all(&*store, part).await;
        store.trim_feed(part, entries[2].0).await.unwrap();
        store.trim_feed(part, entries[0].0).await.unwrap();
        store.trim_feed(part, FeedPlace::START).await.unwrap();
        assert_eq!(store.feed_bounds(part).await.unwrap().trimmed, entries[2].0);
        assert_eq!(all(&*store, part).await, entries[3..]);
    }

    pub(super) async fn readers_have_places_of_their_own(place: impl Place) {
        let (store, part) = (place.store(), 0);
        assert_eq!(store.place("nobody", part).await.unwrap(), FeedPlace::START);
        let (one, two) = (FeedPlace { major: 7, minor: 0 }, FeedPlace { major: 1_763_800_000_000, minor: 0 });
        store.set_place("message", part, one).await.unwrap();
        store.set_place("b", part, two).await.unwrap();
        assert_eq!(place.other_store().place("message", part).await.unwrap(), one);
        assert_eq!(store.place("b", part).await.unwrap(), two);
        store.set_place("b", part, one).await.unwrap();
        assert_eq!(store.place("b", part).await.unwrap(), one, "a place may go back: a rebuild does");
        for other in 1..store.feed_parts() {
            assert_eq!(store.place("message", other).await.unwrap(), FeedPlace::START);
        }
        assert_eq!(store.feed_bounds(part).await.unwrap().trimmed, FeedPlace::START);
    }

    pub(super) async fn a_lease_belongs_to_one_worker_until_it_lets_go(place: impl Place) {
        let (store, other) = (place.store(), place.other_store());
        let long = Duration::from_secs(3_600);
        assert!(store.lease("r", 0, "ada", long).await.unwrap());
        assert!(store.lease("r", 0, "ada", long).await.unwrap(), "renewed");
        if !store.is_shared() {
            return; // there is nobody else
        }
        assert!(!other.lease("r", 0, "bob", long).await.unwrap(), "it is ada's");
        assert!(!other.lease("r", 0, "bob", Duration::ZERO).await.unwrap(), "and not bob's to let go");
        assert!(!other.lease("r", 0, "bob", long).await.unwrap());
        assert!(other.lease("r", 1, "bob", long).await.unwrap(), "another part");
        assert!(other.lease("s", 0, "bob", long).await.unwrap(), "another reader");
        assert!(store.lease("r", 0, "ada", Duration::ZERO).await.unwrap(), "let go");
        assert!(other.lease("r", 0, "bob", Duration::from_millis(1)).await.unwrap());
        // It ends by itself: whoever keeps asking gets it, and that is what is waited for.
        while !store.lease("r", 0, "ada", long).await.unwrap() {
            tokio::task::yield_now().await;
        }
        assert!(!other.lease("r", 0, "bob", long).await.unwrap());
    }

    pub(super) async fn rows_of_a_graph_that_was_never_projected_are_none(place: impl Place) {
        let store = place.store();
        let (g, _) = one_commit(&*store, "g").await;
        for g in [&g, &graph("unknown")] {
            assert_eq!(store.rows(g, "p", &keys(&["a", "b"])).await.unwrap(), found(None, &[None, None]));
            assert_eq!(store.rows(g, "p", &[]).await.unwrap(), found(None, &[]));
            assert_eq!(store.all_rows(g, "p").await.unwrap(), None);
        }
    }

    pub(super) async fn rows_and_their_head_change_together(place: impl Place) {
        let store = place.store();
        let (g, head) = one_commit(&*store, "g").await;
        let rows = [("a", Some("1")), ("b", Some(""))];
        assert!(store.change_rows(&g, "p", &change(None, at(head), &rows)).await.unwrap());
        let other = place.other_store();
        let asked = keys(&["b", "none", "a", "a"]);
        assert_eq!(
            other.rows(&g, "p", &asked).await.unwrap(),
            found(Some(at(head)), &[Some(""), None, Some("1"), Some("1")])
        );
        let (is_at, mut all) = other.all_rows(&g, "p").await.unwrap().unwrap();
        all.sort();
        assert_eq!(is_at, at(head));
        assert_eq!(all, [("a".to_owned(), Bytes::from("1")), ("b".to_owned(), Bytes::new())]);
        // A head alone, with no row at all.
        assert!(store.change_rows(&g, "q", &change(None, at(head), &[])).await.unwrap());
        assert_eq!(store.all_rows(&g, "q").await.unwrap(), Some((at(head), vec![])));
    }

    pub(super) async fn rows_change_only_from_the_exact_version_hash_and_format(place: impl Place) {
        let store = place.store();
        let (g, first) = one_commit(&*store, "g").await;
        let second = grow(&*store, &g, first, [2]).await;
        let to = |value| change(Some(at(first)), at(second), &[("a", Some(value))]);
        assert!(!store.change_rows(&g, "p", &to("x")).await.unwrap(), "nothing is there yet");
        assert!(store.change_rows(&g, "p", &change(None, at(first), &[("a", Some("1"))])).await.unwrap());
        let wrong = [
            None,
            Some(at(second)),
            Some(at(Head { hash: second.hash, ..first })),
            Some(at(Head { version: second.version, ..first })),
            Some(RowsHead { head: first, format: 2 }),
        ];
        for from in wrong {
            let wrong = change(from, at(second), &[("a", Some("x")), ("b", Some("x"))]);
            let wrong = RowsChange { replaces: from.is_none(), ..wrong };
            assert!(!store.change_rows(&g, "p", &wrong).await.unwrap(), "{from:?}");
        }
        let unchanged = found(Some(at(first)), &[Some("1"), None]);
        assert_eq!(store.rows(&g, "p", &keys(&["a", "b"])).await.unwrap(), unchanged);
        assert!(store.change_rows(&g, "p", &to("2")).await.unwrap());
        assert!(!store.change_rows(&g, "p", &to("2")).await.unwrap(), "delivered twice");
        let newer = RowsHead { head: second, format: 9 };
        assert!(store.change_rows(&g, "p", &change(Some(at(second)), newer, &[])).await.unwrap());
        assert_eq!(store.rows(&g, "p", &keys(&["a"])).await.unwrap(), found(Some(newer), &[Some("2")]));
    }

    pub(super) async fn rows_are_replaced_removed_and_kept(place: impl Place) {
        let store = place.store();
        let (g, first) = one_commit(&*store, "g").await;
        let second = grow(&*store, &g, first, [2]).await;
        let rows = [("a", Some("1")), ("b", Some("2")), ("c", Some("3"))];
        assert!(store.change_rows(&g, "p", &change(None, at(first), &rows)).await.unwrap());
        let some = change(Some(at(first)), at(second), &[("a", None), ("b", Some("4")), ("never", None)]);
        assert!(store.change_rows(&g, "p", &some).await.unwrap());
        let after = found(Some(at(second)), &[None, Some("4"), Some("3")]);
        assert_eq!(store.rows(&g, "p", &keys(&["a", "b", "c"])).await.unwrap(), after);
        let anew = change(Some(at(second)), at(first), &[("d", Some("5"))]);
        assert!(store.change_rows(&g, "p", &RowsChange { replaces: true, ..anew }).await.unwrap());
        let rest = vec![("d".to_owned(), Bytes::from("5"))];
        assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(first), rest)));
        let nothing = RowsChange { replaces: true, ..change(Some(at(first)), at(first), &[]) };
        assert!(store.change_rows(&g, "p", &nothing).await.unwrap());
        assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(first), vec![])));
    }

    pub(super) async fn projections_and_graphs_have_nothing_to_do_with_each_other(place: impl Place) {
        let store = place.store();
        let ids = ["a", "ab", "a:p", "p", "message"];
        for id in ids {
            let (g, head) = one_commit(&*store, id).await;
            for projection in ["p", "pp"] {
                let value = format!("{id} {projection}");
                let own = change(None, at(head), &[("k", Some(&value))]);
                assert!(store.change_rows(&g, projection, &own).await.unwrap());
            }
        }
        for id in ids {
            for projection in ["p", "pp"] {
                let (_, rows) = store.all_rows(&graph(id), projection).await.unwrap().unwrap();
                assert_eq!(rows, [("k".to_owned(), Bytes::from(format!("{id} {projection}")))]);
            }
        }
    }

    pub(super) async fn thousands_of_rows_change_at_once(place: impl Place) {
        let store = place.store();
        let (g, head) = one_commit(&*store, "g").await;
        let row = |n: usize| (format!("node:{n}"), Some(Bytes::from(format!("row {n}"))));
        let many = RowsChange { rows: (0..12_000).map(row).collect(), ..change(None, at(head), &[]) };
        assert!(store.change_rows(&g, "p", &many).await.unwrap());
        let names: Vec<String> = (0..12_000).map(|n| format!("node:{n}")).collect();
        let all = store.rows(&g, "p", &names).await.unwrap();
        assert_eq!(all.at, Some(at(head)));
        assert!(all.rows.iter().enumerate().all(|(n, found)| *found == row(n).1));
        let gone = (0..11_999).map(|n| (format!("node:{n}"), None)).collect();
        let fewer = RowsChange { rows: gone, ..change(Some(at(head)), at(head), &[]) };
        assert!(store.change_rows(&g, "p", &fewer).await.unwrap());
        let rest = vec![("node:11999".to_owned(), Bytes::from("row 11999"))];
        assert_eq!(store.all_rows(&g, "p").await.unwrap(), Some((at(head), rest)));
    }

    pub(super) async fn keys_and_rows_are_any_text_and_any_bytes(place: impl Place) {
        let store = place.store();
        let (g, head) = one_commit(&*store, "g").await;
        let names = [
            "message".to_owned(),
            "subscribe".to_owned(),
            "smessage".to_owned(),
            "node:".to_owned() + &"é".repeat(512),
            "edge:a:b:{c}".to_owned(),
            "日本 \"quoted\" 'and' \\".to_owned(),
            "0".to_owned(),
            "-1".to_owned(),
            " ".to_owned(),
        ];
        let bytes = [
            Bytes::from_static(b"message"),
            Bytes::from_static(b"subscribe"),
            Bytes::from_static(b"\0\xff\r\n$-1\r\n"),
            Bytes::from((0..=255).collect::<Vec<u8>>()),
            Bytes::from_static(b"12"),
            vec![7; 1 << 20].into(),
            Bytes::new(),
            Bytes::from_static(b"+OK"),
            Bytes::from_static(b"x"),
        ];
        let rows = names.iter().cloned().zip(bytes.iter().cloned().map(Some)).collect();
        let all = RowsChange { rows, ..change(None, at(head), &[]) };
        assert!(store.change_rows(&g, "p", &all).await.unwrap());
        for (name, expected) in names.iter().zip(&bytes) {
            // One, two and three beside the head: replies of every length.
            for asked in [vec![name.clone()], vec![name.clone(), "none".into()]] {
                let rows = store.rows(&g, "p", &asked).await.unwrap();
                assert_eq!((rows.at, rows.rows[0].as_ref()), (Some(at(head)), Some(expected)), "{name}");
            }
        }
        let (_, mut found) = store.all_rows(&g, "p").await.unwrap().unwrap();
        let mut expected: Vec<_> = names.into_iter().zip(bytes).collect();
        found.sort();
        expected.sort();
        assert!(found == expected, "all rows come back as they were");
    }

    pub(super) async fn writers_that_race_change_rows_one_after_the_other(place: impl Place) {
        let store = place.store();
        let (g, first) = one_commit(&*store, "g").await;
        let begin = change(None, at(first), &[("count", Some("0"))]);
        assert!(store.change_rows(&g, "p", &begin).await.unwrap());
        let mut writers = tokio::task::JoinSet::new();
        for n in 0..4 {
            let (store, g) = (if n % 2 == 0 { place.store() } else { place.other_store() }, g.clone());
            writers.spawn(async move {
                let mut done = 0;
                while done < 10 {
                    let found = store.rows(&g, "p", &["count".to_owned()]).await.unwrap();
                    let (from, count) = (found.at.unwrap(), found.rows[0].clone().unwrap());
                    let count: u64 = std::str::from_utf8(&count).unwrap().parse().unwrap();
                    assert_eq!(from.head.version.get(), count + 1, "the head and the rows are of one moment");
                    let next = Head { version: version(count + 2), ..from.head };
                    let text = (count + 1).to_string();
                    let change = change(Some(from), at(next), &[("count", Some(&text))]);
                    done += u32::from(store.change_rows(&g, "p", &change).await.unwrap());
                }
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap();
        }
        let end = at(Head { version: version(41), ..first });
        assert_eq!(store.rows(&g, "p", &keys(&["count"])).await.unwrap(), found(Some(end), &[Some("40")]));
    }

    pub(super) async fn all_rows_are_of_one_moment(place: impl Place) {
        let store = place.store();
        let (g, first) = one_commit(&*store, "g").await;
        let rows = |n: u64| (0..200).map(|i| (format!("k{i}"), Some(Bytes::from(n.to_string())))).collect();
        let whole = |from, n: u64| {
            let to = at(Head { version: version(n), ..first });
            RowsChange { from, to, replaces: n.is_multiple_of(2), rows: rows(n), listing: None }
        };
        assert!(store.change_rows(&g, "p", &whole(None, 1)).await.unwrap());
        let writer = tokio::spawn({
            let (store, g) = (place.other_store(), g.clone());
            let changes: Vec<_> =
                (2..60).map(|n| whole(Some(at(Head { version: version(n - 1), ..first })), n)).collect();
            async move {
                for change in changes {
                    assert!(store.change_rows(&g, "p", &change).await.unwrap());
                }
            }
        });
        loop {
            let is_over = writer.is_finished();
            let (is_at, rows) = store.all_rows(&g, "p").await.unwrap().unwrap();
            let expected = is_at.head.version.to_string();
            assert!(rows.len() == 200 && rows.iter().all(|(_, row)| *row == expected), "at {expected}");
            if is_over {
                assert_eq!(expected, "59");
                break;
            }
        }
        writer.await.unwrap();
    }

    /// Lists the graph under these keys, with its row, from what it was before.
    async fn list_as(
        store: &(impl EventStore + ProjectionStore),
        (g, from, to): (&GraphId, Option<RowsHead>, RowsHead),
        (updated, created, title): (u64, u64, &str),
    ) {
        let time = |ms: u64| format!("{ms:020}");
        let keys = ListKeys { updated: time(updated), created: time(created), title: title.to_owned() };
        let row = Bytes::from(format!("{g} {title}"));
        let listing = Some(Listing { keys, purge_after_ms: None, row });
        let change = RowsChange { listing, ..change(from, to, &[("row", Some("x")), ("gone", None)]) };
        assert!(store.change_rows(g, "catalog", &change).await.unwrap());
    }

    /// All graphs in this order, read in pieces of two.
    async fn listed(
        store: &impl ProjectionStore,
        sort: ListSort,
        order: ListOrder,
        prefix: &str,
    ) -> Vec<String> {
        let (mut names, mut after) = (vec![], None);
        loop {
            let query = ListQuery { sort, order, prefix: prefix.to_owned(), after, limit: 2 };
            let piece = store.list(&query).await.unwrap();
            let graphs: Vec<GraphId> = piece.places.iter().map(|place| place.graph.clone()).collect();
            for (graph, row) in graphs.iter().zip(store.list_rows(&graphs).await.unwrap()) {
                let row = row.expect("a row");
                assert!(row.starts_with(graph.as_str().as_bytes()), "{graph}: {row:?}");
                names.push(graph.to_string());
            }
            assert!(piece.is_end || !graphs.is_empty(), "a piece is empty only at the end");
            if piece.is_end {
                return names;
            }
            after = piece.places.last().cloned();
        }
    }

    pub(super) async fn l2_graphs_are_listed_by_each_key_in_both_directions_and_in_pieces(place: impl Place) {
        let store = place.store();
        // Of some all keys are equal: the id decides. Titles are any text without control characters.
        let graphs = [
            ("a", 5, 1, "zebra"),
            ("b", 3, 2, ""),
            ("b.x", 3, 2, ""),
            ("c", 9, 2, "\u{10ffff}"),
            ("b-y", 12, 0, "änderung"),
        ];
        for (id, updated, created, title) in graphs {
            let (g, head) = one_commit(&*store, id).await;
            list_as(&*store, (&g, None, at(head)), (updated, created, title)).await;
        }
        let expected = [
            (ListSort::Updated, ["b", "b.x", "a", "c", "b-y"]),
            (ListSort::Created, ["b-y", "a", "b", "b.x", "c"]),
            (ListSort::Title, ["b", "b.x", "a", "b-y", "c"]),
            (ListSort::Id, ["a", "b", "b-y", "b.x", "c"]),
        ];
        for (sort, mut names) in expected {
            assert_eq!(listed(&*store, sort, ListOrder::Ascending, "").await, names, "{sort:?}");
            names.reverse();
            assert_eq!(listed(&*store, sort, ListOrder::Descending, "").await, names, "{sort:?}");
        }
        assert_eq!(listed(&*store, ListSort::Id, ListOrder::Ascending, "b").await, ["b", "b-y", "b.x"]);
        assert_eq!(listed(&*store, ListSort::Id, ListOrder::Descending, "b.").await, ["b.x"]);
    }

    pub(super) async fn l2_a_graph_that_changes_moves_in_its_lists(place: impl Place) {
        let store = place.store();
        let (a, first) = one_commit(&*store, "a").await;
        let (b, head) = one_commit(&*store, "b").await;
        list_as(&*store, (&a, None, at(first)), (1, 1, "x")).await;
        list_as(&*store, (&b, None, at(head)), (2, 1, "y")).await;
        let second = grow(&*store, &a, first, [2]).await;
        list_as(&*store, (&a, Some(at(first)), at(second)), (3, 1, "z")).await;
        for sort in [ListSort::Updated, ListSort::Title] {
            assert_eq!(listed(&*store, sort, ListOrder::Ascending, "").await, ["b", "a"], "{sort:?}");
        }
        // A change that is not listed, or comes too late, moves nothing.
        let third = grow(&*store, &a, second, [3]).await;
        assert!(store.change_rows(&a, "catalog", &change(Some(at(second)), at(third), &[])).await.unwrap());
        let keys = ListKeys { updated: "9".to_owned(), created: String::new(), title: String::new() };
        let listing = Some(Listing { keys, purge_after_ms: None, row: Bytes::new() });
        let late = RowsChange { listing, ..change(Some(at(first)), at(third), &[]) };
        assert!(!store.change_rows(&a, "catalog", &late).await.unwrap());
        assert_eq!(listed(&*store, ListSort::Updated, ListOrder::Descending, "").await, ["a", "b"]);
    }

    pub(super) async fn graphs_are_parked_with_a_reason_and_released(place: impl Place) {
        let store = place.store();
        assert_eq!(store.parked().await.unwrap(), []);
        let mut expected = vec![];
        for (n, id) in ["message", "b:1", "a"].iter().enumerate() {
            let (g, _) = one_commit(&*store, id).await;
            let reason = ["", "subscribe to nothing", "it has a\nbreak and an é"][n].to_owned();
            let parked = ParkedGraph { version: version(n as u64 + 1), reason };
            store.park(&g, Some(&parked)).await.unwrap();
            expected.push((g, parked));
        }
        expected.sort_by(|(a, _), (b, _)| a.cmp(b));
        assert_eq!(place.other_store().parked().await.unwrap(), expected);
        let again = ParkedGraph { version: version(9), reason: "another".into() };
        store.park(&expected[0].0, Some(&again)).await.unwrap();
        store.park(&expected[1].0, None).await.unwrap();
        store.park(&expected[1].0, None).await.unwrap();
        let rest = [(expected[0].0.clone(), again), expected[2].clone()];
        assert_eq!(store.parked().await.unwrap(), rest);
    }

    pub(super) async fn documents_change_only_from_what_the_writer_saw(place: impl Place) {
        let (store, other) = (place.store(), place.other_store());
        assert_eq!(store.document("k", "n").await.unwrap(), None);
        let body = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        assert!(!store.put_document("k", "n", Some(1), body("early")).await.unwrap());
        assert!(store.put_document("k", "n", None, body("\0 any bytes \u{ff}")).await.unwrap());
        assert!(!other.put_document("k", "n", None, body("second")).await.unwrap());
        let (first, found) = other.document("k", "n").await.unwrap().unwrap();
        assert_eq!(Some(found), body("\0 any bytes \u{ff}"));
        assert!(other.put_document("k", "n", Some(first), body("")).await.unwrap());
        assert!(!store.put_document("k", "n", Some(first), body("stale")).await.unwrap());
        assert!(!store.put_document("k", "n", Some(first), None).await.unwrap());
        let (second, found) = store.document("k", "n").await.unwrap().unwrap();
        assert!(second > first && found.is_empty());
        assert_eq!(store.document("other", "n").await.unwrap(), None);
        assert!(store.put_document("k", "n", Some(second), None).await.unwrap());
        assert_eq!(other.document("k", "n").await.unwrap(), None);
    }

    pub(super) async fn documents_of_a_kind_are_listed_by_name(place: impl Place) {
        let store = place.store();
        assert_eq!(store.documents("k").await.unwrap(), Vec::<String>::new());
        // Words that the Redis protocol knows, as many as make its messages.
        for name in ["subscribe", "message", "pmessage"] {
            assert!(store.put_document("k", name, None, Some(Bytes::new())).await.unwrap());
        }
        assert!(store.put_document("other", "z", None, Some(Bytes::new())).await.unwrap());
        assert_eq!(place.other_store().documents("k").await.unwrap(), ["message", "pmessage", "subscribe"]);
        let (version, _) = store.document("k", "message").await.unwrap().unwrap();
        assert!(store.put_document("k", "message", Some(version), None).await.unwrap());
        assert_eq!(store.documents("k").await.unwrap(), ["pmessage", "subscribe"]);
    }

    pub(super) async fn a_change_of_a_document_is_never_taken_for_another(place: impl Place) {
        let store = place.store();
        assert!(store.put_document("k", "n", None, Some(Bytes::new())).await.unwrap());
        let (of_the_first, _) = store.document("k", "n").await.unwrap().unwrap();
        assert!(store.put_document("k", "n", Some(of_the_first), None).await.unwrap());
        assert!(store.put_document("k", "n", None, Some(Bytes::new())).await.unwrap());
        assert!(!store.put_document("k", "n", Some(of_the_first), None).await.unwrap());
    }

    pub(super) async fn writers_that_race_change_a_document_one_after_the_other(place: impl Place) {
        let mut writers = Vec::new();
        for store in [place.store(), place.other_store()] {
            writers.push(tokio::spawn(async move {
                for _ in 0..20 {
                    loop {
                        let found = store.document("k", "n").await.unwrap();
                        let (version, count) = match &found {
                            None => (None, 0),
                            Some((version, body)) => {
                                (Some(*version), std::str::from_utf8(body).unwrap().parse::<u32>().unwrap())
                            }
                        };
                        let next = Bytes::from((count + 1).to_string());
                        if store.put_document("k", "n", version, Some(next)).await.unwrap() {
                            break;
                        }
                    }
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(place.store().document("k", "n").await.unwrap().unwrap().1, "40");
    }

    pub(super) async fn everything_is_there_after_a_restart(place: impl Place) {
        let mut place = place;
        let store = place.store();
        let (g, head) = one_commit(&*store, "g").await;
        let second = grow(&*store, &g, head, [2]).await;
        let part = store.feed_part(&g);
        let entries = all(&*store, part).await;
        store.trim_feed(part, entries[0].0).await.unwrap();
        store.set_place("reader", part, entries[1].0).await.unwrap();
        assert!(store.change_rows(&g, "p", &change(None, at(second), &[("a", Some("1"))])).await.unwrap());
        let parked = ParkedGraph { version: version(2), reason: "why".into() };
        store.park(&g, Some(&parked)).await.unwrap();
        assert!(store.put_document("k", "n", None, Some(Bytes::from("kept"))).await.unwrap());
        let document = store.document("k", "n").await.unwrap();
        drop(store);
        place.reopen().await;

        let store: Arc<_> = place.store();
        assert_eq!(all(&*store, part).await, entries[1..]);
        let bounds = store.feed_bounds(part).await.unwrap();
        assert_eq!((bounds.trimmed, bounds.end), (entries[0].0, entries[1].0));
        assert_eq!(store.place("reader", part).await.unwrap(), entries[1].0);
        assert_eq!(store.rows(&g, "p", &keys(&["a"])).await.unwrap(), found(Some(at(second)), &[Some("1")]));
        assert_eq!(store.parked().await.unwrap(), [(g, parked)]);
        assert_eq!(store.document("k", "n").await.unwrap(), document);
    }
}
