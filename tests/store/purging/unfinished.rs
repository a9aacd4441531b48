//! Purges that were cut off, and what comes too late.

use bytes::Bytes;
use dao_api::store::{EventStore, Listing, ProjectionStore, Purge, RowsChange, RowsHead, StoreError};
use dao_projections::{Head, ListKeys};

use super::{
    is_free_only_when_it_is_swept, listed, names, on_disk, on_redis, request, request_by, sweep, whole,
};
use crate::support::{
    history::{graph, grow, refused},
    redis::RedisServer,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purge_that_was_cut_off_is_finished_after_a_restart_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path());
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    let purging = store.purging().await.unwrap().remove(0);
    assert!(store.sweep(&purging).await.unwrap(), "there is more");
    store.close().await;
    drop(store);
    let store = on_disk(dir.path());
    assert_eq!((store.head(&g).await.unwrap(), store.purging().await.unwrap()), (Head::EMPTY, vec![purging]));
    is_free_only_when_it_is_swept(&store, &g).await;
    let second = request_by(10_000, store.head(&g).await.unwrap());
    assert_eq!(store.purge(&g, &second).await.unwrap(), Purge::Purged);
    sweep(&store).await;
    store.close().await;
    drop(store);
    let db = rusqlite::Connection::open(dir.path().join("dao.db")).unwrap();
    for table in [
        "event",
        "projection",
        "projection_row",
        "checkpoint",
        "refusal",
        "refused",
        "catalog",
        "parked",
        "purging",
    ] {
        let count: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_name_is_free_only_when_a_purge_that_was_cut_off_is_finished_redis() {
    let mut server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    store.close().await;
    server.restart();
    let store = on_redis(&server).await;
    is_free_only_when_it_is_swept(&store, &g).await;
}

/// A purge keeps its name until it is swept, also if the feed is trimmed beyond it; and without a name it is swept too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_a_purge_is_swept_also_if_its_name_is_not_known_any_more_embedded() {
    let dir = tempfile::tempdir().unwrap();
    let name_in_file = |is_set_null: bool| {
        let db = rusqlite::Connection::open(dir.path().join("dao.db")).unwrap();
        if is_set_null {
            db.execute("UPDATE gone SET name = NULL", []).unwrap();
        }
        db.query_row("SELECT name FROM gone ORDER BY seq DESC", [], |r| r.get::<_, Option<String>>(0))
            .unwrap()
    };
    let (store, g) = (on_disk(dir.path()), graph("g"));
    for is_known in [true, false] {
        let head = whole(&store, &g).await;
        assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
        let end = store.feed_bounds(0).await.unwrap().end;
        store.trim_feed(0, end).await.unwrap();
        assert_eq!(names(&store).await, [Some(g.clone())]);
        if !is_known {
            name_in_file(true);
            assert_eq!(names(&store).await, [None]);
        }
        let early = store.append(&g, Head::EMPTY, &[refused(2)]).await;
        assert!(matches!(early, Err(StoreError::Unavailable(_))), "{early:?}");
        sweep(&store).await;
        assert_eq!((store.purging().await.unwrap(), name_in_file(false)), (vec![], None));
    }
    grow(&store, &g, Head::EMPTY, [1]).await;
}

/// Rows that somebody writes of a graph that was purged meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l10_rows_that_come_too_late_are_dropped_redis() {
    let server = RedisServer::start();
    let store = on_redis(&server).await;
    let (g, head) = (graph("g"), whole(&store, &graph("g")).await);
    assert_eq!(store.purge(&g, &request(head)).await.unwrap(), Purge::Purged);
    sweep(&store).await;
    let keys = ListKeys { updated: "5".to_owned(), created: "1".to_owned(), title: "t".to_owned() };
    let listing = Some(Listing { keys, purge_after_ms: Some(1), row: Bytes::from_static(b"late") });
    let to = RowsHead { head, format: 1 };
    let late = RowsChange { from: None, to, replaces: false, rows: vec![], listing };
    assert!(store.change_rows(&g, "catalog", late).await.unwrap());
    assert_eq!(listed(&store).await, ["g"]);
    store.drop_rows(&g).await.unwrap();
    assert_eq!(listed(&store).await, Vec::<String>::new());
    assert_eq!(store.all_rows(&g, "catalog").await.unwrap(), None);
    assert_eq!(store.due_for_purge(u64::MAX >> 1, 0, 9).await.unwrap(), []);
    let h = graph("h");
    let there = whole(&store, &h).await;
    store.drop_rows(&h).await.unwrap();
    assert_eq!(
        store.all_rows(&h, "catalog").await.unwrap().map(|(at, _)| at.head),
        Some(there),
        "it has commits"
    );
}
