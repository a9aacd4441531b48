//! Hearing what other instances publish: one connection for all graphs that anybody here listens to.
//!
//! Two tasks share the list of listeners. The *ear* takes what is published and passes it on; it does
//! nothing else, so that it is not late. The *subscriber* makes the subscriptions on the server agree
//! with the list, again and again: it compares the two, so that it does not matter in which order
//! listeners came, went, and came back.
//!
//! Invariants:
//! - Whenever a graph's subscription is made or made again, its listeners are told that they may have
//!   missed something: who reads after that misses nothing.
//! - Only the list says who listens; what the server believes is corrected, not trusted.
//!
//! The client library re-subscribes after a reconnect only if there are plain subscriptions too, and
//! does not say when a cluster ended one because its slot moved; hence all of this.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fred::{
    clients::SubscriberClient,
    interfaces::{ClientLike, EventInterface, PubsubInterface},
    types::Message,
};
use futures::future::join_all;
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::message::Sender;
use crate::store::{Hint, Hints, hints::HintSender};

/// Published messages that wait for the ear. Beyond it they are lost, and every listener told so. The
/// client library keeps eight queues of this length, all made at once: 16,384 would take 14 MB.
pub(super) const WAITING_MAX: usize = 4_096;
/// How often subscriptions are looked after, unasked.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// Subscriptions made again in such a round on a cluster; the others have their turn in the next.
const RENEWED_MAX: usize = 1_000;
/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each is tried: the first try after a slot moved only finds out where it is now.
const TRIES: usize = 2;
/// Subscriptions that are made at the same time: thousands one after the other would be deaf for seconds.
const AT_ONCE: usize = 64;
/// After so many that failed one after the other the rest waits for the next round.
const FAILURES_MAX: usize = 3;

/// Who listens on which channel.
type Listeners = HashMap<String, Channel>;

#[derive(Default)]
struct Channel {
    /// Whether there is a subscription, as far as is known.
    is_heard: bool,
    listeners: Vec<HintSender>,
}

impl Channel {
    fn tell(&self, hint: &Hint) {
        self.listeners.iter().for_each(|listener| listener.send(hint.clone()));
    }
}

/// The listeners of this process, and the connection they share.
pub(super) struct Listening {
    client: SubscriberClient,
    listeners: Arc<Mutex<Listeners>>,
    /// Told whenever somebody begins or ends to listen.
    changed: Arc<Notify>,
    tasks: [JoinHandle<()>; 2],
}

impl Listening {
    /// On a client that is connected.
    pub(super) fn start(client: SubscriberClient, sender: Sender) -> Self {
        let (listeners, changed) = (Arc::<Mutex<Listeners>>::default(), Arc::<Notify>::default());
        let ear = tokio::spawn(hear(client.message_rx(), sender, listeners.clone()));
        let subscriber = Subscriber {
            client: client.clone(),
            listeners: listeners.clone(),
            made: BTreeSet::new(),
            renewed_up_to: String::new(),
        };
        let subscriber = tokio::spawn(subscriber.run(changed.clone()));
        Self { client, listeners, changed, tasks: [ear, subscriber] }
    }

    /// See [`crate::store::EventStore::listen`].
    pub(super) fn listen(&self, channel: String) -> Hints {
        let (sender, hints) = Hints::new(self.changed.clone());
        let mut all = lock(&self.listeners);
        let channel = all.entry(channel).or_default();
        if channel.is_heard {
            sender.send(Hint::MayHaveMissed); // else when it is
        }
        channel.listeners.push(sender);
        drop(all);
        self.changed.notify_one();
        hints
    }

    pub(super) fn client(&self) -> &SubscriberClient {
        &self.client
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The ear: passes on what is published until the client quits.
async fn hear(mut published: Receiver<Message>, sender: Sender, listeners: Arc<Mutex<Listeners>>) {
    loop {
        match published.recv().await {
            Ok(message) => {
                let Some(bytes) = message.value.as_bytes() else { continue };
                let Some(hint) = sender.read(bytes) else { continue };
                if let Some(channel) = lock(&listeners).get(&*message.channel) {
                    channel.tell(&hint);
                }
            }
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "published messages were not read in time");
                lock(&listeners).values().for_each(|channel| channel.tell(&Hint::MayHaveMissed));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// How an attempt to subscribe ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    Yes,
    No,
    Unanswered,
}

/// Makes the subscriptions agree with the list of listeners.
struct Subscriber {
    client: SubscriberClient,
    listeners: Arc<Mutex<Listeners>>,
    /// The subscriptions that were made on the connection there is now, as far as is known.
    made: BTreeSet<String>,
    /// Where the next round of renewals begins.
    renewed_up_to: String,
}

impl Subscriber {
    async fn run(mut self, changed: Arc<Notify>) {
        let mut reconnected = self.client.reconnect_rx();
        let mut round = interval(ROUND_EVERY);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // All three are cancel-safe: what is not taken is there the next time.
            tokio::select! {
                biased;
                again = reconnected.recv() => match again {
                    Err(RecvError::Closed) => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => self.forget_all(),
                },
                () = changed.notified() => {}
                _ = round.tick() => self.renew().await,
            }
            self.agree().await;
        }
    }

    fn forget_all(&mut self) {
        self.made.clear();
        lock(&self.listeners).values_mut().for_each(|channel| channel.is_heard = false);
    }

    /// Ends subscriptions without listeners, and makes those that listeners wait for.
    async fn agree(&mut self) {
        let (surplus, missing) = self.differences();
        for some in surplus.chunks(AT_ONCE) {
            for channel in some {
                self.made.remove(channel);
            }
            // Not answered, and not needed: what comes for nobody is dropped.
            let ends =
                some.iter().map(|channel| timeout(PATIENCE, self.client.sunsubscribe(channel.clone())));
            let _sent = join_all(ends).await;
        }
        self.make(missing).await;
    }

    /// A server does not always say that it ended a subscription. Making one again does no harm: on
    /// a cluster, where a slot may have moved, all get their turn; elsewhere one finds out whether
    /// the connection is alive.
    async fn renew(&mut self) {
        let (clustered, from) = (self.client.is_clustered(), Bound::Excluded(&self.renewed_up_to));
        let most = if clustered { RENEWED_MAX } else { 1 };
        let due: Vec<String> =
            self.made.range::<String, _>((from, Bound::Unbounded)).take(most).cloned().collect();
        self.renewed_up_to = if due.len() < most { String::new() } else { due[most - 1].clone() };
        if clustered {
            for channel in &due {
                self.made.remove(channel);
            }
            self.make(due).await;
        } else if let Some(channel) = due.first()
            && self.subscribe(channel).await != Subscribed::Yes
        {
            self.forget_all();
        }
    }

    async fn make(&mut self, channels: Vec<String>) {
        let mut failures = 0;
        for some in channels.chunks(AT_ONCE) {
            if failures >= FAILURES_MAX || !self.client.is_connected() {
                return; // the next round, or the reconnect, takes them up
            }
            let made = join_all(some.iter().map(|channel| self.subscribe(channel))).await;
            for (channel, made) in some.iter().zip(&made) {
                match made {
                    Subscribed::Yes => {
                        failures = 0;
                        self.is_made(channel);
                    }
                    Subscribed::No => failures += 1,
                    Subscribed::Unanswered => {}
                }
            }
            if made.contains(&Subscribed::Unanswered) {
                return self.reconnect().await;
            }
        }
    }

    fn is_made(&mut self, channel: &str) {
        if let Some(channel) = lock(&self.listeners).get_mut(channel) {
            channel.is_heard = true;
            channel.tell(&Hint::MayHaveMissed);
        }
        self.made.insert(channel.to_owned());
    }

    async fn subscribe(&self, channel: &str) -> Subscribed {
        let mut subscribed = Subscribed::No;
        for _ in 0..TRIES {
            subscribed = match timeout(PATIENCE, self.client.ssubscribe(channel)).await {
                Ok(Ok(())) => return Subscribed::Yes,
                Ok(Err(error)) => {
                    tracing::debug!(channel, error = error.details(), "no subscription");
                    Subscribed::No
                }
                Err(_late) => Subscribed::Unanswered,
            };
        }
        subscribed
    }

    /// The connection is dead, and neither the client library nor the system has noticed: the library
    /// does not wait for the answers to subscriptions. When it is made anew, this hears of it.
    async fn reconnect(&self) {
        tracing::warn!("the connection for subscriptions does not answer: it is made anew");
        if !matches!(timeout(PATIENCE, self.client.force_reconnection()).await, Ok(Ok(()))) {
            tracing::debug!("the connection for subscriptions is not there again yet");
        }
    }

    /// The subscriptions that are there without listeners, and the channels with listeners that have none; forgets
    /// listeners that are gone. Only the names of these few are copied while the list is locked.
    fn differences(&self) -> (Vec<String>, Vec<String>) {
        let mut all = lock(&self.listeners);
        all.retain(|_, channel| {
            channel.listeners.retain(HintSender::is_listened_to);
            !channel.listeners.is_empty()
        });
        let surplus = self.made.iter().filter(|made| !all.contains_key(*made)).cloned().collect();
        let missing = all.keys().filter(|wanted| !self.made.contains(*wanted)).cloned().collect();
        (surplus, missing)
    }
}

fn lock(listeners: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}
