//! Acknowledging only what replicas have too (rule O5, `REDIS_MIN_REPLICAS`): [`Confirmations`].
//!
//! Redis answers `WAIT` for the writes of the connection it came on, and at once if that has made none. So what is to
//! be acknowledged is confirmed on the very connection that wrote it; a connection is never made again by itself
//! (`connection.rs`).
//!
//! Invariants:
//! - What is confirmed was written on the connection, before the `WAIT` that confirms it: the very server that
//!   took the write says how many of its replicas have it.
//! - A record that was only found is confirmed behind a write of our own, which it precedes in what the
//!   replicas are sent.
//!
//! Not here: what is shown before it is confirmed. Readers and followers may see a commit that a
//! fail-over takes back, and are told so then (rule V4); nobody is told that it is safe.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use fred::{
    interfaces::{ClientLike, KeysInterface, ServerInterface},
    prelude::{Client, Options},
    types::Expiration,
};
use tokio::sync::Mutex as TurnMutex;

use super::LiveClient;
use crate::store::{StoreError, redis::keys::Partition};

/// How long replicas may take. After that whoever waits is told 503, and may ask again.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the answer to a `WAIT` may take: with the calls before it on the connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the key that is written to confirm what was found stays there, in seconds.
const FENCE_SECONDS: i64 = 60;

/// What was asked and answered about the writes of one connection.
pub(in super::super) struct Confirmations {
    /// Those who have asked for confirmation, counted.
    asked: AtomicU64,
    /// Whose turn it is to say `WAIT`: one at a time, for all who asked before it was said.
    last: TurnMutex<LastWait>,
}

/// How the last `WAIT` ended, and for how many of those who asked.
struct LastWait {
    covers: u64,
    reached: Result<(), StoreError>,
}

impl Default for Confirmations {
    fn default() -> Self {
        Self { asked: AtomicU64::new(0), last: TurnMutex::new(LastWait { covers: 0, reached: Ok(()) }) }
    }
}

impl LiveClient<Client> {
    /// What was written on this connection, and answered before this was called, is on enough replicas.
    pub(in super::super) async fn confirm_written(&self, min: Option<NonZeroU32>) -> Result<(), StoreError> {
        let Some(min) = min else { return Ok(()) };
        let own = self.confirmations.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.confirmations.last.lock().await;
        if last.covers < own {
            let covers = self.confirmations.asked.load(Ordering::SeqCst);
            let reached = self.wait(min).await;
            *last = LastWait { covers, reached };
        }
        last.reached.clone()
    }

    /// The same of what was read on this connection.
    pub(in super::super) async fn confirm_found(
        &self,
        min: Option<NonZeroU32>,
        partition: Partition,
    ) -> Result<(), StoreError> {
        if min.is_none() {
            return Ok(());
        }
        let expires = Some(Expiration::EX(FENCE_SECONDS));
        let written = self.run::<()>(self.client.set(partition.fence(), "", expires, None, false)).await;
        written.map_err(|error| StoreError::NotReplicated(error.details().to_owned()))?;
        self.confirm_written(min).await
    }

    async fn wait(&self, min: NonZeroU32) -> Result<(), StoreError> {
        let options = Options { timeout: Some(ANSWER_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let timeout_ms = WAIT_TIMEOUT.as_millis() as i64;
        let client = self.client.with_options(&options);
        match self.run::<i64>(client.wait(i64::from(min.get()), timeout_ms)).await {
            Ok(reached) if reached >= i64::from(min.get()) => Ok(()),
            Ok(reached) => Err(StoreError::NotReplicated(format!(
                "{reached} of {min} replicas have it (REDIS_MIN_REPLICAS), after {timeout_ms} ms"
            ))),
            Err(error) => Err(StoreError::NotReplicated(error.details().to_owned())),
        }
    }
}
