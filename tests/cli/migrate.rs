//! Stores of older formats, brought to this one by `dao-api migrate`, and what a fresh store holds.

use std::{path::Path, process::Output};

use crate::support::{redis::RedisServer, server::program};

/// The tables of the embedded store as format 1 had them.
const EMBEDDED_1: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE graph (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE event (key INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE TABLE feed (
        seq INTEGER PRIMARY KEY, graph INTEGER NOT NULL, \"from\" INTEGER NOT NULL, \"to\" INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE operation (
        window INTEGER NOT NULL, id BLOB NOT NULL, graph INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (window, id, graph)
    ) STRICT, WITHOUT ROWID;
    CREATE VIEW history AS
        SELECT graph.name AS graph, key & ((1 << 34) - 1) AS version, hash, body
        FROM event JOIN graph ON graph.id = key >> 34;
    INSERT INTO meta VALUES ('format', 1), ('fence', 0);";

fn run(setting: (&str, &str), arguments: &[&str]) -> Output {
    program(&[setting]).args(arguments).output().unwrap()
}

fn succeeds(setting: (&str, &str), arguments: &[&str]) -> String {
    let output = run(setting, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn is_told_to_migrate(setting: (&str, &str)) {
    let output = run(setting, &["export", "demo"]);
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && line.contains("dao-api migrate"), "{line}");
}

/// What `migrate` says, from an older store to one that needs nothing.
fn migrates(setting: (&str, &str)) {
    is_told_to_migrate(setting);
    for _ in 0..2 {
        let said = succeeds(setting, &["migrate", "--dry-run"]);
        assert!(said.contains("would be done: format 1 to 2"), "{said}");
        assert!(said.contains("would be done: format 2 to 3"), "{said}");
        assert_eq!(said.contains("would be done: format 3 to 4"), setting.0 == "DATA_DIR", "{said}");
        is_told_to_migrate(setting);
    }
    let said = succeeds(setting, &["migrate"]);
    assert!(said.starts_with("done: format 1 to 2") && said.contains("done: format 2 to 3"), "{said}");
    for arguments in [&["migrate"] as &[&str], &["migrate", "--dry-run"]] {
        let said = succeeds(setting, arguments);
        assert!(said.contains("nothing to do"), "{said}");
    }
}

/// What `list` shows.
fn listed(setting: (&str, &str)) -> Vec<String> {
    let said = succeeds(setting, &["list", "--json"]);
    let rows = said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.map(|row| row["graphId"].as_str().unwrap().to_owned()).collect()
}

fn open(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("dao.db")).unwrap()
}

fn rows(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Every table, view and index with its columns.
fn shape(dir: &Path) -> Vec<String> {
    let sql = "SELECT s.type || ' ' || s.name || ' ' || coalesce(group_concat(p.name || p.type || p.pk || p.\"notnull\" ||
               coalesce(p.dflt_value, '-')), '') FROM sqlite_schema s LEFT JOIN pragma_table_info(s.name) p
               GROUP BY s.name ORDER BY s.name";
    rows(&open(dir), sql)
}

#[test]
fn a_file_of_format_1_becomes_what_a_fresh_one_is() {
    let place = tempfile::tempdir().unwrap();
    let (fresh, old) = (place.path().join("fresh"), place.path().join("old"));
    let (fresh_dir, old_dir) = (fresh.to_str().unwrap(), old.to_str().unwrap());
    succeeds(("DATA_DIR", fresh_dir), &["seed", "--graph", "demo"]);
    let history = succeeds(("DATA_DIR", fresh_dir), &["export", "demo"]);

    std::fs::create_dir(&old).unwrap();
    let connection = open(&old);
    connection.execute_batch(EMBEDDED_1).unwrap();
    connection.execute("ATTACH ?1 AS fresh", [fresh.join("dao.db").to_str().unwrap()]).unwrap();
    connection
        .execute_batch(
            "INSERT INTO graph SELECT id, name FROM fresh.graph;
             INSERT INTO event SELECT key, hash, body FROM fresh.event;
             INSERT INTO feed SELECT seq, graph, \"from\", \"to\" FROM fresh.feed;
             INSERT INTO operation SELECT * FROM fresh.operation; PRAGMA journal_mode = WAL;",
        )
        .unwrap();
    drop(connection);

    let setting = ("DATA_DIR", old_dir);
    migrates(setting);
    assert_eq!(shape(&old), shape(&fresh));
    assert_eq!(succeeds(setting, &["export", "demo"]), history, "not a byte of a history is changed");
    assert!(succeeds(setting, &["verify", "--all"]).contains("0 damaged"));
    let feed = "SELECT seq || ' ' || graph || ' ' || \"from\" || ' ' || \"to\" FROM feed ORDER BY seq";
    assert_eq!(rows(&open(&old), feed), rows(&open(&fresh), feed));
    assert_eq!(rows(&open(&old), "SELECT 'now' FROM feed WHERE at < unixepoch() * 1000 - 600000").len(), 0);
    assert_eq!(listed(setting), ["demo"]);
    // It can be written to, and knows what was done.
    assert!(succeeds(setting, &["seed", "--graph", "demo"]).contains("already"));
    succeeds(setting, &["seed", "--graph", "second"]);
    succeeds(setting, &["rebuild", "--all"]);
}

#[test]
fn rows_of_an_older_format_are_rebuilt() {
    let place = tempfile::tempdir().unwrap();
    let setting = ("DATA_DIR", place.path().to_str().unwrap());
    succeeds(setting, &["seed", "--graph", "demo"]);
    succeeds(setting, &["rebuild", "--all"]);
    let all = "SELECT name || key || hex(row) FROM projection_row ORDER BY name, key";
    let fresh = rows(&open(place.path()), all);
    assert!(!fresh.is_empty());
    let connection = open(place.path());
    connection
        .execute_batch("UPDATE projection SET format = 0; UPDATE projection_row SET row = x'00';")
        .unwrap();
    drop(connection);
    assert!(succeeds(setting, &["migrate", "--dry-run"]).contains("would be done: rows of 3"));
    assert!(succeeds(setting, &["migrate"]).contains("done: rows of 3"));
    assert_eq!(rows(&open(place.path()), all), fresh);
    assert!(succeeds(setting, &["migrate"]).contains("nothing to do"));
}

#[test]
fn a_graph_that_is_not_in_the_list_is_put_there_and_a_damaged_one_stops_no_other() {
    let place = tempfile::tempdir().unwrap();
    let setting = ("DATA_DIR", place.path().to_str().unwrap());
    for graph in ["a", "broken", "c"] {
        succeeds(setting, &["seed", "--graph", graph]);
    }
    let connection = open(place.path());
    connection
        .execute_batch(
            "DELETE FROM catalog; DELETE FROM projection WHERE name = 'catalog';
             DELETE FROM projection_row WHERE name = 'catalog';
             UPDATE event SET body = x'00'
                 WHERE key >> 34 = (SELECT id FROM graph WHERE name = 'broken') AND key & ((1 << 34) - 1) = 3;",
        )
        .unwrap();
    drop(connection);
    assert!(listed(setting).is_empty());
    let output = run(setting, &["migrate"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("1 graph can't be read") && said.contains("broken (commit 3"), "{said}");
    let done = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(done, "done: rows of 2 projections rebuilt from the log\n");
    assert_eq!(listed(setting), ["a", "c"]);
}

/// A store of a later format than this program knows: older ones say this of every later number.
fn is_told_to_use_the_newer_program(setting: (&str, &str), later: &str) {
    let output = run(setting, &["export", "demo"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains(later), "{said}");
    assert!(said.contains("newer program") || said.contains("the program that wrote them"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[test]
fn a_file_of_format_2_gets_room_for_what_format_3_brings() {
    let place = tempfile::tempdir().unwrap();
    let (fresh, old) = (place.path().join("fresh"), place.path().join("old"));
    for dir in [&fresh, &old] {
        succeeds(("DATA_DIR", dir.to_str().unwrap()), &["seed", "--graph", "demo"]);
    }
    let setting = ("DATA_DIR", old.to_str().unwrap());
    let history = succeeds(setting, &["export", "demo"]);
    let connection = open(&old);
    connection
        .execute_batch(
            "DROP TABLE catalog; DELETE FROM projection WHERE name = 'catalog';
             DELETE FROM projection_row WHERE name = 'catalog'; DROP VIEW history; ALTER TABLE event DROP COLUMN digest; ALTER TABLE graph DROP COLUMN salt;
             CREATE VIEW history AS
                 SELECT graph.name AS graph, key & ((1 << 34) - 1) AS version, hash, body
                 FROM event JOIN graph ON graph.id = key >> 34;
             DELETE FROM meta WHERE key IN ('moved', 'store', 'journal'); UPDATE meta SET value = 2 WHERE key = 'format';",
        )
        .unwrap();
    drop(connection);
    is_told_to_migrate(setting);
    assert!(succeeds(setting, &["migrate"]).starts_with("done: format 2 to 3"));
    assert_eq!(shape(&old), shape(&fresh));
    assert_eq!(succeeds(setting, &["export", "demo"]), history, "not a byte of a history is changed");
    assert_eq!(listed(setting), ["demo"]);
    assert!(succeeds(setting, &["migrate"]).contains("nothing to do"));
    open(&old).execute("UPDATE meta SET value = 5 WHERE key = 'format'", []).unwrap();
    is_told_to_use_the_newer_program(setting, "format 5");
}

#[test]
fn a_redis_of_format_2_is_of_format_3_once_that_was_asked_for() {
    let node = RedisServer::start();
    let url = node.url();
    let setting = ("REDIS_URL", url.as_str());
    succeeds(setting, &["seed", "--graph", "demo"]);
    let history = succeeds(setting, &["export", "demo"]);
    node.command(&["HSET", "dao:meta", "format", "2"]);
    for key in node.keys("dao:*catalog*") {
        node.command(&["DEL", &key]);
    }
    is_told_to_migrate(setting);
    assert!(succeeds(setting, &["migrate", "--dry-run"]).contains("would be done: format 2 to 3"));
    assert!(succeeds(setting, &["migrate"]).starts_with("done: format 2 to 3"));
    assert_eq!(succeeds(setting, &["export", "demo"]), history);
    assert_eq!(listed(setting), ["demo"]);
    node.command(&["HSET", "dao:meta", "format", "4"]);
    is_told_to_use_the_newer_program(setting, "format 4");
}

/// Format 1 had no index of graphs.
fn age(nodes: &[RedisServer], url: &str) {
    for name in ["demo", "second", "a:events"] {
        succeeds(("REDIS_URL", url), &["seed", "--graph", name]);
    }
    for node in nodes {
        for partition in 0..64 {
            node.command(&["DEL", &format!("dao:{{{partition}}}:graphs")]);
        }
        node.command(&["HSET", "dao:meta", "format", "1"]);
    }
}

#[test]
fn a_redis_of_format_1_gets_its_index_of_graphs() {
    let node = RedisServer::start();
    let url = node.url();
    let nodes = [node];
    age(&nodes, &url);
    migrates(("REDIS_URL", &url));
    let verified = succeeds(("REDIS_URL", &url), &["verify", "--all"]);
    assert!(verified.contains("3 graphs verified, 0 damaged") && verified.contains("a:events"), "{verified}");
}

#[test]
fn a_cluster_of_format_1_gets_its_index_on_every_primary() {
    let nodes = RedisServer::cluster();
    let url = nodes[0].cluster_url();
    age(&nodes, &url);
    migrates(("REDIS_URL", &url));
    let verified = succeeds(("REDIS_URL", &url), &["verify", "--all"]);
    assert!(verified.contains("3 graphs verified, 0 damaged"), "{verified}");
}
