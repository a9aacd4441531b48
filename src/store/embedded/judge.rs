//! Judges the appends of a round in memory: each sees those before it, and nothing is written here.
//!
//! Invariants:
//! - A refused append changes nothing of what is known, and disturbs none of the others.
//! - What is known of a graph is what is durable, and what this round adds. After a round that failed it is forgotten.
//! - A head is looked for in this round, in what is remembered, in the tail, and in the tables, in this order: what has
//!   left one of them is in the next.
//!
//! Not here: which appends make a round, and who is answered (`journal_thread`).

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId};
use rusqlite::Connection;

use super::{
    lookup,
    moving::follow,
    open_error::OpenError,
    operation_filter::OperationFilter,
    purge,
    record_windows::LiveWindows,
    round::AppendRequest,
    schema::{self, GRAPHS_MAX},
    tail::Tail,
};
use crate::store::{Append, BEING_PURGED, Entry, StoreError};

/// How many graphs' heads are remembered. When that many are, all are forgotten and looked up again as they are used:
/// two short queries each.
const HEADS_MAX: usize = 16_384;

#[derive(Clone, Copy, Debug)]
struct KnownHead {
    head: Head,
    /// Whether anything was ever appended, be it a refusal.
    exists: bool,
}

/// What this round adds to a graph.
#[derive(Debug, Default)]
struct Added {
    head: Head,
    records: HashMap<OperationId, Bytes>,
}

/// What the journal thread knows.
pub(super) struct Judge {
    path: PathBuf,
    /// Reads the tables; opened again after an error.
    reader: Option<Connection>,
    tail: Arc<Tail>,
    windows: LiveWindows,
    filter: OperationFilter,
    known: HashMap<GraphId, KnownHead>,
    added: HashMap<GraphId, Added>,
    /// The number of graphs there may be: those that were purged, and those of rounds that failed, count too.
    graphs: i64,
}

impl Judge {
    /// Over the tables in this file.
    pub(super) fn open(
        path: PathBuf,
        tail: Arc<Tail>,
        windows: LiveWindows,
        ttl_ms: i64,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database { path: path.clone(), source };
        let reader = schema::open_reader(&path).map_err(failed)?;
        let graphs = reader
            .query_row("SELECT coalesce(max(id), 0) FROM graph", [], |row| row.get(0))
            .map_err(failed)?;
        let listing = schema::open_reader(&path).map_err(failed)?;
        let filter = OperationFilter::start(listing, windows.clone(), ttl_ms)?;
        let (known, added) = (HashMap::new(), HashMap::new());
        Ok(Self { path, reader: Some(reader), tail, windows, filter, known, added, graphs })
    }

    /// Begins a round at this time.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.added.clear();
        self.filter.turn(now_ms, self.tail.ends());
    }

    /// What becomes of the append. `Appended` counts for those after it in the round.
    pub(super) fn judge(&mut self, asked: &AppendRequest) -> Result<Append, StoreError> {
        let known = self.head(&asked.graph)?;
        if known.head != asked.expected {
            let records = self.records(asked, known.exists)?;
            return Ok(if records.is_empty() {
                Append::HeadMoved(known.head)
            } else {
                Append::Duplicate(records)
            });
        }
        follow(asked).map_err(StoreError::Unavailable)?;
        if asked.is_empty() {
            return Ok(Append::Appended);
        }
        if !known.exists {
            // What an earlier graph of this name had must be gone before there is another one.
            if self.read(|tables| purge::is_name_purging(tables, &asked.graph))? {
                return Err(StoreError::Unavailable(BEING_PURGED.to_owned()));
            }
            if self.graphs >= GRAPHS_MAX {
                return Err(StoreError::Unavailable(format!("a store ends at {GRAPHS_MAX} graphs")));
            }
        }
        let records = self.records(asked, known.exists)?;
        if !records.is_empty() {
            return Ok(Append::Duplicate(records));
        }
        if names_twice(&asked.entries) {
            return Err(StoreError::Unavailable("an append names an operation twice".into()));
        }
        self.graphs += i64::from(!known.exists);
        let added = self.added.entry(asked.graph.clone()).or_default();
        added.head = asked.head();
        for entry in &asked.entries {
            self.filter.add(entry.operation);
            added.records.insert(entry.operation, entry.record.clone());
        }
        Ok(Append::Appended)
    }

    /// The round is durable, and in the tail.
    pub(super) fn keep(&mut self) {
        for (graph, added) in self.added.drain() {
            if self.known.len() >= HEADS_MAX {
                self.known.clear();
            }
            self.known.insert(graph, KnownHead { head: added.head, exists: true });
        }
    }

    /// The round failed.
    pub(super) fn forget(&mut self) {
        self.added.clear();
        self.known.clear();
    }

    /// A purge may have taken this graph away.
    pub(super) fn forget_graph(&mut self, graph: &GraphId) {
        self.known.remove(graph);
    }

    fn head(&mut self, graph: &GraphId) -> Result<KnownHead, StoreError> {
        if let Some(added) = self.added.get(graph) {
            return Ok(KnownHead { head: added.head, exists: true });
        }
        if let Some(known) = self.known.get(graph) {
            return Ok(*known);
        }
        let known = match self.tail.head(graph) {
            Some(head) => KnownHead { head, exists: true },
            None => self.read(|tables| {
                let Some(row) = lookup::row(tables, graph)? else {
                    return Ok(Ok(KnownHead { head: Head::EMPTY, exists: false }));
                };
                let head = lookup::head(tables, graph, row)?;
                Ok(head.map(|head| KnownHead { head, exists: true }))
            })??,
        };
        if self.known.len() >= HEADS_MAX {
            self.known.clear();
        }
        self.known.insert(graph.clone(), known);
        Ok(known)
    }

    /// The entries' operations that have a record.
    fn records(
        &mut self,
        asked: &AppendRequest,
        exists: bool,
    ) -> Result<Vec<(OperationId, Bytes)>, StoreError> {
        let mut found = Vec::new();
        if !exists {
            return Ok(found);
        }
        for entry in &asked.entries {
            if self.filter.may_have(entry.operation)
                && let Some(record) = self.record(&asked.graph, entry.operation)?
            {
                found.push((entry.operation, record));
            }
        }
        Ok(found)
    }

    fn record(&mut self, graph: &GraphId, id: OperationId) -> Result<Option<Bytes>, StoreError> {
        if let Some(record) = self.added.get(graph).and_then(|added| added.records.get(&id)) {
            return Ok(Some(record.clone()));
        }
        if let Some(record) = self.tail.record(graph, id) {
            return Ok(Some(record));
        }
        // After the tail was asked: what has left it is in a window that is told of here.
        let windows = self.windows.get();
        self.read(|tables| {
            let Some(row) = lookup::row(tables, graph)? else { return Ok(None) };
            lookup::record(&mut lookup::records(tables)?, &windows, id, row)
        })
    }

    fn read<T>(&mut self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = match self.reader.take() {
            Some(connection) => Ok(connection),
            None => schema::open_reader(&self.path),
        };
        let answer = connection.and_then(|connection| {
            let answer = read(&connection)?;
            self.reader = Some(connection);
            Ok(answer)
        });
        answer.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

fn names_twice(entries: &[Entry]) -> bool {
    let mut seen = HashSet::new();
    entries.len() > 1 && !entries.iter().all(|entry| seen.insert(entry.operation))
}
