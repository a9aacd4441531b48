//! What the task of a graph is asked for, and what of it waits.
//!
//! Invariant: whoever waits for an answer keeps the task from being let go of: the message holds [`InUse`] until it
//! is answered (see `registry`).

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::{
    reply::{Reply, WriteError},
    view::View,
};
use crate::{domain::Operation, store::StoredCommit};

/// Messages that wait for one graph; more are refused with `OVERLOADED`.
const MAILBOX_MAX: usize = 1_024;
/// Operations in one round, but for those of the last request it takes, and messages taken for one.
/// More wait for the next.
const ROUND_MAX: usize = 1_024;

pub(super) type ReplySender<T> = oneshot::Sender<Result<T, WriteError>>;

/// What a task is asked for.
pub(super) enum Request {
    /// Judge these, one after the other, and answer when all is durable.
    Execute {
        operations: Vec<Operation>,
        /// Whoever asks: the spans of commands that one append serves are told of it.
        span: Span,
        reply: ReplySender<Vec<Reply>>,
    },
    /// Load the graph, or bring it up to date with the store.
    Refresh { reply: ReplySender<Arc<View>> },
    /// Take over these commits, which were made elsewhere, if the graph is loaded.
    RemoteCommits { commits: Vec<StoredCommit>, reply: ReplySender<()> },
    /// Memory is short: let go of what can be had again.
    Shorten,
}

/// Dropped when the answer is given.
pub(super) type InUse = Arc<()>;

/// A request in the mailbox.
pub(super) struct Message {
    pub(super) request: Request,
    /// `None`: no answer is expected.
    pub(super) in_use: Option<InUse>,
}

/// Why a task was not told.
pub(super) enum SendError {
    /// Its mailbox is full.
    Full,
    /// It is no more; this is what it was not told.
    Ended(Request),
}

/// Where messages for a task go.
pub(super) struct Mailbox {
    sender: mpsc::Sender<Message>,
    /// The registry holds one, and each message that is not answered yet one more.
    in_use: InUse,
}

impl Mailbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(MAILBOX_MAX);
        (Self { sender, in_use: InUse::default() }, receiver)
    }

    /// One more place to send from. As long as it is there the task is in use.
    pub(super) fn open(&self) -> (mpsc::Sender<Message>, InUse) {
        (self.sender.clone(), self.in_use.clone())
    }

    pub(super) fn sender(&self) -> &mpsc::Sender<Message> {
        &self.sender
    }

    /// Whether anybody waits for an answer, or is about to ask. Those who ask get the mailbox where the registry is
    /// locked: if this is false there, nothing waits in it.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.in_use) > 1
    }

    /// Asks the task to let go of what can be had again. If its mailbox is full it is asked the next time.
    pub(super) fn shorten(&self) {
        let _full_or_ended = self.sender.try_send(Message { request: Request::Shorten, in_use: None });
    }
}

/// Puts a request into a mailbox.
pub(super) fn send(
    (mailbox, in_use): (mpsc::Sender<Message>, InUse),
    request: Request,
) -> Result<(), SendError> {
    let message = Message { request, in_use: Some(in_use) };
    mailbox.try_send(message).map_err(|unsent| match unsent {
        mpsc::error::TrySendError::Full(_) => SendError::Full,
        mpsc::error::TrySendError::Closed(back) => SendError::Ended(back.request),
    })
}

/// What was taken out of the mailbox for one round.
#[derive(Default)]
pub(super) struct RoundRequests {
    pub(super) operations: Vec<Vec<Operation>>,
    /// Of the operations, in the same order.
    pub(super) writers: Vec<(ReplySender<Vec<Reply>>, Option<InUse>)>,
    pub(super) spans: Vec<Span>,
    pub(super) readers: Vec<(ReplySender<Arc<View>>, Option<InUse>)>,
    pub(super) remote: Vec<(Vec<StoredCommit>, ReplySender<()>, Option<InUse>)>,
    /// Whether memory is short.
    pub(super) shorten: bool,
    count: usize,
}

impl RoundRequests {
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
            Request::RemoteCommits { commits, reply } => {
                self.count += 1;
                self.remote.push((commits, reply, in_use));
            }
            Request::Shorten => self.shorten = true,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= ROUND_MAX
    }

    /// Whether anybody is to be answered.
    pub(super) fn is_asked(&self) -> bool {
        self.count > 0
    }
}
