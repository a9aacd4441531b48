//! Rule C3: what was recorded under an operation's id is found again.

use bytes::Bytes;
use dao_api::store::{Append, Entry, EventStore};
use dao_projections::Head;

use crate::{
    places::Place,
    support::history::{accepted, accepted_all, found, graph, grow, operation, read_all, record, refused},
};

pub(in crate::contract) async fn c3_a_recorded_operation_is_a_duplicate_and_nothing_is_appended(
    place: impl Place,
) {
    let (store, g) = (place.store(), graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;

    let again = Entry { record: "another record".into(), ..accepted(1, head) };
    let outcome = place.other_store().append(&g, head, &[again]).await.unwrap();
    assert_eq!(outcome, Append::Duplicate(vec![(operation(1), record(1))]));
    assert_eq!(store.head(&g).await.unwrap(), head);
    assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))]);
}

pub(in crate::contract) async fn c3_duplicates_are_looked_for_before_heads_are_compared(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    grow(&*store, &g, head, [2]).await;

    let outcome = store.append(&g, Head::EMPTY, &[accepted(1, Head::EMPTY)]).await.unwrap();
    assert_eq!(outcome, Append::Duplicate(vec![(operation(1), record(1))]));
}

pub(in crate::contract) async fn c3_a_lost_acknowledgement_is_found_out_by_appending_again(
    place: impl Place,
) {
    let (store, g) = (place.store(), graph("g"));
    let (entries, head) = accepted_all(1..=40, Head::EMPTY);
    assert_eq!(store.append(&g, Head::EMPTY, &entries).await.unwrap(), Append::Appended);

    let recorded = entries.iter().map(|entry| (entry.operation, entry.record.clone())).collect();
    let outcome = place.other_store().append(&g, Head::EMPTY, &entries).await.unwrap();
    assert_eq!(outcome, Append::Duplicate(recorded));
    assert_eq!(store.head(&g).await.unwrap(), head);
}

pub(in crate::contract) async fn c3_one_duplicate_among_new_operations_holds_up_all(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1, 2, 3]).await;

    let (entries, _) = accepted_all([10, 2, 11], head);
    let outcome = store.append(&g, head, &entries).await.unwrap();
    assert_eq!(outcome, Append::Duplicate(vec![(operation(2), record(2))]));
    assert_eq!(store.head(&g).await.unwrap(), head);
    assert_eq!(store.operations(&g, &[operation(10), operation(11)]).await.unwrap(), [None, None]);
}

pub(in crate::contract) async fn c3_operations_without_a_commit_are_recorded(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    assert_eq!(store.append(&g, Head::EMPTY, &[refused(1)]).await.unwrap(), Append::Appended);
    assert_eq!(store.head(&g).await.unwrap(), Head::EMPTY);
    assert_eq!(store.operations(&g, &[operation(1)]).await.unwrap(), [Some(record(1))]);
    let again = store.append(&g, Head::EMPTY, &[refused(1)]).await.unwrap();
    assert_eq!(again, Append::Duplicate(vec![(operation(1), record(1))]));
}

pub(in crate::contract) async fn c3_an_operation_without_a_commit_needs_the_expected_head(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    let head = grow(&*store, &g, Head::EMPTY, [1]).await;
    let outcome = store.append(&g, Head::EMPTY, &[refused(2)]).await.unwrap();
    assert_eq!(outcome, Append::HeadMoved(head));
    assert_eq!(store.operations(&g, &[operation(2)]).await.unwrap(), [None]);
    assert_eq!(store.append(&g, head, &[refused(2)]).await.unwrap(), Append::Appended);
}

pub(in crate::contract) async fn c3_commits_and_refusals_go_together(place: impl Place) {
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

pub(in crate::contract) async fn c3_one_operation_id_can_be_used_in_many_graphs(place: impl Place) {
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
    let mut expected: Vec<_> = graphs.iter().enumerate().map(|(n, g)| (g.clone(), record_in(n))).collect();
    expected.sort();
    assert_eq!(everywhere, expected);
}

pub(in crate::contract) async fn c3_operations_answers_in_the_order_asked(place: impl Place) {
    let (store, g) = (place.store(), graph("g"));
    grow(&*store, &g, Head::EMPTY, 1..=10).await;
    let asked = [9, 77, 1, 10, 78, 1].map(operation);
    let records = [Some(9), None, Some(1), Some(10), None, Some(1)].map(|n| n.map(record));
    assert_eq!(store.operations(&g, &asked).await.unwrap(), records);
}

pub(in crate::contract) async fn c3_an_unknown_operation_is_found_nowhere(place: impl Place) {
    let store = place.store();
    grow(&*store, &graph("g"), Head::EMPTY, [1]).await;
    assert_eq!(found(&*store, operation(2)).await.unwrap(), []);
    assert_eq!(found(&*store, operation(1)).await.unwrap(), [(graph("g"), record(1))]);
}
