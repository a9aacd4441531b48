//! Projector tasks: they follow the feed and fold what was appended into the rows of every
//! projection, each graph's from where its rows are to where its history is.
//!
//! Invariants:
//! - A place in the feed is left behind only when everything before it is in the rows, or its graph
//!   is parked with the reason. What happens twice changes nothing the second time.
//! - A graph that can't be folded stops nobody else, and is never passed over in silence: nor one that the store
//!   refuses, as long as it takes a note of that. A part of the feed that can't be followed stops no other part.
//! - One process is enough; more share the parts of the feed by leases, and take over those of one
//!   that died.
//!
//! Not here: what rows mean (`dao_projections`), and who reads them.

mod commit_source;
mod failing_graphs;
mod feed_part;
mod fold;
mod listing;
mod parking;
mod projector;
mod rebuild;
mod row_cache;
mod status;
mod waiting_graphs;
mod worker_load;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use fold::{FoldError, fold_graph};
pub use listing::list_changes;
pub use projector::run;
pub use rebuild::{Rebuilt, rebuild};
pub use status::{Health, Lag, health};

use crate::{
    store::{EventStore, ProjectionStore},
    write::Graphs,
};

/// The name under which projectors remember their places.
pub const READER: &str = "projector";
/// How projectors work.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// Tells workers apart.
    pub worker: String,
    /// How often the feed is looked at. What comes in between is folded together.
    pub interval: Duration,
    /// How long the rows of a graph under steady work may wait before they are written again, where the worker has much
    /// to do. One that nobody worked on waits for nothing.
    pub busy_interval: Duration,
    /// In commits a second that the worker is told of: up to the first, no graph waits longer than
    /// [`interval`](Self::interval); from the second on, busy ones wait for [`busy_interval`](Self::busy_interval).
    pub busy_load: Range<f64>,
    /// How long a worker that says nothing keeps its parts.
    pub lease: Duration,
    /// How long the feed keeps what is projected, for readers who come back.
    pub feed_retention: Duration,
    /// A checkpoint of a graph is kept every this many commits.
    pub checkpoint_every: u64,
    /// The graphs of this process, if it has any: what is in their memory need not be read, where nobody else writes.
    pub memory: Option<Arc<Graphs>>,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            worker: uuid::Uuid::now_v7().to_string(),
            interval: Duration::from_millis(100),
            busy_interval: Duration::from_secs(2),
            busy_load: 2_000.0..10_000.0,
            lease: Duration::from_secs(5),
            feed_retention: Duration::from_secs(7 * 24 * 3_600),
            checkpoint_every: 10_000,
            memory: None,
        }
    }
}

/// Both halves of one store.
#[derive(Clone)]
pub struct Stores {
    /// The histories.
    pub events: Arc<dyn EventStore>,
    /// The read side's.
    pub rows: Arc<dyn ProjectionStore>,
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as u64)
}
