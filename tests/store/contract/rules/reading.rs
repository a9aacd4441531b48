//! Rules A1, A5 and V7: what is listed and read, and its bounds.

use dao_api::store::{Append, Entry, EventStore, Order, READ_BYTES_MAX, REFUSALS_MAX, StoredRefusal};
use dao_projections::{GraphId, Head, Version};

use super::refusals;
use crate::{
    places::Place,
    support::history::{
        accepted_all, assert_is_a_history, commit, graph, grow, operation, read_all, record, refused,
        refused_at, version,
    },
};

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

pub(in crate::contract) async fn a1_refusals_are_found_where_they_were_judged(mut place: impl Place) {
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

pub(in crate::contract) async fn a1_only_what_was_appended_is_listed(place: impl Place) {
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

pub(in crate::contract) async fn a1_refusals_are_read_from_either_end_within_bounds(place: impl Place) {
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

pub(in crate::contract) async fn a1_of_many_refusals_the_latest_are_kept(place: impl Place) {
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

pub(in crate::contract) async fn a5_graphs_are_listed_by_name(place: impl Place) {
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

pub(in crate::contract) async fn v7_a_read_is_bounded_at_both_ends(place: impl Place) {
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
        assert_eq!(store.read(&g, version(after), version(to), 1_000).await.unwrap(), [], "({after}, {to}]");
    }
}

pub(in crate::contract) async fn v7_a_read_has_a_limit(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    grow(&*store, &g, Head::EMPTY, 1..=200).await;
    let all = read_all(&*store, &g).await;
    for limit in [0, 1, 2, 3, 4, 5, 16, 17, 199, 200] {
        let read = store.read(&g, Version::EMPTY, version(200), limit).await.unwrap();
        assert_eq!(read, all[..limit], "{limit}");
    }
}

pub(in crate::contract) async fn v7_a_read_has_a_bound_in_bytes(place: impl Place) {
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

pub(in crate::contract) async fn v7_a_read_of_bodies_beyond_the_bound_gives_one(place: impl Place) {
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
