//! Presence on one connection: passes on the peer's own state and sends it the state of others, both rate-limited (rule
//! W7). Not here: who is present ([`crate::live::PresenceRoom`]).

use std::{sync::Arc, time::Duration};

use dao_projections::{ClientId, GraphId};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep};

use super::{
    connection::Connection,
    server_frames,
    subscription::{OwnPresence, OwnSlot, Subscription},
    wake::Wake,
};
use crate::{
    http::problem::Problem,
    live::{FollowedGraph, PresenceSlot, Present, SLOTS_MAX},
};

/// Presence is sent at most this often (rule W7).
const PRESENCE_INTERVAL: Duration = Duration::from_millis(34);
/// Clients whose presence is sent at once; the rest follows soon after.
const PRESENT_AT_ONCE: usize = 32;
/// Approximate bytes of presence that one follower gets per second. The latest state always arrives.
const FOLLOWER_BYTES_PER_SECOND: usize = 512 << 10;
/// Approximate bytes of presence that one sender may cause per second: its state times the followers.
const SENDER_BYTES_PER_SECOND: usize = 4 << 20;
/// The longest pause of a sender, however many follow.
const SENDER_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// The state of a slot that is cleared.
const NOTHING: &str = "null";
/// Bytes of the states of one connection in all graphs.
const SHOWN_BYTES_MAX: usize = 64 << 10;

impl Connection {
    /// Passes on the peer's state in one slot, at once or after its pause. Of several states only the latest is passed on.
    pub(super) fn show(
        &mut self,
        graph: &GraphId,
        client: Option<ClientId>,
        (slot, state): (PresenceSlot, Arc<str>),
    ) {
        let client = client.unwrap_or_else(|| self.peer.client.clone());
        let Some(index) = self.subscriptions.iter().position(|s| s.graph == *graph) else {
            let problem =
                Problem::bad_request("graphId: not subscribed to this graph. Send SUBSCRIBE before PRESENCE");
            return self.send_error(&problem, Some(graph), None);
        };
        let others = self.subscriptions.iter().enumerate().filter(|(other, _)| *other != index);
        let elsewhere: usize = others.map(|(_, subscription)| subscription.showing.bytes()).sum();
        let room = SHOWN_BYTES_MAX.saturating_sub(elsewhere);
        match self.subscriptions[index].showing.set(slot, client, state, room) {
            Ok(()) => self.show_own(index),
            Err(message) => self.send_error(&Problem::bad_request(message), Some(graph), None),
        }
    }

    /// Passes on the waiting states if the pause is over. The next pause grows with their length and the number of
    /// followers.
    pub(super) fn show_own(&mut self, index: usize) {
        let Subscription { showing, followed, .. } = &mut self.subscriptions[index];
        if self.now < showing.not_before || !showing.is_waiting() {
            return;
        }
        let (room, user) = (followed.room(), &self.peer.user);
        let mut bytes = 0;
        for own in &mut showing.slots {
            let Some(state) = own.waiting.take() else { continue };
            bytes += state.len();
            own.is_shown = &*state != NOTHING;
            let (client, slot) = (own.client.clone(), own.slot.clone());
            room.show(self.peer.id, Present { client, user: user.clone(), slot, state });
        }
        showing.slots.retain(|own| own.is_shown);
        let told_bytes = bytes.saturating_mul(room.watchers());
        let pause = time_for(told_bytes, SENDER_BYTES_PER_SECOND).min(SENDER_INTERVAL_MAX);
        showing.not_before = self.now + pause.max(PRESENCE_INTERVAL);
    }

    /// Sends the presence of others, a few at a time.
    pub(super) fn show_presence(&mut self, index: usize) {
        let Subscription { presence, followed, .. } = &self.subscriptions[index];
        let is_due = presence.has_changed && self.now >= presence.not_before;
        if !is_due || self.subscriptions[index].is_joining() || !self.send_queue.has_room() {
            return;
        }
        let followed = followed.clone();
        let (all, changed) = followed.room().since(presence.revision, self.peer.id, PRESENT_AT_ONCE);
        let (mut seen, mut bytes, count) = (all, 0, changed.len());
        for (turn, (revision, shown)) in changed.into_iter().enumerate() {
            let Some(frame) = server_frames::presence(followed.id(), &shown, self.peer.encoding.format)
            else {
                continue;
            };
            bytes += frame.len();
            self.send(frame);
            if !self.send_queue.has_room() && turn + 1 < count {
                seen = revision;
                break;
            }
        }
        let pause = time_for(bytes, FOLLOWER_BYTES_PER_SECOND).max(PRESENCE_INTERVAL);
        let presence = &mut self.subscriptions[index].presence;
        (presence.revision, presence.not_before) = (seen, self.now + pause);
        presence.has_changed = count == PRESENT_AT_ONCE || seen != all;
    }
}

impl OwnPresence {
    /// Bytes of the latest states.
    fn bytes(&self) -> usize {
        self.slots.iter().map(|own| own.bytes).sum()
    }

    fn is_waiting(&self) -> bool {
        self.slots.iter().any(|own| own.waiting.is_some())
    }

    /// Takes the latest state of a slot, if it has room among the others. Otherwise says why not.
    fn set(
        &mut self,
        slot: PresenceSlot,
        client: ClientId,
        state: Arc<str>,
        room: usize,
    ) -> Result<(), String> {
        let bytes = if &*state == NOTHING { 0 } else { state.len() };
        // A connection is one client: the other slots go with the name that it gives up.
        let others =
            self.slots.iter().filter(|own| own.slot != slot && own.client == client && own.bytes > 0);
        let (mut count, mut others_bytes) = (0, 0);
        others.for_each(|own| (count, others_bytes) = (count + 1, others_bytes + own.bytes));
        if bytes > 0 && count >= SLOTS_MAX {
            return Err(format!(
                "slot: a client has at most {SLOTS_MAX} slots. Send null in another one first"
            ));
        }
        if others_bytes + bytes > room {
            return Err(format!(
                "state: the states of one connection have at most {SHOWN_BYTES_MAX} bytes in all graphs"
            ));
        }
        let gives_up = self.slots.iter().any(|own| own.client != client && own.is_shown);
        self.slots.retain(|own| own.client == client || own.slot == slot);
        match self.slots.iter_mut().find(|own| own.slot == slot) {
            Some(own) => {
                own.is_shown |= gives_up;
                (own.client, own.waiting, own.bytes) = (client, Some(state), bytes);
            }
            None => {
                self.slots.push(OwnSlot { slot, client, waiting: Some(state), bytes, is_shown: gives_up });
            }
        }
        // What was never shown need not be cleared; a name that is given up must be.
        self.slots.retain(|own| own.is_shown || own.bytes > 0);
        Ok(())
    }
}

impl Subscription {
    /// When the waiting states of the peer are passed on, if there are any.
    pub(super) fn shows_at(&self) -> Option<Instant> {
        self.showing.is_waiting().then_some(self.showing.not_before)
    }
}

/// How long these bytes take at this rate.
fn time_for(bytes: usize, bytes_per_second: usize) -> Duration {
    Duration::from_millis((bytes as u64).saturating_mul(1_000) / bytes_per_second.max(1) as u64)
}

/// Wakes for changes of presence, once for many in a short time.
pub(super) fn presence(generation: u64, followed: &FollowedGraph) -> BoxStream<'static, Wake> {
    stream::unfold((followed.room().watch(), false), move |(mut watch, was_woken)| async move {
        if was_woken {
            sleep(PRESENCE_INTERVAL).await;
        }
        watch.changed().await.ok()?;
        Some((Wake::Presence { generation }, (watch, true)))
    })
    .boxed()
}
