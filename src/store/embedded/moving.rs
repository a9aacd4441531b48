//! Moving rounds of the journal into the tables: what one transaction does.
//!
//! Invariants:
//! - Rounds are moved in their order, each once: `moved` in `meta` is changed in the same transaction.
//! - What is moved again, after a crash took it out of the tables, becomes what it was: numbers and times of the feed too.
//! - A commit that does not follow on the last one fails the transaction, where that is not known already.
//!
//! Not here: when it is done (`tail`) and by whom (`tables`, `recovery`, `backup`).

use std::{collections::HashMap, sync::Arc};

use dao_projections::{GraphId, Head};
use rusqlite::{CachedStatement, Connection, params};

use super::{
    lookup::{self, LAST_SEQ, TRIMMED},
    record_windows::RecordWindows,
    refused_operations,
    round::{AppendRequest, Round},
    schema::{LAST_VERSION, key},
    transaction::Cause,
};
use crate::store::{StoreError, StoredCommit};

/// Entries moved in one transaction: about a tenth of a second.
pub(super) const BATCH_ENTRIES: usize = 16_384;

/// Dead operation records deleted in one transaction: about two milliseconds.
const PURGE_ROWS_MAX: i64 = 1_000;

/// Why rounds can't be moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum MoveError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("commits of {graph} that follow on version {expected} do not fit its version {found}")]
    Unfit { graph: GraphId, expected: u64, found: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Cause for MoveError {
    fn sqlite(&self) -> Option<&rusqlite::Error> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Unfit { .. } | Self::Store(_) => None,
        }
    }

    fn is_damaged_graph(&self) -> bool {
        matches!(self, Self::Store(StoreError::Corrupt { .. }))
    }
}

/// The last round that is in the tables.
pub(super) fn moved(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM meta WHERE key = 'moved'", [], |row| row.get(0))
}

/// A commit with its key, or a record with where it belongs.
struct Rows<'r> {
    events: Vec<(i64, &'r StoredCommit)>,
    operations: Vec<(&'r [u8; 16], i64, &'r [u8])>,
}

/// How it is known that commits follow on those that are in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They were judged by this process, on what it has put there: heads are not looked up again. Whoever else writes to
    /// the file meanwhile can damage a graph unseen, or, where a commit's key is taken, keep all graphs from being moved.
    Judged,
    /// The heads are compared: nobody knows whether the two files are of one moment.
    Compared,
}

/// Moves rounds that follow on those that are in the tables, inside the transaction that the caller has open. Records of
/// operations go into the given window.
pub(super) fn move_rounds(
    connection: &Connection,
    rounds: &[Arc<Round>],
    window: i64,
    fit: Fit,
) -> Result<(), MoveError> {
    let Some(last) = rounds.last() else { return Ok(()) };
    let mut graphs: HashMap<&GraphId, (i64, Head)> = HashMap::new();
    let mut rows = Rows { events: Vec::new(), operations: Vec::new() };
    let mut lists = Lists::prepare(connection)?;
    for round in rounds {
        for append in &round.appends {
            let (row, head) = match graphs.get(&append.graph) {
                Some(known) => *known,
                None => look_up(connection, append, fit)?,
            };
            if head != append.expected {
                let (expected, found) = (append.expected.version.get(), head.version.get());
                return Err(MoveError::Unfit { graph: append.graph.clone(), expected, found });
            }
            graphs.insert(&append.graph, (row, append.head()));
            rows.add(row, append)?;
            lists.add(row, append, round.at_ms)?;
        }
    }
    rows.write(connection, window)?;
    connection.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'moved'")?.execute([last.seq])?;
    Ok(())
}

/// The number and the head of a graph; it gets a number where it has none.
fn look_up(connection: &Connection, append: &AppendRequest, fit: Fit) -> Result<(i64, Head), MoveError> {
    let graph = &append.graph;
    match (lookup::row(connection, graph)?, fit) {
        (Some(row), Fit::Judged) => Ok((row, append.expected)),
        (Some(row), Fit::Compared) => Ok((row, lookup::head(connection, graph, row)??)),
        (None, _) => {
            connection.prepare_cached("INSERT INTO graph (name) VALUES (?1)")?.execute([graph.as_str()])?;
            Ok((connection.last_insert_rowid(), Head::EMPTY))
        }
    }
}

impl<'r> Rows<'r> {
    fn add(&mut self, row: i64, append: &'r AppendRequest) -> Result<(), MoveError> {
        for commit in append.commits() {
            let key = key(row, commit.version).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, row))?;
            self.events.push((key, commit));
        }
        let records = append.entries.iter().map(|entry| (entry.operation.as_bytes(), row, &entry.record[..]));
        self.operations.extend(records);
        Ok(())
    }

    /// In the order of their keys: what lies together in the file is written together.
    fn write(mut self, connection: &Connection, window: i64) -> rusqlite::Result<()> {
        self.events.sort_unstable_by_key(|(key, _)| *key);
        let mut add = connection.prepare_cached("INSERT INTO event (key, hash, body) VALUES (?1, ?2, ?3)")?;
        for (key, commit) in self.events {
            add.execute(params![key, commit.hash.as_bytes(), &commit.body[..]])?;
        }
        // Stable: of two records of one operation the newer one stays.
        self.operations.sort_by_key(|(id, row, _)| (*id, *row));
        let mut add =
            connection.prepare_cached("INSERT OR REPLACE INTO operation VALUES (?1, ?2, ?3, ?4)")?;
        for (id, row, record) in self.operations {
            add.execute(params![window, id, row, record])?;
        }
        Ok(())
    }
}

/// What is listed in the order in which it came.
struct Lists<'c> {
    add_feed: CachedStatement<'c>,
    feed_end: i64,
    refusals: refused_operations::Statements<'c>,
}

impl<'c> Lists<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            add_feed: connection.prepare_cached("INSERT INTO feed VALUES (?1, ?2, ?3, ?4, ?5)")?,
            feed_end: connection.prepare_cached(LAST_SEQ)?.query_row([TRIMMED], |r| r.get(0))?,
            refusals: refused_operations::Statements::prepare(connection)?,
        })
    }

    fn add(&mut self, row: i64, append: &AppendRequest, at_ms: i64) -> rusqlite::Result<()> {
        let head = append.head();
        if head != append.expected {
            self.feed_end += 1;
            let (from, to) = (append.expected.version.next().get() as i64, head.version.get() as i64);
            self.add_feed.execute([self.feed_end, row, from, to, at_ms])?;
        }
        self.refusals.add(row, &append.entries, at_ms)
    }
}

/// Deletes some of the rows of dead windows, inside the transaction that the caller has open. True if there are more.
pub(super) fn delete_dead_records(
    connection: &Connection,
    windows: &RecordWindows,
) -> rusqlite::Result<bool> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM operation WHERE (window, id, graph) IN
             (SELECT window, id, graph FROM operation WHERE window < ?1 LIMIT ?2)",
        )?
        .execute([windows.oldest(), PURGE_ROWS_MAX])?;
    Ok(deleted as i64 == PURGE_ROWS_MAX)
}

/// Why these commits can't follow on the expected head; the store never writes a hole.
pub(super) fn follow(asked: &AppendRequest) -> Result<(), String> {
    let mut next = asked.expected.version.next();
    for commit in asked.commits() {
        if commit.version != next {
            return Err(format!("an append has commit {} where {next} should follow", commit.version));
        }
        if next.get() > LAST_VERSION as u64 {
            return Err(format!("a history ends at {LAST_VERSION} commits"));
        }
        next = next.next();
    }
    Ok(())
}
