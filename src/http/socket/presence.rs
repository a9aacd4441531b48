//! Presence on one connection: what its peer shows of itself, and what it is told of others, each as often as it may
//! be (rule W7). Not here: who is present ([`crate::live::Room`]).

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
    live::{Followed, Present},
};

/// Presence goes out at most this often (rule W7).
const PRESENCE_INTERVAL: Duration = Duration::from_millis(34);
/// Clients whose presence is told at once; of more, the rest comes soon after.
const PRESENT_AT_ONCE: usize = 32;
/// Bytes of presence that one follower is sent in a second, about; the latest still wins and arrives.
const FOLLOWER_BYTES_PER_SECOND: usize = 512 << 10;
/// Bytes of presence that one sender may cause in a second, about: its state once for each follower.
const SENDER_BYTES_PER_SECOND: usize = 4 << 20;
/// However many follow, a sender's latest state is passed on this often.
const SENDER_INTERVAL_MAX: Duration = Duration::from_secs(5);
/// Bytes of all states that one connection shows at the same time, in all graphs.
const SHOWN_BYTES_MAX: usize = 64 << 10;

impl Connection {
    /// The peer shows this of itself: at once, or as soon as what it showed before is long enough ago. Of several
    /// only the latest is shown.
    pub(super) fn show(&mut self, graph: &GraphId, client: Option<ClientId>, state: Arc<str>) {
        let client = client.unwrap_or_else(|| self.peer.client.clone());
        let Some(index) = self.subscriptions.iter().position(|s| s.graph == *graph) else {
            let problem = Problem::bad_request("graphId: subscribe to the graph before being present");
            return self.send_error(&problem, Some(graph), None);
        };
        let others = self.subscriptions.iter().enumerate().filter(|(other, _)| *other != index);
        let elsewhere: usize = others.map(|(_, subscription)| subscription.showing.bytes).sum();
        if elsewhere + state.len() > SHOWN_BYTES_MAX {
            let message =
                format!("state: one connection shows at most {SHOWN_BYTES_MAX} bytes in all graphs");
            return self.send_error(&Problem::bad_request(message), Some(graph), None);
        }
        let showing = &mut self.subscriptions[index].showing;
        showing.bytes = state.len();
        showing.waiting = Some((client, state));
        self.show_own(index);
    }

    /// Shows what waits to be shown, if it is time: the more are told and the longer it is, the longer is the
    /// pause after it.
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

    /// Tells what others show, a few of them at a time.
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
    /// When what its peer shows of itself is passed on, if something waits for that.
    pub(super) fn shows_at(&self) -> Option<Instant> {
        self.showing.waiting.as_ref().map(|_| self.showing.not_before)
    }
}

/// How long so many bytes take.
fn time_for(bytes: usize, bytes_per_second: usize) -> Duration {
    Duration::from_millis((bytes as u64).saturating_mul(1_000) / bytes_per_second.max(1) as u64)
}

/// Wakes for changes of presence in the room, for many in a short time once.
pub(super) fn presence(generation: u64, followed: &Followed) -> BoxStream<'static, Wake> {
    stream::unfold((followed.room().watch(), false), move |(mut watch, was_woken)| async move {
        if was_woken {
            sleep(PRESENCE_INTERVAL).await;
        }
        watch.changed().await.ok()?;
        Some((Wake::Presence { generation }, (watch, true)))
    })
    .boxed()
}
