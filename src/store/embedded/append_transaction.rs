//! What one transaction does: applies the appends of a round, one after the other, each seeing
//! those before it.
//!
//! Invariants:
//! - A refused append leaves no row, and disturbs none of the others.
//! - What is remembered of heads is what the file says: after any failure it is forgotten.
//!
//! Not here: which appends make a round, and who is answered (`writer`).

use std::collections::HashMap;

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{
    projection::TRIMMED,
    purge,
    record_windows::{RecordWindows, now_ms},
    refused_operations,
    schema::{LAST_VERSION, key, version_of},
};
use crate::store::{Append, BEING_PURGED, Entry, StoreError, StoredCommit};

/// How many graphs' heads the writer remembers. When that many are known, all are forgotten and
/// looked up again as they are used: two short queries each.
const HEADS_MAX: usize = 16_384;

/// The last number that the feed gave, also if it was trimmed away.
pub(super) const LAST_SEQ: &str = "SELECT max(coalesce((SELECT max(seq) FROM feed), 0),
    coalesce((SELECT seq FROM place WHERE reader = ?1), 0))";

/// The last commit of a graph.
pub(super) const HEAD: &str =
    "SELECT key, hash FROM event WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1";

/// Dead operation records deleted in one transaction: about two milliseconds of the writer's time.
const PURGE_ROWS_MAX: i64 = 1_000;

/// One append as it came in.
#[derive(Debug)]
pub(super) struct AppendRequest {
    pub(super) graph: GraphId,
    pub(super) expected: Head,
    /// Commits without operations, before the entries.
    pub(super) copied: Vec<StoredCommit>,
    pub(super) entries: Vec<Entry>,
}

impl AppendRequest {
    /// All commits, in order.
    pub(super) fn commits(&self) -> impl Iterator<Item = &StoredCommit> {
        self.copied.iter().chain(self.entries.iter().filter_map(|entry| entry.commit.as_ref()))
    }
}

#[derive(Clone, Copy, Debug)]
struct KnownHead {
    /// `None` for a graph that nobody has written to.
    row: Option<i64>,
    head: Head,
}

/// What the writer remembers between transactions.
#[derive(Debug)]
pub(super) struct Appender {
    hot: HashMap<GraphId, KnownHead>,
    windows: RecordWindows,
    /// The position of the feed's last row; `None` when it must be asked.
    feed_end: Option<i64>,
}

struct Statements<'c> {
    graph: CachedStatement<'c>,
    add_graph: CachedStatement<'c>,
    head: CachedStatement<'c>,
    add_event: CachedStatement<'c>,
    operation: CachedStatement<'c>,
    add_operation: CachedStatement<'c>,
    remove_operation: CachedStatement<'c>,
    add_feed: CachedStatement<'c>,
    refusals: refused_operations::Statements<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            graph: connection.prepare_cached("SELECT id FROM graph WHERE name = ?1")?,
            add_graph: connection.prepare_cached("INSERT INTO graph (name) VALUES (?1)")?,
            head: connection.prepare_cached(HEAD)?,
            add_event: connection
                .prepare_cached("INSERT INTO event (key, hash, body) VALUES (?1, ?2, ?3)")?,
            operation: connection.prepare_cached(
                "SELECT record FROM operation WHERE window = ?1 AND id = ?2 AND graph = ?3",
            )?,
            add_operation: connection
                .prepare_cached("INSERT INTO operation VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?,
            remove_operation: connection
                .prepare_cached("DELETE FROM operation WHERE window = ?1 AND id = ?2 AND graph = ?3")?,
            add_feed: connection.prepare_cached("INSERT INTO feed VALUES (?1, ?2, ?3, ?4, ?5)")?,
            refusals: refused_operations::Statements::prepare(connection)?,
        })
    }
}

impl Appender {
    pub(super) fn new(windows: RecordWindows) -> Self {
        Self { hot: HashMap::new(), windows, feed_end: None }
    }

    /// Applies the appends in order, inside the transaction that the caller has open. An error
    /// fails the whole round: roll back, then [`Appender::forget`].
    pub(super) fn apply<'a>(
        &mut self,
        connection: &Connection,
        round: impl Iterator<Item = &'a AppendRequest>,
    ) -> rusqlite::Result<Vec<Result<Append, StoreError>>> {
        let mut statements = Statements::prepare(connection)?;
        let window = self.windows.current(now_ms());
        round.map(|asked| self.append(connection, &mut statements, window, asked)).collect()
    }

    /// Forgets everything that a transaction that was rolled back may have left here.
    pub(super) fn forget(&mut self) {
        self.hot.clear();
        self.feed_end = None;
    }

    /// Forgets what a change of the read side's may have made untrue of this graph.
    pub(super) fn forget_graph(&mut self, graph: &GraphId) {
        self.hot.remove(graph);
        self.feed_end = None;
    }

    /// Marks windows of operations that are old enough as dead. True if there are rows to delete.
    pub(super) fn retire_windows(&mut self) -> bool {
        self.windows.retire(now_ms())
    }

    /// Deletes some of the rows of dead windows. True if there are more.
    pub(super) fn purge(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let deleted = connection
            .prepare_cached(
                "DELETE FROM operation WHERE (window, id, graph) IN
                 (SELECT window, id, graph FROM operation WHERE window < ?1 LIMIT ?2)",
            )?
            .execute([self.windows.oldest(), PURGE_ROWS_MAX])?;
        Ok(deleted as i64 == PURGE_ROWS_MAX)
    }

    fn append(
        &mut self,
        connection: &Connection,
        statements: &mut Statements<'_>,
        window: i64,
        asked: &AppendRequest,
    ) -> rusqlite::Result<Result<Append, StoreError>> {
        let hot = match self.hot(statements, &asked.graph)? {
            Ok(hot) => hot,
            Err(corrupt) => return Ok(Err(corrupt)),
        };
        if hot.head != asked.expected {
            let known = self.records(statements, hot.row, &asked.entries)?;
            return Ok(Ok(if known.is_empty() {
                Append::HeadMoved(hot.head)
            } else {
                Append::Duplicate(known)
            }));
        }
        if let Err(problem) = follow(asked) {
            return Ok(Err(StoreError::Unavailable(problem)));
        }
        if asked.entries.is_empty() && asked.copied.is_empty() {
            return Ok(Ok(Append::Appended));
        }
        let row = match hot.row {
            Some(row) => row,
            // What an earlier graph of this name had must be gone before there is another one.
            None if purge::is_name_purging(connection, &asked.graph)? => {
                return Ok(Err(StoreError::Unavailable(BEING_PURGED.to_owned())));
            }
            None => {
                statements.add_graph.execute([asked.graph.as_str()])?;
                connection.last_insert_rowid()
            }
        };
        if !self.add_operations(statements, window, row, &asked.entries)? {
            self.hot.insert(asked.graph.clone(), KnownHead { row: Some(row), head: hot.head });
            let known = self.records(statements, Some(row), &asked.entries)?;
            if known.is_empty() {
                return Ok(Err(StoreError::Unavailable("an append names an operation twice".into())));
            }
            return Ok(Ok(Append::Duplicate(known)));
        }
        let head = self.add_events(connection, statements, row, asked)?;
        statements.refusals.add(row, &asked.entries)?;
        self.hot.insert(asked.graph.clone(), KnownHead { row: Some(row), head });
        Ok(Ok(Append::Appended))
    }

    /// The graph's row and head: from memory, else from the file.
    fn hot(
        &mut self,
        statements: &mut Statements<'_>,
        graph: &GraphId,
    ) -> rusqlite::Result<Result<KnownHead, StoreError>> {
        if let Some(hot) = self.hot.get(graph) {
            return Ok(Ok(*hot));
        }
        let row = statements.graph.query_row([graph.as_str()], |r| r.get(0)).optional()?;
        let head = match row {
            None => Ok(Head::EMPTY),
            Some(row) => head(&mut statements.head, graph, row)?,
        };
        if self.hot.len() >= HEADS_MAX {
            self.hot.clear();
        }
        Ok(head.map(|head| {
            let hot = KnownHead { row, head };
            self.hot.insert(graph.clone(), hot);
            hot
        }))
    }

    /// The entries' operations that have a record.
    fn records(
        &self,
        statements: &mut Statements<'_>,
        row: Option<i64>,
        entries: &[Entry],
    ) -> rusqlite::Result<Vec<(OperationId, Bytes)>> {
        let mut known = Vec::new();
        let Some(row) = row else { return Ok(known) };
        let windows = self.windows.published().get();
        for entry in entries {
            if let Some(record) = record(&mut statements.operation, &windows, entry.operation, row)? {
                known.push((entry.operation, record));
            }
        }
        Ok(known)
    }

    /// Adds the records of all operations; or none, and says `false`, if one has a record already.
    fn add_operations(
        &self,
        statements: &mut Statements<'_>,
        window: i64,
        row: i64,
        entries: &[Entry],
    ) -> rusqlite::Result<bool> {
        for (i, entry) in entries.iter().enumerate() {
            let id = entry.operation.as_bytes();
            let mut taken = false;
            for earlier in self.windows.earlier() {
                taken |= statements.operation.exists(params![earlier, id, row])?;
            }
            if !taken {
                taken = statements.add_operation.execute(params![window, id, row, &entry.record[..]])? == 0;
            }
            if taken {
                for added in &entries[..i] {
                    statements.remove_operation.execute(params![window, added.operation.as_bytes(), row])?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add_events(
        &mut self,
        connection: &Connection,
        statements: &mut Statements<'_>,
        row: i64,
        asked: &AppendRequest,
    ) -> rusqlite::Result<Head> {
        let mut head = asked.expected;
        for commit in asked.commits() {
            let key = key(row, commit.version).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, row))?;
            statements.add_event.execute(params![key, commit.hash.as_bytes(), &commit.body[..]])?;
            head = commit.head();
        }
        if head != asked.expected {
            let end = match self.feed_end {
                Some(end) => end,
                None => connection.query_row(LAST_SEQ, [TRIMMED], |r| r.get(0))?,
            };
            let (from, to) = (asked.expected.version.next().get() as i64, head.version.get() as i64);
            statements.add_feed.execute([end + 1, row, from, to, now_ms()])?;
            self.feed_end = Some(end + 1);
        }
        Ok(head)
    }
}

/// Whether the commits follow on the expected head without a gap: the store never writes a hole.
fn follow(asked: &AppendRequest) -> Result<(), String> {
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

/// The head of a graph that has a row, by the statement that both writer and readers prepare.
pub(super) fn head(
    statement: &mut CachedStatement<'_>,
    graph: &GraphId,
    row: i64,
) -> rusqlite::Result<Result<Head, StoreError>> {
    let range = [key(row, Version::EMPTY), key(row, version_of(LAST_VERSION))];
    let found = statement
        .query_row(range, |r| {
            let hash = Hash::from_bytes(r.get_ref(1)?.as_blob()?);
            Ok((version_of(r.get(0)?), hash))
        })
        .optional()?;
    Ok(match found {
        None => Ok(Head::EMPTY),
        Some((version, Ok(hash))) => Ok(Head { version, hash }),
        Some((version, Err(e))) => {
            Err(StoreError::Corrupt { graph: graph.clone(), version, problem: format!("its hash {e}") })
        }
    })
}

/// The record of one operation in one graph, newest window first.
pub(super) fn record(
    statement: &mut CachedStatement<'_>,
    windows: &[i64],
    id: OperationId,
    row: i64,
) -> rusqlite::Result<Option<Bytes>> {
    for window in windows.iter().rev() {
        let found = statement.query_row(params![window, id.as_bytes(), row], |r| {
            Ok(Bytes::copy_from_slice(r.get_ref(0)?.as_blob()?))
        });
        if let Some(record) = found.optional()? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// The windows that have rows, oldest first: one short look-up each.
pub(super) fn windows_found(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next = connection.prepare("SELECT min(window) FROM operation WHERE window > ?1")?;
    let mut found = Vec::new();
    while let Some(window) = next.query_row([found.last().copied().unwrap_or(i64::MIN)], |r| r.get(0))? {
        found.push(window);
    }
    Ok(found)
}
