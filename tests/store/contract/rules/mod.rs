//! The rules, each for any store.

mod appending;
mod reading;
mod repeats;

pub(super) use appending::*;
pub(super) use reading::*;
pub(super) use repeats::*;

use std::collections::HashSet;

use bytes::Bytes;
use dao_api::store::{
    Append, EventStore, Order, Publication, Publications, RefusalPlace, StoredCommit, StoredRefusal,
};
use dao_projections::{GraphId, Head};

use crate::{
    places::Place,
    support::history::{
        accepted, accepted_all, assert_is_a_history, found, graph, grow, operation, read_all, record,
        refused, version,
    },
};

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
