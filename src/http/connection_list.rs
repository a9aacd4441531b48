//! Who is connected to this server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dao_projections::{ClientId, GraphId, Timestamp, UserId, Version};
use uuid::Uuid;

use super::stream_format::StreamFormat;

/// How somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    WebSocket,
    ServerSentEvents,
    Lines,
}

impl Transport {
    /// That of a stream.
    pub(super) fn of(style: StreamFormat) -> Self {
        match style {
            StreamFormat::ServerSentEvents => Self::ServerSentEvents,
            StreamFormat::Lines => Self::Lines,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::ServerSentEvents => "sse",
            Self::Lines => "ndjson",
        }
    }
}

/// How far a connection is in a graph; not known before it is told for the first time.
#[derive(Clone)]
pub(super) struct Reached(Arc<AtomicU64>);

impl Reached {
    /// No version is that high.
    const UNKNOWN: u64 = u64::MAX;

    pub(super) fn note(&self, version: Version) {
        self.0.store(version.get(), Ordering::Relaxed);
    }

    pub(super) fn version(&self) -> Option<Version> {
        Version::new(self.0.load(Ordering::Relaxed))
    }
}

impl Default for Reached {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(Self::UNKNOWN)))
    }
}

/// What one connection says of itself.
pub(super) struct OpenConnection {
    pub(super) transport: Transport,
    pub(super) since: Timestamp,
    /// Guards what changes; held to read or change it, never across an await.
    pub(super) state: Mutex<ConnectionState>,
}

pub(super) struct ConnectionState {
    pub(super) user: UserId,
    pub(super) client: Option<ClientId>,
    pub(super) follows: Follows,
}

/// What a connection follows.
pub(super) enum Follows {
    Graphs(BTreeMap<GraphId, Reached>),
    AllGraphs,
}

impl OpenConnection {
    pub(super) fn state(&self) -> MutexGuard<'_, ConnectionState> {
        lock(&self.state)
    }

    pub(super) fn set_user(&self, user: &UserId) {
        self.state().user = user.clone();
    }

    /// It follows this graph from now on; where it notes how far it is.
    pub(super) fn follow(&self, graph: &GraphId) -> Reached {
        let reached = Reached::default();
        if let Follows::Graphs(graphs) = &mut self.state().follows {
            graphs.insert(graph.clone(), reached.clone());
        }
        reached
    }

    pub(super) fn unfollow(&self, graph: &GraphId) {
        if let Follows::Graphs(graphs) = &mut self.state().follows {
            graphs.remove(graph);
        }
    }
}

/// The connections of this server.
pub(super) struct Connections {
    pub(super) instance: Uuid,
    /// Guards which there are; held to look up or change one, never across an await.
    pub(super) open: Mutex<BTreeMap<Uuid, Arc<OpenConnection>>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { instance: Uuid::now_v7(), open: Mutex::default() }
    }
}

impl Connections {
    /// Lists a connection for as long as the answer is held.
    pub(super) fn opened(
        self: &Arc<Self>,
        id: Uuid,
        transport: Transport,
        (user, client): (&UserId, Option<&ClientId>),
        follows: Follows,
        since: Timestamp,
    ) -> ListedConnection {
        let state = ConnectionState { user: user.clone(), client: client.cloned(), follows };
        let connection = Arc::new(OpenConnection { transport, since, state: Mutex::new(state) });
        lock(&self.open).insert(id, connection.clone());
        ListedConnection { id, connection, among: self.clone() }
    }

    /// Those after this one, at most `limit`.
    pub(super) fn page(&self, after: Option<Uuid>, limit: usize) -> Vec<(Uuid, Arc<OpenConnection>)> {
        let open = lock(&self.open);
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let page = open.range((from, std::ops::Bound::Unbounded)).take(limit);
        page.map(|(id, connection)| (*id, connection.clone())).collect()
    }
}

/// A connection among the others, until this is dropped.
pub(super) struct ListedConnection {
    id: Uuid,
    connection: Arc<OpenConnection>,
    among: Arc<Connections>,
}

impl std::ops::Deref for ListedConnection {
    type Target = OpenConnection;

    fn deref(&self) -> &OpenConnection {
        &self.connection
    }
}

impl Drop for ListedConnection {
    fn drop(&mut self) {
        lock(&self.among.open).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
