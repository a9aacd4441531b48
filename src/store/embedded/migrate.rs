//! Bringing a file of an older format to the one that this program writes, in numbered steps.
//!
//! Invariants: a step and the new format number are one transaction, so a migration that was killed goes on where
//! it was; histories are never rewritten, for their hashes are over the stored bytes (rule V3): older commits
//! are upcast when they are read. A step says what the format was then, and is not changed when tables are.

use std::path::Path;

use super::{
    open_error::OpenError,
    schema::{self, FORMAT},
};
use crate::store::Migrate;

/// One step: from a format to the next.
struct MigrationStep {
    from: i64,
    what: &'static str,
    sql: &'static str,
}

/// All steps, the oldest first.
const STEPS: [MigrationStep; 3] = [FROM_1, FROM_2, FROM_3];

const FROM_1: MigrationStep = MigrationStep {
    from: 1,
    what: "tables for refused operations, rows and checkpoints of projections, and documents; times in the feed",
    // The times of feed entries weren't kept: they count as made now, and stay for FEED_RETENTION.
    sql: "
        CREATE TABLE feed_2 (
            seq INTEGER PRIMARY KEY, graph INTEGER NOT NULL, \"from\" INTEGER NOT NULL, \"to\" INTEGER NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
        INSERT INTO feed_2 SELECT seq, graph, \"from\", \"to\", unixepoch() * 1000 FROM feed;
        DROP TABLE feed;
        ALTER TABLE feed_2 RENAME TO feed;
        CREATE TABLE IF NOT EXISTS projection (
            graph INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
            format INTEGER NOT NULL, PRIMARY KEY (graph, name)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS projection_row (
            graph INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, row BLOB NOT NULL,
            PRIMARY KEY (graph, name, key)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS checkpoint (
            graph INTEGER NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL, state BLOB NOT NULL,
            PRIMARY KEY (graph, version)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS place (reader TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS parked (
            graph INTEGER PRIMARY KEY, version INTEGER NOT NULL, reason TEXT NOT NULL
        ) STRICT;
        CREATE TABLE IF NOT EXISTS document (
            kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS refusal (
            graph INTEGER NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, operation BLOB NOT NULL,
            record BLOB NOT NULL, PRIMARY KEY (graph, number)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS refusal_version ON refusal (graph, version);
        INSERT OR IGNORE INTO meta VALUES ('documents', 0);",
};

const FROM_2: MigrationStep = MigrationStep {
    from: 2,
    what: "room for digests of erased commits, a salt for each graph, the list of graphs, and what is left of purged \
           ones; commits may hold the events of this release",
    sql: "
        ALTER TABLE graph ADD COLUMN salt BLOB;
        ALTER TABLE event ADD COLUMN digest BLOB;
        CREATE TABLE IF NOT EXISTS catalog (
            graph INTEGER PRIMARY KEY, name TEXT NOT NULL, updated TEXT NOT NULL, created TEXT NOT NULL,
            title TEXT NOT NULL, row BLOB NOT NULL, purge INTEGER
        ) STRICT;
        CREATE INDEX IF NOT EXISTS catalog_updated ON catalog (updated, name);
        CREATE INDEX IF NOT EXISTS catalog_created ON catalog (created, name);
        CREATE INDEX IF NOT EXISTS catalog_title ON catalog (title, name);
        CREATE UNIQUE INDEX IF NOT EXISTS catalog_name ON catalog (name);
        CREATE INDEX IF NOT EXISTS catalog_purge ON catalog (purge) WHERE purge IS NOT NULL;
        CREATE TABLE IF NOT EXISTS refused (
            seq INTEGER PRIMARY KEY, graph INTEGER NOT NULL, version INTEGER NOT NULL, number INTEGER NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE IF NOT EXISTS gone (
            seq INTEGER PRIMARY KEY, name TEXT, token BLOB NOT NULL, version INTEGER NOT NULL, hash BLOB NOT NULL,
            operation BLOB NOT NULL, fingerprint BLOB NOT NULL, at INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX IF NOT EXISTS gone_token ON gone (token);
        CREATE TABLE IF NOT EXISTS purging (
            graph INTEGER PRIMARY KEY, gone INTEGER NOT NULL, feed INTEGER NOT NULL, refused INTEGER NOT NULL
        ) STRICT;
        DROP VIEW history;
        CREATE VIEW history AS
            SELECT graph.name AS graph, key & ((1 << 34) - 1) AS version, hash, body, digest
            FROM event JOIN graph ON graph.id = key >> 34;",
};

const FROM_3: MigrationStep = MigrationStep {
    from: 3,
    what: "commits are written to a journal first, journal.db, and moved from there",
    sql: "INSERT INTO meta VALUES ('moved', 0), ('store', random()), ('journal', 0);",
};

/// Does what is to be done to the file in `dir`, which no process may be using, or only says it. A file that
/// is current, or not there, needs nothing.
pub fn migrate(dir: &Path, migrate: Migrate) -> Result<Vec<String>, OpenError> {
    let path = schema::path(dir);
    if !path.exists() {
        return Ok(vec![]);
    }
    let _held = super::lock(dir)?;
    let failed = |error| schema::open_error(dir, &path, error);
    let connection = schema::open_to_migrate(&path).map_err(failed)?;
    let mut at = match schema::format(&connection).map_err(failed)? {
        Some(found) if found > FORMAT => {
            return Err(OpenError::Newer { path, found, known: FORMAT });
        }
        Some(found) if found > 0 => found,
        Some(_) | None => return Err(OpenError::NotOurs { path }),
    };
    let mut done = vec![];
    for step in &STEPS {
        if step.from != at {
            continue;
        }
        if migrate == Migrate::Make {
            let (sql, next) = (step.sql, at + 1);
            let all = format!(
                "BEGIN IMMEDIATE; {sql} UPDATE meta SET value = {next} WHERE key = 'format'; COMMIT;"
            );
            connection.execute_batch(&all).map_err(failed)?;
        }
        done.push(format!("format {at} to {}: {}", at + 1, step.what));
        at += 1;
    }
    Ok(done)
}
