//! The files: whose they are, of which format, on which disk.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use dao_api::store::{
    Append, EventStore, StoreError,
    embedded::{EmbeddedStore, OpenError},
};
use dao_projections::{Head, Version};
use tempfile::TempDir;

use super::{assert_chain, commit, config, graph, history, open, sql, temporary};

#[tokio::test]
async fn a_second_process_is_told_which_directory_is_taken() {
    let dir = temporary();
    let store = open(dir.path());
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("the lock is held");
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    let line = refused.to_string();
    assert!(line.contains(&dir.path().display().to_string()) && line.contains("DATA_DIR"), "{line}");
    store.close().await;
    open(dir.path());
}

#[tokio::test]
async fn another_format_and_a_foreign_file_are_refused_untouched() {
    let dir = temporary();
    open(dir.path()).close().await;
    sql(dir.path(), "UPDATE meta SET value = 1 WHERE key = 'format'");
    let before = std::fs::read(dir.path().join("dao.db")).expect("the file");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("too old");
    assert!(matches!(refused, OpenError::Older { found: 1, known: 4, .. }), "{refused:?}");
    assert_eq!(std::fs::read(dir.path().join("dao.db")).expect("the file"), before);

    sql(dir.path(), "UPDATE meta SET value = 5 WHERE key = 'format'");
    let before = std::fs::read(dir.path().join("dao.db")).expect("the file");
    let refused = EmbeddedStore::open(config(dir.path())).expect_err("too new");
    assert!(matches!(refused, OpenError::Newer { found: 5, known: 4, .. }), "{refused:?}");
    assert_eq!(std::fs::read(dir.path().join("dao.db")).expect("the file"), before);

    let foreign = temporary();
    std::fs::write(
        foreign.path().join("dao.db"),
        "a letter to my aunt, longer than a page header ".repeat(99),
    )
    .expect("written");
    let refused = EmbeddedStore::open(config(foreign.path())).expect_err("no database");
    assert!(matches!(refused, OpenError::NotOurs { .. }), "{refused:?}");
}

/// A small file system of our own where we may mount one; else nothing, and the test says so.
struct Mounted(PathBuf, #[allow(dead_code, reason = "holds the mount point")] TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Option<Self> {
        let dir = temporary();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir.path().into(), dir));
        }
        eprintln!("skipped: this user cannot mount a tmpfs");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_read_only_directory_is_refused_with_advice() {
    let Some(mounted) = Mounted::tmpfs("size=1m,ro") else { return };
    for dir in [mounted.0.clone(), mounted.0.join("below")] {
        let line = EmbeddedStore::open(config(&dir)).expect_err("read-only").to_string();
        assert!(line.contains("DATA_DIR") && line.contains("Read-only"), "{line}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_nothing_and_heals() {
    let Some(mounted) = Mounted::tmpfs("size=12m") else { return };
    // More than what fits into the rest: it stands in the journal, in the tables' log, and in the tables then.
    let ballast = mounted.0.join("ballast");
    std::fs::write(&ballast, vec![0; 9 << 20]).expect("room for it");
    let store = open(&mounted.0);
    let (g, mut head) = (graph("g"), Head::EMPTY);
    let (earlier, mut earlier_head) = (graph("earlier"), Head::EMPTY);
    let entry = commit(&mut earlier_head, "one");
    store.append(&earlier, Head::EMPTY, &[entry]).await.expect("appended");
    assert_eq!(store.head(&earlier).await.expect("a head"), earlier_head);
    let refused = loop {
        let mut next = head;
        let entry = commit(&mut next, &"x".repeat(50_000));
        match store.append(&g, head, &[entry]).await {
            Ok(outcome) => assert_eq!(outcome, Append::Appended),
            Err(refused) => break refused,
        }
        head = next;
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(head.version > Version::EMPTY);
    assert_eq!(store.head(&earlier).await.expect("reads go on"), earlier_head);
    // What was written last may be in the journal only, and then waits for room.
    match store.head(&g).await {
        Ok(found) => assert_eq!(found, head),
        Err(waits) => assert!(matches!(waits, StoreError::Unavailable(_)), "{waits:?}"),
    }

    std::fs::remove_file(&ballast).expect("removed");
    store.check().await.expect("there is room again");
    let mut next = head;
    let entry = commit(&mut next, &"y".repeat(50_000));
    assert_eq!(store.append(&g, head, &[entry]).await.expect("an outcome"), Append::Appended);
    store.close().await;
    let store = open(&mounted.0);
    assert_eq!(store.head(&g).await.expect("a head"), next);
    assert_chain(&history(&store, &g).await);
}
