//! What other instances publish: one connection to each server that has channels somebody here listens to.
//!
//! A task for each connection takes what is published and passes it on; it does nothing else, so that it is
//! not late. One more, the *subscriber*, makes the subscriptions on the servers agree with the list of listeners, again
//! and again: it compares the two, so that it does not matter in which order listeners came, went, and came back, nor
//! where a slot went meanwhile.
//!
//! Invariants:
//! - Whenever a graph's subscription is made or made again, its listeners are told that they may have
//!   missed something: who reads after that misses nothing.
//! - Only the list says who listens, and only the map of slots where; what a server believes is corrected, not trusted.
//!
//! The client library does not say when a server ended a subscription because its slot moved; hence all are made again
//! by and by.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fred::{
    clients::SubscriberClient,
    interfaces::{EventInterface, PubsubInterface},
    types::{Message, config::Server},
};
use futures::future::join_all;
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    message::Publisher,
    nodes::{Connection, LiveClient, Nodes},
};
use crate::store::{Publication, Publications, publications::PublicationSender};

/// How often subscriptions are looked after, unasked.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// Subscriptions made again in such a round on each server of a cluster; the others have their turn in the next.
const RENEWED_MAX: usize = 1_000;
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Subscriptions that are made at the same time: thousands one after the other would be deaf for seconds.
const AT_ONCE: usize = 64;
/// After so many that failed one after the other the rest waits for the next round.
const FAILURES_MAX: usize = 3;

/// Who listens on which channel.
type Listeners = HashMap<String, Channel>;

struct Channel {
    slot: u16,
    /// Whether there is a subscription, as far as is known.
    is_subscribed: bool,
    listeners: Vec<PublicationSender>,
}

impl Channel {
    fn send(&self, hint: &Publication) {
        self.listeners.iter().for_each(|listener| listener.send(hint.clone()));
    }
}

/// The listeners of this process, and the connections they share.
pub(super) struct PublicationReader {
    listeners: Arc<Mutex<Listeners>>,
    /// Told whenever somebody begins or ends to listen.
    changed: Arc<Notify>,
    _subscriber: AbortOnDropHandle<()>,
}

impl PublicationReader {
    pub(super) fn start(nodes: Arc<Nodes>, sender: Publisher) -> Self {
        let (listeners, changed) = (Arc::<Mutex<Listeners>>::default(), Arc::<Notify>::default());
        let subscriber = SubscriptionTask {
            nodes,
            sender,
            listeners: listeners.clone(),
            changed: changed.clone(),
            servers: HashMap::new(),
        };
        Self { listeners, changed, _subscriber: AbortOnDropHandle::new(tokio::spawn(subscriber.run())) }
    }

    /// See [`crate::store::EventStore::listen`].
    pub(super) fn listen(&self, channel: String, slot: u16) -> Publications {
        let (sender, hints) = Publications::new(self.changed.clone());
        let mut all = lock(&self.listeners);
        let channel =
            all.entry(channel).or_insert_with(|| Channel { slot, is_subscribed: false, listeners: vec![] });
        if channel.is_subscribed {
            sender.send(Publication::MayHaveMissed); // else when it is
        }
        channel.listeners.push(sender);
        drop(all);
        self.changed.notify_one();
        hints
    }
}

/// Forwards what is published until the client quits.
async fn forward_publications(
    mut published: Receiver<Message>,
    sender: Publisher,
    listeners: Arc<Mutex<Listeners>>,
) {
    loop {
        match published.recv().await {
            Ok(message) => {
                let Some(bytes) = message.value.as_bytes() else { continue };
                let Some(hint) = sender.read(bytes) else { continue };
                if let Some(channel) = lock(&listeners).get(&*message.channel) {
                    channel.send(&hint);
                }
            }
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "published messages were not read in time");
                lock(&listeners).values().for_each(|channel| channel.send(&Publication::MayHaveMissed));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// How an attempt to subscribe ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SubscribeOutcome {
    Yes,
    No,
    Unanswered,
}

/// Where a channel is: `None` stands for the one server where there is no cluster.
type ServerKey = Option<Server>;

/// What is subscribed to on one server.
struct ServerSubscriptions {
    connection: Connection<SubscriberClient>,
    /// The client that the subscriptions were made on, and the task that hears it.
    made_on: Option<(Arc<LiveClient<SubscriberClient>>, AbortOnDropHandle<()>)>,
    /// The subscriptions that were made on it, as far as is known.
    made: BTreeSet<String>,
    /// Where the next round of renewals begins.
    renewed_up_to: String,
}

/// Makes the subscriptions agree with the list of listeners.
struct SubscriptionTask {
    nodes: Arc<Nodes>,
    sender: Publisher,
    listeners: Arc<Mutex<Listeners>>,
    changed: Arc<Notify>,
    servers: HashMap<ServerKey, ServerSubscriptions>,
}

impl SubscriptionTask {
    async fn run(mut self) {
        let mut moved = self.nodes.changes();
        let mut round = interval(ROUND_EVERY);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All three are cancel-safe: what is not taken is there the next time.
            tokio::select! {
                () = self.changed.notified() => {}
                () = changed_or_never(&mut moved) => {}
                _ = round.tick() => self.forget_some(),
            }
            self.agree().await;
        }
    }

    /// Each server is made to have the subscriptions that listeners wait for, all servers at once.
    async fn agree(&mut self) {
        let wanted = self.wanted();
        for place in wanted.keys() {
            if !self.servers.contains_key(place) {
                let connection = self.nodes.subscriber(place.as_ref(), self.changed.clone());
                let (made_on, made, renewed_up_to) = (None, BTreeSet::new(), String::new());
                let fresh = ServerSubscriptions { connection, made_on, made, renewed_up_to };
                self.servers.insert(place.clone(), fresh);
            }
        }
        // On a server that has none any more, nobody is listened to: the connection ends with it.
        self.servers.retain(|place, _| wanted.contains_key(place));
        let nothing = BTreeSet::new();
        let (nodes, listeners, sender) = (&self.nodes, &self.listeners, &self.sender);
        let all = self.servers.iter_mut().map(|(place, subscriptions)| {
            let wanted = wanted.get(place).unwrap_or(&nothing);
            subscriptions.agree(place, wanted, nodes, listeners, sender)
        });
        join_all(all).await;
    }

    /// A server does not always say that it ended a subscription. Making one again does no harm: on a cluster, where a
    /// slot may have moved, all get their turn; elsewhere one finds out whether the connection is alive.
    fn forget_some(&mut self) {
        let most = if self.nodes.is_cluster() { RENEWED_MAX } else { 1 };
        for subscriptions in self.servers.values_mut() {
            let from = (Bound::Excluded(&subscriptions.renewed_up_to), Bound::Unbounded);
            let due: Vec<String> = subscriptions.made.range::<String, _>(from).take(most).cloned().collect();
            subscriptions.renewed_up_to =
                if due.len() < most { String::new() } else { due.last().cloned().unwrap_or_default() };
            for channel in &due {
                subscriptions.made.remove(channel);
            }
        }
    }

    /// The channels with listeners by where they are; forgets listeners that are gone. Channels of slots that nobody
    /// has wait until somebody does.
    fn wanted(&self) -> HashMap<ServerKey, BTreeSet<String>> {
        let channels: Vec<(String, u16)> = {
            let mut all = lock(&self.listeners);
            all.retain(|_, channel| {
                channel.listeners.retain(PublicationSender::is_listened_to);
                !channel.listeners.is_empty()
            });
            all.iter().map(|(name, channel)| (name.clone(), channel.slot)).collect()
        };
        let mut places: HashMap<u16, Option<ServerKey>> = HashMap::new();
        let mut wanted: HashMap<ServerKey, BTreeSet<String>> = HashMap::new();
        for (name, slot) in channels {
            let place = places.entry(slot).or_insert_with(|| self.nodes.server_of(slot));
            if let Some(place) = place {
                wanted.entry(place.clone()).or_default().insert(name);
            }
        }
        wanted
    }
}

async fn changed_or_never(changes: &mut Option<tokio::sync::watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

impl ServerSubscriptions {
    /// Ends subscriptions without listeners, and makes those that listeners wait for.
    async fn agree(
        &mut self,
        place: &ServerKey,
        wanted: &BTreeSet<String>,
        nodes: &Nodes,
        listeners: &Arc<Mutex<Listeners>>,
        sender: &Publisher,
    ) {
        let Some(live) = self.connection.now() else {
            self.forget_all(listeners);
            return;
        };
        if !self.made_on.as_ref().is_some_and(|(made_on, _)| Arc::ptr_eq(made_on, &live)) {
            self.forget_all(listeners);
            let hearing = forward_publications(live.client.message_rx(), sender.clone(), listeners.clone());
            self.made_on = Some((live.clone(), AbortOnDropHandle::new(tokio::spawn(hearing))));
        }
        let surplus: Vec<String> = self.made.difference(wanted).cloned().collect();
        for some in surplus.chunks(AT_ONCE) {
            self.made.retain(|made| !some.contains(made));
            // Not answered, and not needed: what comes for nobody is dropped.
            let ends = some
                .iter()
                .map(|channel| timeout(PATIENCE, live.run(live.client.sunsubscribe(channel.clone()))));
            let _sent = join_all(ends).await;
        }
        let missing: Vec<String> = wanted.difference(&self.made).cloned().collect();
        let mut failures = 0;
        for some in missing.chunks(AT_ONCE) {
            if failures >= FAILURES_MAX {
                return; // the next round takes them up
            }
            let asked = some.iter().map(|channel| subscribe(&live, place, channel, nodes, listeners));
            let made = join_all(asked).await;
            for (channel, made) in some.iter().zip(&made) {
                match made {
                    SubscribeOutcome::Yes => {
                        failures = 0;
                        self.is_made(channel, listeners);
                    }
                    SubscribeOutcome::No => failures += 1,
                    SubscribeOutcome::Unanswered => {}
                }
            }
            if made.contains(&SubscribeOutcome::Unanswered) {
                // The connection is dead, and neither the client library nor the system has noticed.
                tracing::warn!("a connection for subscriptions does not answer: it is replaced");
                return self.connection.reconnect();
            }
        }
    }

    fn is_made(&mut self, channel: &str, listeners: &Mutex<Listeners>) {
        if let Some(channel) = lock(listeners).get_mut(channel) {
            channel.is_subscribed = true;
            channel.send(&Publication::MayHaveMissed);
        }
        self.made.insert(channel.to_owned());
    }

    fn forget_all(&mut self, listeners: &Mutex<Listeners>) {
        self.made_on = None;
        let mut all = lock(listeners);
        for channel in std::mem::take(&mut self.made) {
            if let Some(channel) = all.get_mut(&channel) {
                channel.is_subscribed = false;
            }
        }
    }
}

async fn subscribe(
    live: &LiveClient<SubscriberClient>,
    place: &ServerKey,
    channel: &str,
    nodes: &Nodes,
    listeners: &Mutex<Listeners>,
) -> SubscribeOutcome {
    match timeout(PATIENCE, live.run(live.client.ssubscribe(channel))).await {
        Ok(Ok(())) => SubscribeOutcome::Yes,
        Ok(Err(error)) => {
            tracing::debug!(channel, error = error.details(), "no subscription");
            let slot = lock(listeners).get(channel).map(|channel| channel.slot);
            if let Some(slot) = slot {
                nodes.learn_from(&error, slot, place.as_ref());
            }
            SubscribeOutcome::No
        }
        Err(_late) => SubscribeOutcome::Unanswered,
    }
}

fn lock(listeners: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}
