//! Backups, copies of files and migrations have what is in the journal only.

use std::{fs, sync::Arc};

use dao_api::store::{
    Append, EventStore,
    embedded::{EmbeddedStore, OpenError, backup},
};
use dao_projections::{Head, Version};

use super::{all_moved, append, hold_up, let_go, tables};
use crate::{
    embedded::{commit_as, config, graph, open, temporary, version},
    support::journal::{Image, unmoved},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_a_backup_has_what_is_in_the_journal_only() {
    let dir = temporary();
    let store = open(dir.path());
    let (mut head, mut entries) = (Head::EMPTY, Vec::new());
    for n in 0..5 {
        entries.push(append(&store, "g", &mut head, &format!("{n}")).await);
    }
    all_moved(&store).await;
    hold_up(dir.path());
    for n in 5..9 {
        entries.push(append(&store, "g", &mut head, &format!("{n}")).await);
    }
    store.close().await;
    drop(store);
    let_go(dir.path());
    assert_eq!(unmoved(dir.path()), 4);
    let copy = dir.path().join("copy.db");
    let contents = backup::backup(dir.path(), &copy, &mut |_| {}).expect("a copy");
    assert_eq!((contents.commits, contents.damaged), (9, 0));
    assert_eq!(unmoved(dir.path()), 4, "the original is as it was");

    let place = temporary();
    let restored = place.path().join("data");
    backup::restore(&copy, &restored, &mut |_| {}).expect("restored");
    let store = open(&restored);
    assert_eq!(store.head(&graph("g")).await.expect("a head"), head);
    let ids: Vec<_> = entries.iter().map(|entry| entry.operation).collect();
    let records: Vec<_> = entries.into_iter().map(|entry| Some(entry.record)).collect();
    assert_eq!(store.operations(&graph("g"), &ids).await.expect("an answer"), records);
    let again = [commit_as(ids[8], &mut { head }, "again")];
    let found = store.append(&graph("g"), head, &again).await.expect("an outcome");
    assert!(matches!(found, Append::Duplicate(_)), "{found:?}");
    append(&store, "g", &mut head, "more").await;
    store.close().await;
    drop(store);
    assert_eq!(open(&restored).head(&graph("g")).await.expect("a head"), head);
    // Beside the journal of the store that it was made of it is another store.
    fs::copy(&copy, dir.path().join("dao.db")).expect("put there by hand");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("two stores");
    assert!(matches!(refused, OpenError::JournalOfAnother { .. }), "{refused:?}");
    // Nor is it restored there.
    fs::remove_file(dir.path().join("dao.db")).expect("removed");
    assert!(matches!(
        backup::restore(&copy, dir.path(), &mut |_| {}),
        Err(backup::BackupError::Exists { .. })
    ));
}

#[tokio::test]
async fn v6_files_of_a_crashed_store_are_copied_with_their_journal_or_not_at_all() {
    let dir = temporary();
    let store = open(dir.path());
    let mut head = Head::EMPTY;
    append(&store, "g", &mut head, "moved").await;
    all_moved(&store).await;
    hold_up(dir.path());
    for n in 0..4 {
        append(&store, "g", &mut head, &format!("{n}")).await;
    }
    let crashed = Image::of(dir.path()).write();
    let_go(dir.path());
    tables(crashed.path()).execute_batch("DROP TRIGGER hold").expect("dropped");
    let (file, place) = (crashed.path().join("dao.db"), temporary());
    let (copy, restored) = (place.path().join("copy.db"), place.path().join("restored"));
    assert_eq!(backup::restore(&file, &restored, &mut |_| {}).expect("restored").commits, 5);
    assert_eq!(open(&restored).head(&graph("g")).await.expect("a head"), head);

    // Without it, and with another store's empty one in its place.
    let refused = |n: usize| {
        let (copy, dir) = (place.path().join(format!("{n}.db")), place.path().join(format!("{n}")));
        let backed_up = backup::backup(crashed.path(), &copy, &mut |_| {}).expect_err("it is missing");
        let restored = backup::restore(&file, &dir, &mut |_| {}).expect_err("it is missing");
        for refused in [backed_up, restored] {
            assert!(
                matches!(refused, backup::BackupError::Directory(OpenError::JournalMissing { .. })),
                "{refused:?}"
            );
            let line = refused.to_string();
            assert!(line.contains("journal.db is missing") && !line.contains('\n'), "{line}");
        }
        assert!(!copy.exists() && !dir.join("dao.db").exists());
    };
    for name in ["journal.db", "journal.db-wal"] {
        fs::remove_file(crashed.path().join(name)).expect("removed");
    }
    refused(1);
    let other = temporary();
    open(other.path()).close().await;
    fs::copy(other.path().join("journal.db"), crashed.path().join("journal.db")).expect("copied");
    refused(2);

    // It can be given up, on purpose.
    let without = place.path().join("without");
    let contents = backup::restore_without_journal(&file, &without, &mut |_| {}).expect("restored");
    assert_eq!((contents.commits, contents.damaged), (1, 0));
    assert_eq!(open(&without).head(&graph("g")).await.expect("a head").version, version(1));
    // A backup has everything: what lies beside it is not its journal.
    assert_eq!(backup::backup(&restored, &copy, &mut |_| {}).expect("a copy").commits, 5);
    fs::write(place.path().join("journal.db"), "something else").expect("written");
    let again = place.path().join("again");
    assert_eq!(backup::restore(&copy, &again, &mut |_| {}).expect("restored").commits, 5);
}

/// Backups one after the other while appends go on: each is a whole history with all that was acknowledged before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_backups_while_appends_go_on_miss_nothing() {
    let dir = temporary();
    let store = Arc::new(open(dir.path()));
    let (told, acknowledged) = tokio::sync::watch::channel(Version::EMPTY);
    let writing = tokio::spawn(async move {
        let mut head = Head::EMPTY;
        while !told.is_closed() {
            append(&store, "g", &mut head, &"x".repeat(500)).await;
            let _nobody_listens = told.send(head.version);
        }
    });
    let place = temporary();
    for n in 0..12 {
        let before = *acknowledged.borrow();
        let (from, to) = (dir.path().to_owned(), place.path().join(format!("{n}.db")));
        let copied = tokio::task::spawn_blocking(move || backup::backup(&from, &to, &mut |_| {})).await;
        let contents = copied.expect("it ends").expect("a copy");
        assert!(contents.commits >= before.get() && contents.damaged == 0, "{contents:?} {before}");
    }
    drop(acknowledged);
    writing.await.expect("it ends");
}
