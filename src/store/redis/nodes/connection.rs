//! A connection to one server that is replaced when it ends: [`Connection`].
//!
//! Invariants:
//! - A client of the library is connected once. When its connection ends, for whatever reason, a new client is made:
//!   one that was given up never works again, and what it still held would be answered to nobody.
//! - A call ends when its connection does: nobody waits for an answer that can't come.
//!
//! Not here: which server to ask ([`super::Nodes`]).

use std::{sync::Arc, time::Duration};

use fred::{
    error::{Error, ErrorKind},
    interfaces::ClientLike,
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::replica_confirmation::Confirmations;
use crate::store::redis::client_builder::CONNECT_TIMEOUT;

/// How long a call waits for a connection that is being made. After that it is refused: whoever waits is told early
/// that the store is unavailable, and a short break is not noticed.
pub(in super::super) const RECONNECT_PATIENCE: Duration = Duration::from_millis(500);
/// Pause before the first and later attempts to connect, doubled each time.
const RECONNECT_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Makes a client that is not connected yet.
pub(in super::super) type MakeClient<C> = Arc<dyn Fn() -> Result<C, Error> + Send + Sync>;

/// A client that is connected, as far as is known.
pub(in super::super) struct LiveClient<C> {
    pub(in super::super) client: C,
    /// What was written on this very connection, and how much of it replicas have.
    pub(in super::super) confirmations: Confirmations,
    ended: CancellationToken,
}

impl<C> LiveClient<C> {
    /// What a call on this client comes to: an error as soon as the connection ends.
    pub(in super::super) async fn run<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = call => done,
            () = self.ended.cancelled() => Err(Error::new(ErrorKind::IO, "the connection to Redis ended")),
        }
    }
}

/// How a connection is.
enum ConnectionState<C> {
    /// The first attempt is under way.
    Trying,
    Live(Arc<LiveClient<C>>),
    /// It ended, or the last attempt failed; the next is made soon.
    Gone(Error),
}

/// The connection to one server, made again whenever it ends.
pub(in super::super) struct Connection<C> {
    state: watch::Receiver<ConnectionState<C>>,
    /// Told when the connection is to be made again.
    reconnect: Arc<Notify>,
    /// Told when it is not needed any more.
    closing: CancellationToken,
    keeper: AbortOnDropHandle<()>,
}

impl<C: ClientLike + Sync + 'static> Connection<C> {
    /// Begins to connect. `changed` is told whenever a connection was made or has ended.
    pub(in super::super) fn keep(make: MakeClient<C>, location: String, changed: Arc<Notify>) -> Self {
        let (sender, state) = watch::channel(ConnectionState::Trying);
        let reconnect = Arc::<Notify>::default();
        let closing = CancellationToken::new();
        let keeper = Keeper {
            location,
            state: sender,
            reconnect: reconnect.clone(),
            closing: closing.clone(),
            changed,
            told: LoggedState::Never,
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.run(make)));
        Self { state, reconnect, closing, keeper }
    }

    /// The client, if it is connected or is so within this time.
    pub(in super::super) async fn live(&self, patience: Duration) -> Result<Arc<LiveClient<C>>, Error> {
        if let Some(live) = self.now() {
            return Ok(live);
        }
        let mut state = self.state.clone();
        let is_live = |state: &ConnectionState<C>| matches!(state, ConnectionState::Live(_));
        let _in_time = timeout(patience, state.wait_for(is_live)).await.is_ok();
        self.outcome()
    }

    /// The client of the first attempt, or why it failed.
    pub(in super::super) async fn first(&self) -> Result<Arc<LiveClient<C>>, Error> {
        let mut state = self.state.clone();
        let is_tried = |state: &ConnectionState<C>| !matches!(state, ConnectionState::Trying);
        let _tried = timeout(2 * CONNECT_TIMEOUT, state.wait_for(is_tried)).await.is_ok();
        self.outcome()
    }

    /// The client that is connected now.
    pub(in super::super) fn now(&self) -> Option<Arc<LiveClient<C>>> {
        self.outcome().ok()
    }

    fn outcome(&self) -> Result<Arc<LiveClient<C>>, Error> {
        match &*self.state.borrow() {
            ConnectionState::Live(live) => Ok(live.clone()),
            ConnectionState::Trying => Err(Error::new(ErrorKind::IO, "not connected to Redis yet")),
            ConnectionState::Gone(error) => Err(error.clone()),
        }
    }

    /// Ends it for good, after what was asked on it was answered.
    pub(in super::super) async fn close(&self) {
        self.closing.cancel();
        let mut state = self.state.clone();
        // The keeper lets go of its end when it is done.
        let _done = timeout(CLOSE_PATIENCE, async { while state.changed().await.is_ok() {} }).await;
        self.keeper.abort();
    }

    /// Ends this connection, so that another one is made.
    pub(in super::super) fn reconnect(&self) {
        self.reconnect.notify_one();
    }
}

/// How long [`Connection::close`] waits for calls that are under way.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

type Driver = AbortOnDropHandle<Result<(), Error>>;

async fn connect<C: ClientLike>(make: &MakeClient<C>) -> Result<(C, Driver), Error> {
    let client = make()?;
    // A little longer than the client's own patience, whose error says more.
    let driver = timeout(CONNECT_TIMEOUT + Duration::from_millis(200), client.init())
        .await
        .unwrap_or_else(|_late| Err(Error::new(ErrorKind::Timeout, "no answer")))?;
    Ok((client, AbortOnDropHandle::new(driver)))
}

/// Keeps a connection for as long as somebody holds it.
struct Keeper<C> {
    location: String,
    state: watch::Sender<ConnectionState<C>>,
    reconnect: Arc<Notify>,
    closing: CancellationToken,
    changed: Arc<Notify>,
    /// What the log says of it.
    told: LoggedState,
}

/// What the log says of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LoggedState {
    /// Nothing: there was none yet, and whoever wants one is told why.
    Never,
    /// That it is there.
    There,
    /// That it is lost.
    Lost,
}

impl<C: ClientLike> Keeper<C> {
    async fn run(mut self, make: MakeClient<C>) {
        let closing = self.closing.clone();
        tokio::select! {
            // First it: what is under way is given the time to end.
            biased;
            () = self.keep(make) => {}
            () = async { closing.cancelled().await; sleep(CLOSE_PATIENCE).await } => {}
        }
    }

    async fn keep(&mut self, make: MakeClient<C>) {
        let mut pause = RECONNECT_PAUSE.0;
        loop {
            match connect(&make).await {
                Ok((client, driver)) => {
                    pause = RECONNECT_PAUSE.0;
                    self.serve(client, driver).await;
                }
                Err(error) => self.lost(error),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.closing.cancelled() => return,
            }
            pause = RECONNECT_PAUSE.1.min(pause * 2);
        }
    }

    /// Shows this client to those who call until its connection ends, or is to be made again.
    async fn serve(&mut self, client: C, mut driver: Driver) {
        if std::mem::replace(&mut self.told, LoggedState::There) == LoggedState::Lost {
            tracing::info!(redis = %self.location, "the connection to Redis is back");
        }
        let ended = CancellationToken::new();
        // Also when this task is aborted.
        let _ends_calls = ended.clone().drop_guard();
        let confirmations = Confirmations::default();
        let live = LiveClient { client: client.clone(), confirmations, ended };
        self.state.send_replace(ConnectionState::Live(Arc::new(live)));
        self.changed.notify_one();
        let quitting = self.closing.clone();
        let quit = async {
            quitting.cancelled().await;
            timeout(CLOSE_PATIENCE, client.quit()).await
        };
        let error = tokio::select! {
            _ended = quit => return self.gone(Error::new(ErrorKind::IO, "the connection was closed")),
            ended = &mut driver => match ended {
                Ok(Ok(())) => Error::new(ErrorKind::IO, "the connection was closed"),
                Ok(Err(error)) => error,
                Err(died) => Error::new(ErrorKind::Unknown, died.to_string()),
            },
            () = self.reconnect.notified() => Error::new(ErrorKind::IO, "the connection is replaced"),
        };
        self.lost(error);
    }

    /// Said in the log once when it goes, not at every attempt.
    fn lost(&mut self, error: Error) {
        if self.told == LoggedState::There {
            self.told = LoggedState::Lost;
            tracing::warn!(redis = %self.location, error = error.details(), "no connection to Redis");
        }
        self.gone(error);
    }

    fn gone(&self, error: Error) {
        self.state.send_replace(ConnectionState::Gone(error));
        self.changed.notify_one();
    }
}
