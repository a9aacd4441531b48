//! Reading: a few connections beside the writer's, each used by one blocking call at a time.
//!
//! Invariants: a read sees whole transactions only, and never crosses a hole. What it is about is in the tables before it is
//! answered: where the tail has something of it, it waits, without a connection, until that is moved. Heads and records of
//! operations are known to the tail itself, and wait for nothing: the tail is asked first, and the tables then. Nor does what
//! is read in order and is final already, or a poll that asks again anyway.
//! Not here: anything that is known before it is durable.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use rusqlite::{Connection, params};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    lookup::{self, row},
    read_failure::ReadFailure,
    record_windows::LiveWindows,
    refused_operations,
    schema::{self, LAST_VERSION, key, version_of},
    tail::Tail,
};
use crate::store::{
    GraphFilter, OperationPlaces, Order, READ_BYTES_MAX, RefusalPlace, StoreError, StoredCommit,
    StoredRefusal,
};

/// Connections that read at the same time. A read that finds none free waits for one.
const READERS_MAX: usize = 4;
/// Of these, those who look for an operation at most.
const FINDING_MAX: usize = 2;
/// Uses of one operation id that are looked at: a tenth of a second. Who can't read any of the graphs of the first
/// so many finds theirs only by its graph.
const FOUND_MAX: usize = 50_000;

/// The pool. Connections are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    windows: LiveWindows,
    tail: Arc<Tail>,
    free: Arc<Semaphore>,
    /// Connections that nobody uses; locked only to take one or put one back.
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Those who look for an operation: an id that was used in very many graphs keeps only these waiting.
    finding: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf, windows: LiveWindows, tail: Arc<Tail>) -> Self {
        let (free, finding) = (Arc::new(Semaphore::new(READERS_MAX)), Semaphore::new(FINDING_MAX));
        Self { path, windows, tail, free, idle: Arc::default(), finding }
    }

    /// Lets go of the connections; a read that is under way keeps its own until it ends.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for nothing: what is not in the tail is in the tables.
    pub(super) async fn head(&self, graph: &GraphId) -> Result<Head, StoreError> {
        if let Some(head) = self.tail.head(graph) {
            return Ok(head);
        }
        let graph = graph.clone();
        self.run(move |connection| head(connection, &graph)).await
    }

    pub(super) async fn read(
        &self,
        graph: &GraphId,
        after: Version,
        to: Version,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        if limit == 0 || to <= after {
            return Ok(Vec::new());
        }
        // An old part of a history that grows waits for nothing.
        let last = Version::new(after.get().saturating_add(limit as u64)).unwrap_or(Version::MAX);
        self.tail.moved_of_to(graph, to.min(last)).await?;
        let graph = graph.clone();
        self.run(move |connection| read(connection, &graph, after, to, limit)).await
    }

    pub(super) async fn operations(
        &self,
        graph: &GraphId,
        ids: &[OperationId],
    ) -> Result<Vec<Option<Bytes>>, StoreError> {
        let mut found = self.tail.records(graph, ids);
        if found.iter().all(Option::is_some) {
            return Ok(found);
        }
        let (graph, ids, windows) = (graph.clone(), ids.to_vec(), self.windows.clone());
        self.run(move |connection| {
            let Some(row) = row(connection, &graph)? else { return Ok(found) };
            // After the tail was asked: what has left it is in a window that is told of here.
            let windows = windows.get();
            let mut statement = lookup::records(connection)?;
            for (found, id) in found.iter_mut().zip(&ids).filter(|(found, _)| found.is_none()) {
                *found = lookup::record(&mut statement, &windows, *id, row)?;
            }
            Ok(found)
        })
        .await
    }

    pub(super) async fn refusals(
        &self,
        graph: &GraphId,
        between: (RefusalPlace, RefusalPlace),
        order: Order,
        limit: usize,
    ) -> Result<Vec<StoredRefusal>, StoreError> {
        self.tail.moved_of(graph).await?;
        let graph = graph.clone();
        self.run(move |connection| {
            let Some(row) = row(connection, &graph)? else { return Ok(Vec::new()) };
            Ok(refused_operations::read(connection, row, between, order, limit)?)
        })
        .await
    }

    pub(super) async fn graphs(
        &self,
        after: Option<&GraphId>,
        limit: usize,
    ) -> Result<Vec<GraphId>, StoreError> {
        self.tail.moved_all().await?;
        let after = after.cloned();
        self.run(move |connection| graphs(connection, after.as_ref(), limit)).await
    }

    pub(super) async fn find_operation(
        &self,
        id: OperationId,
        wanted: GraphFilter,
        limit: usize,
    ) -> Result<OperationPlaces, StoreError> {
        self.tail.moved_all().await?;
        let closed = |_| StoreError::Unavailable("it is closed".into());
        let _turn = self.finding.acquire().await.map_err(closed)?;
        let windows = self.windows.clone();
        self.run(move |connection| find_operation(connection, &windows.get(), id, &wanted, limit)).await
    }

    /// Runs `read` when everything that is durable now is in the tables.
    pub(super) async fn run_on_all<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadFailure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.tail.moved_all().await?;
        self.run(read).await
    }

    /// The same for what is read in the order in which it came. `read` also says whether its answer is final: nothing that
    /// is moved later belongs to it. Only where it is not, something is waited for.
    pub(super) async fn run_in_order<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> Result<(T, bool), ReadFailure> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.tail.is_empty() {
            let (found, is_final) = self.run(read.clone()).await?;
            if is_final {
                return Ok(found);
            }
        }
        self.run_on_all(move |connection| Ok(read(connection)?.0)).await
    }

    /// Runs `read` with a connection of the pool on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadFailure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Unavailable("it is closed".into());
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(closed)?;
        let (idle, path) = (Arc::clone(&self.idle), self.path.clone());
        let task = spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match taken {
                Some(connection) => connection,
                None => schema::open_reader(&path)?,
            };
            let answer = read(&connection);
            // A connection that failed may be in any state: the next read opens another.
            if !matches!(answer, Err(ReadFailure::Sqlite(_))) && !permit.semaphore().is_closed() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            drop(permit);
            answer
        });
        match task.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(ReadFailure::Store(e))) => Err(e),
            Ok(Err(ReadFailure::Sqlite(e))) => Err(StoreError::Unavailable(e.to_string())),
            Err(e) => Err(StoreError::Unavailable(format!("a read was cut off: {e}"))),
        }
    }
}

fn head(connection: &Connection, graph: &GraphId) -> Result<Head, ReadFailure> {
    let Some(row) = row(connection, graph)? else { return Ok(Head::EMPTY) };
    Ok(lookup::head(connection, graph, row)??)
}

fn read(
    connection: &Connection,
    graph: &GraphId,
    after: Version,
    to: Version,
    limit: usize,
) -> Result<Vec<StoredCommit>, ReadFailure> {
    let end = version_of(LAST_VERSION);
    // What is found and whether more is there are of one moment: a move in between would look like a hole.
    let snapshot = connection.unchecked_transaction()?;
    let Some(row) = row(&snapshot, graph)? else { return Ok(Vec::new()) };
    let Some(start) = key(row, after) else { return Ok(Vec::new()) };
    let mut statement = snapshot.prepare_cached(
        "SELECT key, hash, body FROM event WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3",
    )?;
    let limit_sql = i64::try_from(limit).unwrap_or(i64::MAX);
    let corrupt = |version, problem: &str| {
        ReadFailure::Store(StoreError::Corrupt { graph: graph.clone(), version, problem: problem.into() })
    };

    let mut commits: Vec<StoredCommit> = Vec::new();
    let mut bytes = 0;
    let mut next = after.next();
    let mut rows = statement.query(params![start, key(row, to.min(end)), limit_sql])?;
    while let Some(found) = rows.next()? {
        if version_of(found.get(0)?) != next {
            return Err(corrupt(next, "it is missing"));
        }
        let body = found.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        bytes += body.len();
        if bytes > READ_BYTES_MAX && !commits.is_empty() {
            return Ok(commits);
        }
        let hash = found.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        let hash = Hash::from_bytes(hash).map_err(|_| corrupt(next, "its hash is not 32 bytes"))?;
        commits.push(StoredCommit { version: next, hash, body: Bytes::copy_from_slice(body) });
        next = next.next();
    }
    drop(rows);
    if commits.is_empty() && to < end && statement.exists(params![start, key(row, end), 1])? {
        return Err(corrupt(next, "it is missing"));
    }
    Ok(commits)
}

/// In the order of windows, and within one in that in which the graphs were made.
fn find_operation(
    connection: &Connection,
    windows: &[i64],
    id: OperationId,
    wanted: &GraphFilter,
    limit: usize,
) -> Result<OperationPlaces, ReadFailure> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM operation JOIN graph ON graph.id = operation.graph
         WHERE window = ?1 AND operation.id = ?2",
    )?;
    let mut graphs: Vec<GraphId> = Vec::new();
    let mut looked_at = 0;
    for window in windows {
        let mut rows = statement.query(params![window, id.as_bytes()])?;
        while graphs.len() < limit
            && looked_at < FOUND_MAX
            && let Some(row) = rows.next()?
        {
            looked_at += 1;
            let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            let graph = GraphId::parse(name).ok().filter(|graph| wanted(graph) && !graphs.contains(graph));
            graphs.extend(graph);
        }
    }
    Ok(OperationPlaces { graphs, is_in_order: false })
}

/// A graph with refused operations alone has a row, and is not one of them.
fn graphs(
    connection: &Connection,
    after: Option<&GraphId>,
    limit: usize,
) -> Result<Vec<GraphId>, ReadFailure> {
    let mut statement = connection.prepare_cached(
        "SELECT name FROM graph WHERE name > ?1
         AND EXISTS (SELECT 1 FROM event WHERE key BETWEEN graph.id << ?2 AND (graph.id << ?2) + ?3)
         ORDER BY name LIMIT ?4",
    )?;
    // Before every id, and after the names of purged graphs.
    let after = after.map_or("/", GraphId::as_str);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![after, schema::VERSION_BITS, LAST_VERSION, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        found.extend(GraphId::parse(name).ok());
    }
    Ok(found)
}
