//! What the task of a graph is asked for, and what of it waits.
//!
//! Invariant: whoever waits for an answer keeps the task from being taken for idle: the message holds
//! the ring until it is answered (see `Hot::is_in_use`).

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tracing::Span;

use super::{
    answer::{Answer, WriteError},
    recent::Ring,
    view::View,
};
use crate::{domain::Operation, store::StoredCommit};

/// Messages that wait for one graph; more are refused with `OVERLOADED`.
pub(super) const MAILBOX_MAX: usize = 1_024;
/// Operations in one round, but for those of the last request it takes, and messages taken for one.
/// More wait for the next.
const ROUND_MAX: usize = 1_024;

type Reply<T> = oneshot::Sender<Result<T, WriteError>>;

/// What a task is asked for.
pub(super) enum Request {
    /// Judge these, one after the other, and answer when all is durable.
    Execute {
        operations: Vec<Operation>,
        /// Whoever asks: the spans of commands that one append serves are told of it.
        span: Span,
        reply: Reply<Vec<Answer>>,
    },
    /// Load the graph, or bring it level with the store.
    Refresh { reply: Reply<Arc<View>> },
    /// Take over these commits, which were made elsewhere, if the graph is loaded.
    Hear { commits: Vec<StoredCommit>, reply: Reply<()> },
}

/// Dropped when the answer is given.
pub(super) type InUse = Arc<Mutex<Ring>>;

/// A request in the mailbox.
pub(super) struct Message {
    pub(super) request: Request,
    pub(super) in_use: InUse,
}

/// What was taken out of the mailbox for one round.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) operations: Vec<Vec<Operation>>,
    /// Of the operations, in the same order.
    pub(super) writers: Vec<(Reply<Vec<Answer>>, InUse)>,
    pub(super) spans: Vec<Span>,
    pub(super) readers: Vec<(Reply<Arc<View>>, InUse)>,
    pub(super) heard: Vec<(Vec<StoredCommit>, Reply<()>, InUse)>,
    count: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, Message { request, in_use }: Message) {
        match request {
            Request::Execute { operations, span, reply } => {
                self.count += operations.len().max(1);
                self.spans.push(span);
                self.operations.push(operations);
                self.writers.push((reply, in_use));
            }
            Request::Refresh { reply } => {
                self.count += 1;
                self.readers.push((reply, in_use));
            }
            Request::Hear { commits, reply } => {
                self.count += 1;
                self.heard.push((commits, reply, in_use));
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= ROUND_MAX
    }
}
