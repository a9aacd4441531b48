//! Acknowledging only what replicas have too (rule O5, `REDIS_MIN_REPLICAS`): [`Replicas`].
//!
//! Redis answers `WAIT` for the writes of the connection it came on, and at once if that has made none.
//! So whatever is to be acknowledged is written over a *line*: a connection to one primary that is never made
//! again by itself. When it breaks, all that was under way on it fails, and another one takes its place.
//!
//! Invariants:
//! - What is confirmed was written on the line, before the `WAIT` that confirms it: the very server that
//!   took the write says how many of its replicas have it.
//! - A record that was only found is confirmed behind a write of our own, which it precedes in what the
//!   replicas are sent.
//!
//! Not here: what is shown before it is confirmed. Readers and followers may see a commit that a
//! fail-over takes back, and are told so then (rule V4); nobody is told that it is safe.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fred::{
    error::Error,
    interfaces::{ClientLike, ClusterInterface, KeysInterface, ServerInterface},
    prelude::{Client, Config, Options},
    types::{
        Expiration,
        config::{Server, ServerConfig},
    },
    util::redis_keyslot,
};
use futures::future::{BoxFuture, FutureExt, Shared, try_join_all};
use tokio::{sync::Mutex as TurnMutex, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    RECONNECT_PATIENCE,
    connect::{CONNECT_TIMEOUT, line_builder},
    keys::Partition,
};
use crate::store::StoreError;

/// How long replicas may take. After that whoever waits is told 503, and may ask again.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the answer to a `WAIT` may take: with the calls before it on the line.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the key that is written to confirm what was found stays there, in seconds.
const FENCE_SECONDS: i64 = 60;

/// A line, or the attempt to make it.
type Opening = Shared<BoxFuture<'static, Result<Arc<Line>, StoreError>>>;

/// The lines to the primaries, made as they are needed.
pub(super) struct Replicas {
    min: NonZeroU32,
    address: Config,
    /// By node of a cluster; there is one, under `None`, where there is no cluster. Held to look up or
    /// change an entry, never across an await.
    lines: Mutex<HashMap<Option<Server>, Opening>>,
}

impl Replicas {
    pub(super) fn new(min: NonZeroU32, address: Config) -> Self {
        Self { min, address, lines: Mutex::default() }
    }

    /// The line to the primary of this partition. `router` is the client that knows the cluster.
    pub(super) async fn line(&self, router: &Client, partition: Partition) -> Result<Arc<Line>, StoreError> {
        let node = match router.is_clustered() {
            true => Some(owner(router, partition).await?),
            false => None,
        };
        let opened = timeout(RECONNECT_PATIENCE, self.open(node)).await;
        let line =
            opened.unwrap_or_else(|_| Err(StoreError::Unavailable("not connected to Redis".to_owned())));
        if line.is_err() && router.is_clustered() {
            learn_the_cluster(router).await;
        }
        line
    }

    /// The line there is, or a new one. Attempts are shared by all who wait, and go on if nobody does.
    fn open(&self, node: Option<Server>) -> Opening {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opening) = lines.get(&node)
            && opening.peek().is_none_or(|opened| opened.as_ref().is_ok_and(|line| line.is_alive()))
        {
            return opening.clone();
        }
        let mut address = self.address.clone();
        if let Some(server) = node.clone() {
            address.server = ServerConfig::Centralized { server };
        }
        let opening = AbortOnDropHandle::new(tokio::spawn(Line::open(address, self.min)))
            .map(|opened| opened.unwrap_or_else(|died| Err(StoreError::Unavailable(died.to_string()))))
            .boxed()
            .shared();
        lines.insert(node, opening.clone());
        opening
    }

    /// An error unless every primary that has partitions has enough replicas now.
    pub(super) async fn check(&self, router: &Client, partitions: u32) -> Result<(), StoreError> {
        let primaries = one_of_each_primary(router, partitions).into_iter();
        let confirm = async |partition| self.line(router, partition).await?.confirm_found(partition).await;
        try_join_all(primaries.map(confirm)).await.map(drop)
    }

    pub(super) async fn close(&self) {
        let openings: Vec<Opening> = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.drain().map(|(_, opening)| opening).collect()
        };
        for line in openings.iter().filter_map(|opening| opening.peek()?.as_ref().ok()) {
            let _gone_already = timeout(RECONNECT_PATIENCE, line.client.quit()).await;
        }
    }
}

/// A connection, and what an acknowledgement of what was done on it takes.
pub(super) enum Promising<'a> {
    /// The primary's answer.
    Primary(&'a Client),
    /// The answer of replicas besides.
    Replicas(Arc<Line>),
}

impl Promising<'_> {
    pub(super) fn client(&self) -> &Client {
        match self {
            Self::Primary(client) => client,
            Self::Replicas(line) => line.client(),
        }
    }

    /// What was written here may be acknowledged.
    pub(super) async fn confirm_written(&self) -> Result<(), StoreError> {
        match self {
            Self::Primary(_) => Ok(()),
            Self::Replicas(line) => line.confirm_written().await,
        }
    }

    /// What was found here may be acknowledged.
    pub(super) async fn confirm_found(&self, partition: Partition) -> Result<(), StoreError> {
        match self {
            Self::Primary(_) => Ok(()),
            Self::Replicas(line) => line.confirm_found(partition).await,
        }
    }
}

/// Which node has the partition, as far as is known.
async fn owner(router: &Client, partition: Partition) -> Result<Server, StoreError> {
    let known = || known_owner(router, partition);
    if known().is_none() {
        learn_the_cluster(router).await;
    }
    known().ok_or_else(|| StoreError::Unavailable("no node of the cluster has these graphs".to_owned()))
}

fn known_owner(router: &Client, partition: Partition) -> Option<Server> {
    router.cached_cluster_state()?.get_server(redis_keyslot(partition.fence().as_bytes())).cloned()
}

/// Asks which node has what now. If that fails it is asked again the next time something does.
pub(super) async fn learn_the_cluster(router: &Client) {
    if !matches!(timeout(RECONNECT_PATIENCE, router.sync_cluster()).await, Ok(Ok(()))) {
        tracing::debug!("the cluster does not say yet which node has what");
    }
}

/// A partition for each primary.
fn one_of_each_primary(router: &Client, partitions: u32) -> Vec<Partition> {
    if !router.is_clustered() {
        return vec![Partition::numbered(0)];
    }
    let by_owner: HashMap<_, _> = Partition::all(partitions).map(|p| (known_owner(router, p), p)).collect();
    by_owner.into_values().collect()
}

/// One connection to one primary.
pub(super) struct Line {
    client: Client,
    /// What drives the connection; it ends with it.
    driver: AbortOnDropHandle<Result<(), Error>>,
    min: NonZeroU32,
    /// Those who have asked for confirmation, counted.
    asked: AtomicU64,
    /// Whose turn it is to say `WAIT`: one at a time, for all who asked before it was said.
    last: TurnMutex<Waited>,
}

/// How the last `WAIT` ended, and for how many of those who asked.
struct Waited {
    covers: u64,
    reached: Result<(), StoreError>,
}

impl Line {
    async fn open(address: Config, min: NonZeroU32) -> Result<Arc<Self>, StoreError> {
        let away = |why: &str| StoreError::Unavailable(format!("not connected to Redis: {why}"));
        let client = line_builder(address).build().map_err(|error| away(error.details()))?;
        let driver = match timeout(CONNECT_TIMEOUT, client.init()).await {
            Ok(Ok(driver)) => AbortOnDropHandle::new(driver),
            Ok(Err(error)) => return Err(away(error.details())),
            Err(_late) => return Err(away("no answer")),
        };
        let last = TurnMutex::new(Waited { covers: 0, reached: Ok(()) });
        Ok(Arc::new(Self { client, driver, min, asked: AtomicU64::new(0), last }))
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    fn is_alive(&self) -> bool {
        !self.driver.is_finished() && self.client.is_connected()
    }

    /// What was written on this line, and answered before this was called, is on enough replicas.
    pub(super) async fn confirm_written(&self) -> Result<(), StoreError> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.covers < own {
            let covers = self.asked.load(Ordering::SeqCst);
            let reached = self.wait().await;
            *last = Waited { covers, reached };
        }
        last.reached.clone()
    }

    /// The same of what was read on this line.
    pub(super) async fn confirm_found(&self, partition: Partition) -> Result<(), StoreError> {
        let expires = Some(Expiration::EX(FENCE_SECONDS));
        let written: Result<(), _> = self.client.set(partition.fence(), "", expires, None, false).await;
        written.map_err(|error| StoreError::NotReplicated(error.details().to_owned()))?;
        self.confirm_written().await
    }

    async fn wait(&self) -> Result<(), StoreError> {
        let options = Options { timeout: Some(ANSWER_TIMEOUT), max_attempts: Some(1), ..Options::default() };
        let timeout_ms = WAIT_TIMEOUT.as_millis() as i64;
        let reply: Result<i64, _> =
            self.client.with_options(&options).wait(i64::from(self.min.get()), timeout_ms).await;
        match reply {
            Ok(reached) if reached >= i64::from(self.min.get()) => Ok(()),
            Ok(reached) => Err(StoreError::NotReplicated(format!(
                "{reached} of {} replicas have it (REDIS_MIN_REPLICAS), after {timeout_ms} ms",
                self.min
            ))),
            Err(error) => Err(StoreError::NotReplicated(error.details().to_owned())),
        }
    }
}
