//! Presence on one connection: passes on the peer's own state and sends it the state of others, both rate-limited (rule
//! W7). Not here: who is present ([`crate::live::Room`]).

use std::{sync::Arc, time::Duration};

use dao_projections::{ClientId, GraphId};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep};

use super::{connection::Connection, server_frames, subscription::Subscription, subscriptions::Wake};
use crate::{
    http::problem::Problem,
    live::{FollowedGraph, Present},
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
/// Bytes of the states of one connection in all graphs.
const SHOWN_BYTES_MAX: usize = 64 << 10;

impl Connection {
    /// Passes on the peer's state, at once or after its pause. Of several states only the latest is passed on.
    pub(super) fn show(&mut self, graph: &GraphId, client: Option<ClientId>, state: Arc<str>) {
        let client = client.unwrap_or_else(|| self.peer.client.clone());
        let Some(index) = self.subscriptions.iter().position(|s| s.graph == *graph) else {
            let problem =
                Problem::bad_request("graphId: not subscribed to this graph. Send SUBSCRIBE before PRESENCE");
            return self.send_error(&problem, Some(graph), None);
        };
        let others = self.subscriptions.iter().enumerate().filter(|(other, _)| *other != index);
        let elsewhere: usize = others.map(|(_, subscription)| subscription.showing.bytes).sum();
        if elsewhere + state.len() > SHOWN_BYTES_MAX {
            let message = format!(
                "state: the states of one connection have at most {SHOWN_BYTES_MAX} bytes in all graphs"
            );
            return self.send_error(&Problem::bad_request(message), Some(graph), None);
        }
        let showing = &mut self.subscriptions[index].showing;
        showing.bytes = state.len();
        showing.waiting = Some((client, state));
        self.show_own(index);
    }

    /// Passes on the waiting state if the pause is over. The next pause grows with the state's length and the number of
    /// followers.
    pub(super) fn show_own(&mut self, index: usize) {
        let Subscription { showing, followed, .. } = &mut self.subscriptions[index];
        if self.now < showing.not_before {
            return;
        }
        let Some((client, state)) = showing.waiting.take() else { return };
        let room = followed.room();
        let told_bytes = state.len().saturating_mul(room.watchers());
        let pause = time_for(told_bytes, SENDER_BYTES_PER_SECOND).min(SENDER_INTERVAL_MAX);
        showing.not_before = self.now + pause.max(PRESENCE_INTERVAL);
        room.show(self.peer.id, Present { client, user: self.peer.user.clone(), state });
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

impl Subscription {
    /// When the waiting state of the peer is passed on, if there is one.
    pub(super) fn shows_at(&self) -> Option<Instant> {
        self.showing.waiting.as_ref().map(|_| self.showing.not_before)
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
