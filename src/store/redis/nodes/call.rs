//! Calls to the server that has a slot: tried again after redirections, fail-overs and broken connections.
//!
//! Invariant: a call that may have taken effect, and was then refused, is in doubt: that is what its caller is told.
//!
//! Not here: which server has which slot (`cluster.rs`), and what a redirection means (`redirect.rs`).

use std::{sync::Arc, time::Duration};

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
    prelude::Client,
    types::{ClusterHash, CustomCommand, Value, config::Server},
};
use tokio::{
    sync::{Mutex as TurnMutex, MutexGuard as TurnGuard},
    time::{Instant, sleep, timeout},
};

use super::{
    Nodes, START_PATIENCE, Topology,
    connection::{Connection, LiveClient, RECONNECT_PATIENCE},
    redirect::FailureAdvice,
    server::{ConnectionRole, Node},
};

/// For how long a call is tried again whose slot is on its way to another server, or whose shard is getting a new
/// primary.
const CALL_PATIENCE: Duration = Duration::from_secs(3);
/// Pause before a call is tried again, doubled each time.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));
/// How often a call is sent at most whose connection broke under it.
const SENT_MAX: u32 = 3;
/// How long a call waits for its turn at a server that a slot is on its way to.
const ASKING_PATIENCE: Duration = Duration::from_secs(1);

/// How long a call is tried.
#[derive(Clone, Copy)]
struct CallTimeouts {
    /// For a connection.
    connecting: Duration,
    /// For a slot that is on its way, or a shard without a primary.
    in_all: Duration,
}

const ORDINARY: CallTimeouts = CallTimeouts { connecting: RECONNECT_PATIENCE, in_all: CALL_PATIENCE };

/// What a call came to, and over which connection.
type Completed<T> = (T, Arc<LiveClient<Client>>);

/// How one attempt failed.
enum CallFailure {
    /// It was not sent.
    Unsent(Error),
    /// It was sent to this server.
    Sent(Error, Option<Server>),
}

/// What is to be done after a failed attempt.
pub(super) enum AfterFailure {
    TryAgain,
    AskThere(Server),
    Nothing,
}

impl Nodes {
    /// Does this where the slot is, and over which connection it was done.
    ///
    /// It is done again where the cluster says so, and where a connection broke: it must be something that says the
    /// same twice. An error of the last attempt is told, or, if one before it may have taken effect, that one's.
    pub(in crate::store::redis) async fn call<T, F, Fut>(
        &self,
        slot: u16,
        lane: ConnectionRole,
        call: F,
    ) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.call_patiently(ORDINARY, slot, lane, call).await
    }

    /// The same at a start, which waits for a cluster to become whole.
    pub(in crate::store::redis) async fn call_at_start<T, F, Fut>(
        &self,
        slot: u16,
        call: F,
    ) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let patience = match self.is_cluster() {
            true => CallTimeouts { connecting: START_PATIENCE, in_all: START_PATIENCE },
            false => ORDINARY,
        };
        self.call_patiently(patience, slot, ConnectionRole::Writer, call).await
    }

    async fn call_patiently<T, F, Fut>(
        &self,
        patience: CallTimeouts,
        slot: u16,
        lane: ConnectionRole,
        call: F,
    ) -> Result<Completed<T>, Error>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let began = Instant::now();
        let (mut pause, mut sent, mut doubt, mut asking) = (Duration::ZERO, 0, None, None);
        loop {
            let tried = match asking.take() {
                Some(server) => self.ask(&server, &call).await,
                None => self.try_owner(slot, lane, patience.connecting, &call).await,
            };
            let error = match tried {
                Ok(done) => return Ok(done),
                Err(CallFailure::Unsent(error)) if began.elapsed() >= patience.connecting => {
                    return Err(doubt.unwrap_or(error));
                }
                Err(CallFailure::Unsent(_)) => {
                    self.look_soon();
                    None
                }
                Err(CallFailure::Sent(error, server)) => {
                    sent += u32::from(FailureAdvice::after(&error) == FailureAdvice::Broken);
                    match self.learn(&error, slot, server.as_ref()) {
                        AfterFailure::AskThere(server) => {
                            asking = Some(server);
                            continue;
                        }
                        AfterFailure::TryAgain if sent < SENT_MAX => Some(error),
                        AfterFailure::TryAgain | AfterFailure::Nothing => return Err(doubt.unwrap_or(error)),
                    }
                }
            };
            if let Some(error) = error {
                if began.elapsed() >= patience.in_all {
                    return Err(doubt.unwrap_or(error));
                }
                if FailureAdvice::after(&error) == FailureAdvice::Broken {
                    doubt.get_or_insert(error);
                }
            }
            // The first redirection is followed at once.
            sleep(pause).await;
            pause = (pause * 2).clamp(RETRY_PAUSE.0, RETRY_PAUSE.1);
        }
    }

    async fn try_owner<T, F, Fut>(
        &self,
        slot: u16,
        lane: ConnectionRole,
        patience: Duration,
        call: &F,
    ) -> Result<Completed<T>, CallFailure>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let run = async |node: &Node, patience| {
            let live = node.lane(lane).live(patience).await.map_err(unsent)?;
            match live.run(call(live.clone())).await {
                Ok(done) => Ok((done, live)),
                Err(error) => Err(CallFailure::Sent(error, node.server.clone())),
            }
        };
        match &self.shape {
            Topology::One(node) => run(node, patience).await,
            Topology::Cluster { cluster, .. } => match cluster.owner(slot) {
                // A server that is gone may have a successor meanwhile: not waited for at length.
                Some(node) => run(&node, RECONNECT_PATIENCE.min(patience) / 4).await,
                None => Err(unsent(Error::new(ErrorKind::IO, "no server of the cluster has these graphs"))),
            },
        }
    }

    /// Does this at a server that the slot is on its way to.
    async fn ask<T, F, Fut>(&self, server: &Server, call: &F) -> Result<Completed<T>, CallFailure>
    where
        F: Fn(Arc<LiveClient<Client>>) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let Topology::Cluster { cluster, .. } = &self.shape else {
            return Err(unsent(Error::new(ErrorKind::Config, "a server that is no cluster redirects")));
        };
        let node = cluster.node(server);
        let mut asking = turn_at(&node.asking).await?;
        let connection = asking.get_or_insert_with(|| {
            let (client, location) = (self.maker.client(Some(server)), self.maker.location(Some(server)));
            Connection::keep(client, location, Arc::default())
        });
        let live = connection.live(RECONNECT_PATIENCE).await.map_err(unsent)?;
        let command = CustomCommand::new_static("ASKING", ClusterHash::Random, false);
        let asked = live.run::<Value>(live.client.custom(command, Vec::<String>::new())).await;
        asked.map_err(unsent)?;
        match live.run(call(live.clone())).await {
            Ok(done) => Ok((done, live)),
            Err(error) => Err(CallFailure::Sent(error, Some(server.clone()))),
        }
    }

    /// What a failed call says about where the slot is.
    pub(super) fn learn(&self, error: &Error, slot: u16, answered: Option<&Server>) -> AfterFailure {
        let next = FailureAdvice::after(error);
        let Topology::Cluster { cluster, .. } = &self.shape else {
            return match next {
                FailureAdvice::FindPrimary => {
                    self.find_primary();
                    AfterFailure::Nothing
                }
                FailureAdvice::Broken => AfterFailure::TryAgain,
                _ => AfterFailure::Nothing,
            };
        };
        let server = |to: &str| cluster.names().redirected(to, answered?);
        match next {
            FailureAdvice::Moved(to) => {
                if let Some(server) = server(to) {
                    cluster.moved(slot, &server);
                }
                AfterFailure::TryAgain
            }
            FailureAdvice::Asking(to) => server(to).map_or(AfterFailure::Nothing, AfterFailure::AskThere),
            FailureAdvice::Later | FailureAdvice::FindPrimary | FailureAdvice::Broken => {
                cluster.look_soon();
                AfterFailure::TryAgain
            }
            FailureAdvice::GiveUp => AfterFailure::Nothing,
        }
    }
}

/// Whoever waits longer than this for others that ask the same server is told that nothing was sent.
async fn turn_at<T>(asking: &TurnMutex<T>) -> Result<TurnGuard<'_, T>, CallFailure> {
    let late =
        || unsent(Error::new(ErrorKind::Timeout, "other calls wait for the server that takes over the slot"));
    timeout(ASKING_PATIENCE, asking.lock()).await.map_err(|_late| late())
}

/// Of a call that was never sent: its caller is told that nothing happened.
fn unsent(error: Error) -> CallFailure {
    CallFailure::Unsent(Error::new(ErrorKind::Routing, error.details().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_for_others_that_ask_the_same_server() {
        let asking = TurnMutex::new(());
        let held = turn_at(&asking).await.ok().expect("nobody else asks");
        assert!(matches!(turn_at(&asking).await, Err(CallFailure::Unsent(_))));
        drop(held);
        assert!(turn_at(&asking).await.is_ok());
    }
}
