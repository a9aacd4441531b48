//! When the tables thread is given what, and who is told what; without a thread.

use bytes::Bytes;
use dao_projections::Head;
use tokio::sync::oneshot;

use super::{
    super::round::AppendRequest,
    state::{MOVE_PERIOD, MOVE_RETRY},
    *,
};
use crate::store::{Entry, PurgeRequest, StoredCommit};

fn graph(name: &str) -> GraphId {
    GraphId::parse(name).expect("a graph id")
}

fn id(n: i64) -> OperationId {
    OperationId::from(uuid::Uuid::from_u128(n as u128))
}

/// A round with one commit of this graph, the operation of which has the round's number.
fn round(seq: i64, name: &str) -> Round {
    let head = Head::EMPTY.after(&seq.to_be_bytes());
    let body = Bytes::copy_from_slice(&seq.to_be_bytes());
    let commit = StoredCommit { version: head.version, hash: head.hash, body };
    let entry = Entry {
        operation: id(seq),
        record: Bytes::from_static(b"r"),
        commit: Some(commit),
        refused_at: None,
    };
    let append =
        AppendRequest { graph: graph(name), expected: Head::EMPTY, copied: Vec::new(), entries: vec![entry] };
    Round { seq, at_ms: 1, appends: vec![append] }
}

fn now(tail: &Tail) -> Work {
    tail.next(Instant::now())
}

fn moves(work: Work) -> i64 {
    match work {
        Work::Write { rounds, last, .. } if !rounds.is_empty() => last,
        _ => panic!("nothing is to be moved"),
    }
}

fn write(write: ReadSideWrite) -> (PendingWrite, oneshot::Receiver<Result<bool, StoreError>>) {
    let (answer, answered) = oneshot::channel();
    (PendingWrite { write, after: 0, again_after: 0, room: None, answer, turn: None }, answered)
}

#[test]
fn the_first_round_is_moved_at_once_and_the_next_waits_for_others() {
    let tail = Tail::new(0);
    assert!(matches!(now(&tail), Work::Rest));
    tail.extend(round(1, "a"), 1);
    assert_eq!(moves(now(&tail)), 1);
    // While it is moved, others come: they are not lost, and not moved with it.
    tail.extend(round(2, "a"), 1);
    tail.extend(round(3, "b"), 1);
    tail.moved(1);
    assert!(matches!(now(&tail), Work::Rest));
    let began = Instant::now();
    assert_eq!(moves(tail.next(began + 10 * MOVE_PERIOD)), 3);
    assert!(began.elapsed() < 5 * MOVE_PERIOD);
}

#[test]
fn what_is_in_the_tail_is_known_until_it_is_moved() {
    let tail = Tail::new(0);
    tail.extend(round(1, "a"), 1);
    let first = now(&tail);
    tail.extend(round(2, "a"), 1);
    for seq in [1, 2] {
        assert_eq!(tail.record(&graph("a"), id(seq)), Some(Bytes::from_static(b"r")));
        assert_eq!(tail.record(&graph("b"), id(seq)), None);
    }
    assert_eq!(tail.head(&graph("a")), Some(Head::EMPTY.after(&2_i64.to_be_bytes())));
    tail.moved(moves(first));
    assert_eq!((tail.record(&graph("a"), id(1)), tail.head(&graph("b"))), (None, None));
    assert!(tail.record(&graph("a"), id(2)).is_some() && tail.head(&graph("a")).is_some());
}

#[tokio::test]
async fn who_reads_what_is_in_the_tables_already_does_not_wait_for_the_rest_of_a_graph() {
    let tail = Arc::new(Tail::new(0));
    let version = |n| Version::new(n).expect("small");
    let mut later = round(1, "a");
    later.appends[0].expected.version = version(7);
    tail.extend(later, 1);
    let work = now(&tail);
    tail.extend(round(2, "a"), 1); // the oldest batch says what the tables have
    for (name, to) in [("a", 6), ("a", 7), ("b", 100)] {
        tail.moved_of_to(&graph(name), version(to)).await.expect("it is in the tables");
    }
    let waits = tokio::spawn({
        let tail = Arc::clone(&tail);
        async move { tail.moved_of_to(&graph("a"), version(8)).await }
    });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    tail.moved(moves(work));
    tail.moved(2);
    waits.await.expect("it ends").expect("moved");
}

#[tokio::test]
async fn a_reader_waits_for_its_graph_only_and_is_told_where_moving_fails() {
    let tail = Arc::new(Tail::new(0));
    tail.extend(round(1, "a"), 1);
    let work = now(&tail);
    tail.extend(round(2, "b"), 1);
    tail.moved_of(&graph("c")).await.expect("there is nothing of it");
    let reader = |name: &'static str| {
        let tail = Arc::clone(&tail);
        tokio::spawn(async move { tail.moved_of(&graph(name)).await })
    };
    let (a, b) = (reader("a"), reader("b"));
    tokio::task::yield_now().await;
    tail.moved(moves(work));
    a.await.expect("it ends").expect("moved");
    assert!(!b.is_finished());
    // Somebody asks: it is sooner than it would be.
    let began = Instant::now();
    assert_eq!(moves(tail.next(began + 10 * MOVE_PERIOD)), 2);
    assert!(began.elapsed() < MOVE_PERIOD);
    assert!(tail.failed("no room".into()));
    let told = b.await.expect("it ends");
    assert!(matches!(&told, Err(StoreError::Unavailable(why)) if why.contains("no room")), "{told:?}");
    assert!(tail.trouble().is_some());
    let all = tokio::spawn({
        let tail = Arc::clone(&tail);
        async move { tail.moved_all().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(moves(tail.next(Instant::now() + 10 * MOVE_PERIOD)), 2);
    tail.moved(2);
    all.await.expect("it ends").expect("moved");
    assert_eq!(tail.trouble(), None);
}

#[test]
fn a_write_waits_for_nothing_and_a_purge_for_all_rounds_before() {
    let tail = Tail::new(0);
    tail.extend(round(1, "a"), 1);
    let first = moves(now(&tail));
    let (place, _answered) = write(ReadSideWrite::Place { reader: "r".into(), seq: 1 });
    tail.write(place);
    tail.moved(first);
    tail.extend(round(2, "a"), 1);
    let Work::Write { rounds, writes, last, .. } = now(&tail) else { panic!("there is a write") };
    assert_eq!((rounds.len(), writes.len(), last), (0, 1, 1));
    let request = PurgeRequest { expected: Head::EMPTY, operation: id(9), fingerprint: [0; 8] };
    let (mut purge, _answered) = write(ReadSideWrite::Purge { graph: graph("a"), request });
    let (turn, _done) = std::sync::mpsc::channel();
    purge.turn = Some(turn);
    tail.write(purge);
    let Work::Write { rounds, writes, last, .. } = now(&tail) else { panic!("there is a purge") };
    assert_eq!((rounds.len(), writes.len(), last), (1, 1, 2));
}

#[test]
fn where_moving_fails_those_who_wait_are_refused_and_the_rounds_stay() {
    let tail = Tail::new(0);
    tail.extend(round(1, "a"), BYTES_MAX);
    assert_eq!(moves(now(&tail)), 1);
    assert!(tail.failed("no room".into()));
    assert!(tail.wait_for_room().expect_err("it is full").contains("no room"));
    assert_eq!(moves(tail.next(Instant::now() + 10 * MOVE_RETRY)), 1);
    tail.moved(1);
    tail.wait_for_room().expect("there is room");
    tail.extend(round(2, "a"), 1);
    tail.close();
    assert_eq!(moves(now(&tail)), 2);
    assert!(!tail.failed("no room".into()), "it was the last attempt");
}
