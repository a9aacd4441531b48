//! What can happen in a world, as it is written down for the checker.

use dao_api::write::Reply;
use serde_json::Value;

/// A reader's look at a graph.
#[derive(Clone, Debug)]
pub struct Look {
    pub graph: usize,
    pub version: u64,
    pub hash: String,
    pub nodes: Vec<Value>,
    pub edges: Vec<Value>,
    pub viewport: Value,
    /// From the ring: the version before, and the hashes of those after it.
    pub recent: Option<(u64, Vec<String>)>,
}

/// What happened, in order: all that the checker knows besides the log.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "which instance it was is for whoever reads a transcript")]
pub enum Happening {
    Sent {
        request: usize,
        asks: Vec<usize>,
        instance: usize,
    },
    Answered {
        request: usize,
        answers: Vec<Reply>,
    },
    /// An error, or the instance died, or closed.
    Failed {
        request: usize,
        error: String,
    },
    /// For longer than anything takes.
    Hung {
        request: usize,
    },
    LookedFor,
    Saw {
        asked: usize,
        look: Look,
    },
    Died {
        instance: usize,
    },
    /// Something that is counted, with the rest for whoever reads a transcript.
    Remark(&'static str, String),
}
