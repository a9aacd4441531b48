//! Rules V1 to V4 and L7: what an append does and when it changes nothing.

use bytes::Bytes;
use dao_api::store::{Append, Entry, EventStore, StoredCommit};
use dao_projections::{Head, Version};

use crate::{
    places::Place,
    support::history::{
        accepted, accepted_all, assert_is_a_history, commit, graph, grow, operation, read_all, record,
        refused, version,
    },
};

pub(in crate::contract) async fn v1_an_unknown_graph_is_empty(place: impl Place) {
    let (store, g) = (place.store(), graph("nobody-wrote-here"));
    assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
    assert_eq!(store.read(&g, Version::EMPTY, version(100), 100).await.unwrap(), []);
    assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [None]);
    assert_eq!(store.operations(&g, &[]).await.unwrap(), []);
    store.check().await.unwrap();
    assert!(!store.durability().name.is_empty() && !store.location().is_empty());
}

pub(in crate::contract) async fn v1_what_was_appended_is_read(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let (entries, head) = accepted_all(1..=5, Head::EMPTY);
    assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);

    assert_eq!(store.head(&g).await.unwrap(), head);
    let commits = entries.into_iter().filter_map(|entry| entry.commit).collect::<Vec<_>>();
    assert_eq!(place.other_store().read(&g, Version::EMPTY, head.version, 100).await.unwrap(), commits);
}

pub(in crate::contract) async fn v1_an_append_on_a_moved_head_changes_nothing(place: impl Place) {
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

pub(in crate::contract) async fn v4_the_same_version_with_another_hash_is_a_moved_head(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    let other_history = accepted(2, Head::EMPTY).commit.unwrap().head();
    assert_eq!(head.version, other_history.version);

    let outcome = store.append(&g, other_history, &[accepted(3, other_history)]).await.unwrap();
    assert_eq!(outcome, Append::HeadMoved(head));
    assert_eq!(store.head(&g).await.unwrap(), head);
}

pub(in crate::contract) async fn v1_an_append_ahead_of_the_history_is_a_moved_head(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let (_, ahead) = accepted_all(1..=3, Head::EMPTY);
    let far_ahead = Head { version: version(i64::MAX as u64 - 1), ..ahead };
    for head in [ahead, far_ahead] {
        let outcome = store.append(&g, head, &[accepted(9, head)]).await.unwrap();
        assert_eq!(outcome, Append::HeadMoved(Head::EMPTY));
    }
    assert_eq!(read_all(&*store, &g).await, []);
}

pub(in crate::contract) async fn v1_graphs_have_nothing_to_do_with_each_other(place: impl Place) {
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

pub(in crate::contract) async fn v2_a_thousand_entries_are_one_append(place: impl Place) {
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

pub(in crate::contract) async fn l7_copied_commits_come_before_the_entries_and_have_no_operations(
    place: impl Place,
) {
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

pub(in crate::contract) async fn v2_an_append_of_nothing_compares_heads(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    assert_eq!(store.append(&g, Head::EMPTY, &[]).await.unwrap(), Append::Appended);
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    assert_eq!(store.append(&g, Head::EMPTY, &[]).await.unwrap(), Append::HeadMoved(head));
}

pub(in crate::contract) async fn v3_any_bytes_come_back_as_they_were(place: impl Place) {
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
