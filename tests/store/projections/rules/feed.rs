//! The feed, the places of its readers, and leases.

use std::time::Duration;

use dao_api::store::{EventStore, FeedPlace, ProjectionStore};
use dao_projections::{GraphId, Head};

use super::all;
use crate::{
    places::Place,
    support::history::{accepted, graph, grow, refused},
};

pub(in crate::projections) async fn an_empty_feed_has_no_entries_and_no_bounds(place: impl Place) {
    let store = place.store();
    for part in 0..store.feed_parts() {
        assert_eq!(all(&*store, part).await, []);
        let bounds = store.feed_bounds(part).await.unwrap();
        assert_eq!((bounds.trimmed, bounds.end), (FeedPlace::START, FeedPlace::START));
    }
}

pub(in crate::projections) async fn every_append_with_commits_has_one_entry_in_its_graphs_part_in_order(
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

pub(in crate::projections) async fn the_feed_is_read_in_chunks_that_continue_each_other(place: impl Place) {
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

pub(in crate::projections) async fn what_is_trimmed_is_gone_and_the_rest_stays(place: impl Place) {
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

pub(in crate::projections) async fn after_everything_was_trimmed_later_places_are_later(place: impl Place) {
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

pub(in crate::projections) async fn trimming_back_changes_nothing(place: impl Place) {
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

pub(in crate::projections) async fn readers_have_places_of_their_own(place: impl Place) {
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

pub(in crate::projections) async fn a_lease_belongs_to_one_worker_until_it_lets_go(place: impl Place) {
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
