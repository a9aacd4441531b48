//! The rules, each for any store.

mod documents;
mod feed;
mod rows;

pub(super) use documents::*;
pub(super) use feed::*;
pub(super) use rows::*;

use std::sync::Arc;

use bytes::Bytes;
use dao_api::store::{
    EventStore, FeedPlace, ListOrder, ListQuery, ListSort, Listing, ParkedGraph, ProjectionStore, RowsChange,
    RowsFound, RowsHead,
};
use dao_projections::{GraphId, Head, ListKeys};

use crate::{
    places::Place,
    support::history::{graph, grow, version},
};

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
    assert!(store.change_rows(g, "catalog", change).await.unwrap());
}

/// All graphs in this order, read in pieces of two.
async fn listed(store: &impl ProjectionStore, sort: ListSort, order: ListOrder, prefix: &str) -> Vec<String> {
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
    assert!(store.change_rows(&a, "catalog", change(Some(at(second)), at(third), &[])).await.unwrap());
    let keys = ListKeys { updated: "9".to_owned(), created: String::new(), title: String::new() };
    let listing = Some(Listing { keys, purge_after_ms: None, row: Bytes::new() });
    let late = RowsChange { listing, ..change(Some(at(first)), at(third), &[]) };
    assert!(!store.change_rows(&a, "catalog", late).await.unwrap());
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

pub(super) async fn everything_is_there_after_a_restart(place: impl Place) {
    let mut place = place;
    let store = place.store();
    let (g, head) = one_commit(&*store, "g").await;
    let second = grow(&*store, &g, head, [2]).await;
    let part = store.feed_part(&g);
    let entries = all(&*store, part).await;
    store.trim_feed(part, entries[0].0).await.unwrap();
    store.set_place("reader", part, entries[1].0).await.unwrap();
    assert!(store.change_rows(&g, "p", change(None, at(second), &[("a", Some("1"))])).await.unwrap());
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
