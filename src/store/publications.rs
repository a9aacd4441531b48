//! What a store says unasked: that a graph has new commits, or that somebody broadcast a message.
//!
//! Invariant: a hint may be lost, late or repeated, and whoever listens must live with that; but a
//! hint that is known to be lost is replaced by [`Publication::MayHaveMissed`]. The log is the truth.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use dao_projections::Head;
use tokio::sync::{Notify, mpsc};

use super::StoredCommit;

/// Hints that wait for one listener. What comes when it is full is dropped, and the listener told
/// that it may have missed something.
const WAITING_MAX: usize = 64;

/// Something happened to a graph, elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Publication {
    /// These commits were appended to it, in order, without a gap among them.
    Commits(Vec<StoredCommit>),
    /// Commits were appended that are too large to be sent along; this is the last.
    Head(Head),
    /// Somebody broadcast this.
    Message(Bytes),
    /// Listening began, or was interrupted: compare heads.
    MayHaveMissed,
}

/// Listens to one graph until it is dropped.
#[derive(Debug)]
pub struct Publications {
    waiting: mpsc::Receiver<Publication>,
    has_missed: Arc<AtomicBool>,
    /// Told when this is dropped.
    ended: Arc<Notify>,
}

/// The other end of [`Publications`], which an adapter keeps.
#[derive(Debug)]
pub struct PublicationSender {
    waiting: mpsc::Sender<Publication>,
    has_missed: Arc<AtomicBool>,
}

impl Publications {
    /// Of a store that nobody else writes to: there never is one.
    pub fn none() -> Self {
        Self::new(Arc::default()).1
    }

    /// Both ends. `ended` is told when the listener is gone.
    pub fn new(ended: Arc<Notify>) -> (PublicationSender, Self) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let has_missed = Arc::<AtomicBool>::default();
        let sender = PublicationSender { waiting: sender, has_missed: has_missed.clone() };
        (sender, Self { waiting, has_missed, ended })
    }

    /// The next hint. Cancel-safe. When the store is closed there never is another.
    pub async fn next(&mut self) -> Publication {
        if let Some(hint) = self.missed() {
            return hint;
        }
        match self.waiting.recv().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        }
    }

    /// The next hint, if one waits.
    pub fn try_next(&mut self) -> Option<Publication> {
        self.missed().or_else(|| self.waiting.try_recv().ok())
    }

    fn missed(&self) -> Option<Publication> {
        self.has_missed.swap(false, Ordering::AcqRel).then_some(Publication::MayHaveMissed)
    }
}

impl Drop for Publications {
    fn drop(&mut self) {
        self.waiting.close(); // first, so that who is told finds it so
        self.ended.notify_one();
    }
}

impl PublicationSender {
    /// Whether anybody still listens.
    pub fn is_listened_to(&self) -> bool {
        !self.waiting.is_closed()
    }

    /// Passes a hint on, or the word that it was lost.
    pub fn send(&self, hint: Publication) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.waiting.try_send(hint) {
            self.has_missed.store(true, Ordering::Release);
            // The listener looks at the mark before it takes a hint. If it took the last one just
            // before the mark was set it must be woken; if this does not fit, it has one to take.
            let _full_again = self.waiting.try_send(Publication::MayHaveMissed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_told_as_a_loss() {
        let (sender, mut hints) = Publications::new(Arc::default());
        for _ in 0..=WAITING_MAX {
            sender.send(Publication::Head(Head::EMPTY));
        }
        assert_eq!(hints.next().await, Publication::MayHaveMissed);
        for _ in 0..WAITING_MAX {
            assert_eq!(hints.next().await, Publication::Head(Head::EMPTY));
        }
        assert_eq!(hints.try_next(), None);
        sender.send(Publication::Head(Head::EMPTY));
        assert_eq!(hints.next().await, Publication::Head(Head::EMPTY), "what comes after is passed on");
    }

    #[tokio::test]
    async fn an_adapter_learns_that_nobody_listens_any_more() {
        let ended = Arc::new(Notify::new());
        let (sender, hints) = Publications::new(ended.clone());
        assert!(sender.is_listened_to());
        drop(hints);
        ended.notified().await;
        assert!(!sender.is_listened_to());
    }
}
