//! The loop around a [`Follower`]: connects, and reconnects whatever happens.

use std::{collections::VecDeque, time::Duration};

use dao_projections::{ClientId, GraphId, Head, OperationId, UserId, Version};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    backoff::Backoff,
    error::{AskError, ClientError, LinkError},
    follower::Follower,
    frames::{Complaint, Operation, Presence, ServerFrame},
    http::{get, percent_encoded},
    page::Page,
    received::Received,
    server::Server,
    socket::{Socket, random_bits},
    step::{Aim, Ending, Point, Snapshot, Step, Why},
};

/// Commits per page; fewer if a page would be too long.
const PAGE_COMMITS: usize = 1_000;

/// What a client tells its application, in order.
#[derive(Debug)]
pub enum Update {
    /// Connected; the graph stands here. What is missing follows.
    Synced(Head),
    /// The next commit.
    Commit(Box<Received>),
    /// The whole state: drop what was applied before.
    Snapshot(Box<Snapshot>),
    /// An operation has ended.
    Settled(OperationId, Ending),
    /// Another client shows this of itself.
    Presence(Presence),
    /// The server reported an error, and the connection stays open.
    Warning(Complaint),
    /// There is no connection. The client reconnects after a delay; to give up, drop it.
    Away {
        /// Why.
        why: LinkError,
        /// How long until the next attempt.
        again_in: Duration,
    },
}

/// The server, the graph and the user of a client.
#[derive(Clone, Debug)]
pub struct Address {
    /// The server.
    pub server: Server,
    /// The graph.
    pub graph: GraphId,
    /// The user; the server's default if none.
    pub user: Option<UserId>,
}

impl Address {
    fn path(&self, path: &str, query: &[(&str, String)]) -> String {
        let user = self.user.as_ref().map(|user| ("userId", percent_encoded(user.as_str())));
        let pairs = query.iter().cloned().chain(user).map(|(key, value)| format!("{key}={value}"));
        let pairs: Vec<_> = pairs.collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }

    /// Where the graph stands now, without its state: `changes` after a version that no graph has
    /// (rule H2).
    pub async fn head(&self) -> Result<Head, AskError> {
        let beyond = Point { version: Version::MAX, hash: None };
        Ok(self.changes(beyond, 1).await?.current)
    }

    async fn changes(&self, after: Point, limit: usize) -> Result<Page, AskError> {
        let mut query = vec![("since", after.version.to_string()), ("limit", limit.to_string())];
        query.extend(after.hash.map(|hash| ("hash", hash.to_hex())));
        let path = self.path(&format!("/graphs/{}/changes", self.graph), &query);
        let body = get(&self.server, &path).await?;
        Ok(Page::read(&body).map_err(ClientError::from)?)
    }
}

#[derive(Debug)]
enum Link {
    Away { until: Instant },
    Open(Box<Socket>),
}

/// What is sent after a delay.
#[derive(Debug)]
enum Later {
    Frame(String),
    Subscribe,
}

/// A client of one graph that reconnects by itself. [`next`](Self::next) returns what happened;
/// [`submit`](Self::submit) sends what the user did.
///
/// It only reads when [`next`](Self::next) is called: a slow application is a slow reader, for which the server keeps no
/// more than for others (rule W6).
#[derive(Debug)]
pub struct Client {
    address: Address,
    /// What makes its commits its own (rule D1).
    name: ClientId,
    follower: Follower,
    link: Link,
    backoff: Backoff,
    updates: VecDeque<Update>,
    later: Vec<(Instant, Later)>,
    fetch: Option<Point>,
    page_commits: usize,
}

impl Client {
    /// A client that has applied everything up to `at`; without it, one that starts from a snapshot.
    /// The first call of [`next`](Self::next) connects.
    pub fn new(address: Address, aim: Aim, at: Option<Point>) -> Self {
        Self {
            follower: Follower::new(address.graph.clone(), aim, at),
            address,
            name: fresh_name(),
            link: Link::Away { until: Instant::now() },
            backoff: Backoff::default(),
            updates: VecDeque::new(),
            later: Vec::new(),
            fetch: None,
            page_commits: PAGE_COMMITS,
        }
    }

    /// The same under the name of an earlier client: the commits of that one never conflict with what this one does (rule
    /// D1). Otherwise each client has a name of its own.
    #[must_use]
    pub fn named(self, name: ClientId) -> Self {
        Self { name, ..self }
    }

    /// The point from which it would resume, and the operations that have not ended.
    pub fn follower(&self) -> &Follower {
        &self.follower
    }

    /// Whether [`next`](Self::next) answers without waiting for the server.
    pub fn has_update(&self) -> bool {
        !self.updates.is_empty()
    }

    /// The user did something; it is sent now, or as soon as there is a connection.
    pub fn submit(&mut self, operation: Operation) {
        let steps = self.follower.submit(operation);
        self.take(steps);
    }

    /// What happened next. Cancel-safe: an update that was not returned is returned by the next call.
    /// An error is the end.
    pub async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Ok(update);
            }
            let result = match (&mut self.link, self.fetch) {
                (Link::Away { until }, _) => {
                    sleep_until(*until).await;
                    self.connect().await
                }
                (Link::Open(_), Some(after)) => self.fetch_page(after).await,
                (Link::Open(_), None) => self.exchange().await,
            };
            match result {
                Ok(()) => {}
                Err(AskError::Link(why)) => self.lost(why),
                Err(AskError::Client(error)) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<(), AskError> {
        let name = [("clientId", percent_encoded(self.name.as_str()))];
        let socket = Socket::open(&self.address.server, &self.address.path("/ws", &name)).await?;
        self.link = Link::Open(Box::new(socket));
        let subscribe = self.follower.connected();
        self.send(&subscribe);
        Ok(())
    }

    /// Takes one frame, or sends what was delayed.
    async fn exchange(&mut self) -> Result<(), AskError> {
        let Link::Open(socket) = &mut self.link else { return Ok(()) };
        let due = self.later.iter().map(|(at, _)| *at).min();
        let text = tokio::select! {
            text = socket.receive() => text?,
            () = wait_for(due) => {
                self.send_due();
                return Ok(());
            }
        };
        let frame = ServerFrame::read(&text).map_err(ClientError::from)?;
        if let ServerFrame::Welcome(welcome) = &frame {
            socket.expect_heartbeat(Duration::from_millis(welcome.heartbeat_ms));
        }
        let steps = self.follower.take(frame);
        self.perform(steps)
    }

    async fn fetch_page(&mut self, after: Point) -> Result<(), AskError> {
        let page = match self.address.changes(after, self.page_commits).await {
            Err(AskError::Link(LinkError::TooLong(_))) if self.page_commits > 1 => {
                self.page_commits /= 2;
                return Ok(());
            }
            page => page?,
        };
        self.fetch = None;
        if let Link::Open(socket) = &mut self.link {
            socket.forgive_silence();
        }
        let steps = self.follower.fetched(page);
        self.perform(steps)
    }

    /// Takes steps that may end the connection, or the client.
    fn perform(&mut self, steps: Vec<Step>) -> Result<(), AskError> {
        match self.take(steps) {
            Some(Step::Reconnect(why)) => Err(LinkError::from(why).into()),
            Some(Step::GiveUp(Complaint { code, message, .. })) => {
                Err(ClientError::NotFollowed { code, message }.into())
            }
            _ => Ok(()),
        }
    }

    /// Takes steps up to one that ends the connection, which is returned.
    fn take(&mut self, steps: Vec<Step>) -> Option<Step> {
        for step in steps {
            let update = match step {
                Step::Synced(head) => {
                    self.backoff.succeeded();
                    Update::Synced(head)
                }
                Step::Apply(received) => Update::Commit(received),
                Step::Replace(snapshot) => Update::Snapshot(snapshot),
                Step::Settle(operation, ending) => Update::Settled(operation, ending),
                Step::Show(presence) => Update::Presence(presence),
                Step::Warn(complaint) => Update::Warning(complaint),
                Step::Send { frame, after: Duration::ZERO } => {
                    self.send(&frame);
                    continue;
                }
                Step::Send { frame, after } => {
                    self.later.push((Instant::now() + after, Later::Frame(frame)));
                    continue;
                }
                Step::SubscribeAgain { after } => {
                    self.later.push((Instant::now() + after, Later::Subscribe));
                    continue;
                }
                Step::Fetch(after) => {
                    self.fetch = Some(after);
                    continue;
                }
                Step::Reconnect(_) | Step::GiveUp(_) => return Some(step),
            };
            self.updates.push_back(update);
        }
        None
    }

    fn send(&mut self, frame: &str) {
        if let Link::Open(socket) = &mut self.link {
            socket.send(frame);
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = later;
        let due: Vec<(Instant, Later)> = due;
        for (_, later) in due {
            match later {
                Later::Frame(frame) => self.send(&frame),
                Later::Subscribe => {
                    let subscribe = self.follower.connected();
                    self.send(&subscribe);
                }
            }
        }
    }

    fn lost(&mut self, why: LinkError) {
        self.follower.disconnected();
        self.later.clear();
        self.fetch = None;
        let again_in = match why {
            LinkError::Followed(Why::Goodbye { after }) => after,
            _ => self.backoff.wait(random_bits()),
        };
        self.link = Link::Away { until: Instant::now() + again_in };
        self.updates.push_back(Update::Away { why, again_in });
    }
}

/// A name that no other client has.
fn fresh_name() -> ClientId {
    match ClientId::parse(&Uuid::now_v7().to_string()) {
        Ok(name) => name,
        Err(e) => unreachable!("a UUID is a client id: {e}"),
    }
}

async fn wait_for(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
