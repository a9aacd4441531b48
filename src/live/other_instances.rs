//! What other instances do to a followed graph: one task for each, however many follow it here.
//!
//! It takes the store's hints and brings the graph in memory up to date, and it tells other instances who
//! is present here and hears who is there (rule W7). It decides nothing: a hint is only the occasion
//! to look, and heads are compared every so often whether or not there was one.
//!
//! Invariants:
//! - The graph in memory is behind the store for no longer than [`LiveConfig::heads_every`], or until
//!   the store is back.
//! - Presence is told conflated: many changes in a short time are one message.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dao_projections::GraphId;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    pacing::PacingConfig,
    presence::PresenceRoom,
    presence_message::{self, PresenceMessage},
};
use crate::{
    store::{Publication, Publications, StoreError, StoredCommit},
    write::Graphs,
};

/// Between two messages about presence: at most thirty a second (rule W7).
const TELL_EVERY: Duration = Duration::from_millis(34);
/// Between two messages about who follows the graph, for each 500 who do.
const FOLLOWERS_EVERY: Duration = Duration::from_millis(500);
/// How long after a failure the store is asked again; doubled each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How instances keep up with each other, and followers with a busy graph.
#[derive(Clone, Copy, Debug)]
pub struct LiveConfig {
    /// How often the head of a followed graph is compared with the store's, unasked.
    pub heads_every: Duration,
    /// How often an instance shows all of its clients' presence again.
    pub presence_every: Duration,
    /// After how long without that a client is taken to be gone.
    pub presence_expiry: Duration,
    /// From which rate on several commits are sent together.
    pub pacing: PacingConfig,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            heads_every: Duration::from_secs(30),
            presence_every: Duration::from_secs(20),
            presence_expiry: Duration::from_secs(60),
            pacing: PacingConfig::default(),
        }
    }
}

/// The task of one followed graph.
pub(super) struct OtherInstancesTask {
    id: GraphId,
    graphs: Arc<Graphs>,
    room: Arc<PresenceRoom>,
    config: LiveConfig,
    /// Who this is to other instances. Another one each time the graph is followed again, so that a
    /// late goodbye takes nobody away who came after it.
    instance: Uuid,
    compare_at: Instant,
    retry_after: Duration,
    /// Whether something may have changed here since others were told.
    may_tell: bool,
    /// Whether anybody here was ever shown to others.
    has_shown: bool,
    /// Not before this.
    tell_at: Instant,
    /// The room's revision up to which others were told.
    told: u64,
    /// Whether everything is to be told, not only what changed.
    tell_all: bool,
    tell_all_at: Instant,
    /// Whether others are to be told who follows the graph here, and not before when.
    tell_followers: bool,
    tell_followers_at: Instant,
    /// Whether others are to be asked who is there.
    ask: bool,
    asked_at: Option<Instant>,
    sweep_at: Instant,
}

impl OtherInstancesTask {
    pub(super) fn new(id: GraphId, graphs: Arc<Graphs>, room: Arc<PresenceRoom>, config: LiveConfig) -> Self {
        let now = Instant::now();
        Self {
            id,
            graphs,
            room,
            config,
            instance: Uuid::now_v7(),
            compare_at: now + config.heads_every,
            retry_after: RETRY_AFTER,
            may_tell: true,
            has_shown: false,
            tell_at: now,
            told: 0,
            tell_all: false,
            tell_all_at: now + config.presence_every,
            tell_followers: false,
            tell_followers_at: now,
            ask: false,
            asked_at: None,
            sweep_at: now + config.presence_expiry,
        }
    }

    /// Works until nobody here follows the graph any more.
    pub(super) async fn run(mut self, mut hints: Publications, ended: CancellationToken) {
        let mut room = self.room.watch();
        let followers = self.room.clone();
        loop {
            // All are cancel-safe: hints and changes that are not taken stay where they are.
            // In this order: hints that never end hold up neither timers nor presence, and the same
            // happenings are served in the same order each time.
            let work = tokio::select! {
                biased;
                () = ended.cancelled() => break,
                () = sleep_until(self.next_timer()) => Wakeup::Tick,
                Ok(()) = room.changed() => {
                    self.may_tell = true;
                    continue;
                }
                () = followers.followers_changed() => {
                    self.tell_followers = true;
                    continue;
                }
                hint = hints.next() => Wakeup::Commits(self.take(hint, &mut hints)),
            };
            // It may take as long as the store does, and nothing depends on its end.
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                () = self.work(work) => {}
            }
        }
        if self.has_shown
            && let Err(error) = self.broadcast(presence_message::gone(self.instance)).await
        {
            tracing::debug!(graph = %self.id, %error, "others were not told that nobody is here any more");
        }
    }

    fn next_timer(&self) -> Instant {
        let mut next = self.compare_at.min(self.tell_all_at).min(self.sweep_at);
        if self.tell_followers {
            next = next.min(self.tell_followers_at.max(self.tell_at));
        }
        if self.has_to_tell() { next.min(self.tell_at) } else { next }
    }

    fn has_to_tell(&self) -> bool {
        let is_due = self.tell_followers && self.tell_followers_at <= Instant::now();
        self.may_tell || self.tell_all || self.ask || is_due
    }

    /// Takes in a hint and all that wait behind it; what they say of commits is left to do.
    fn take(&mut self, first: Publication, hints: &mut Publications) -> RemoteCommits {
        let mut news = RemoteCommits { commits: vec![], may_be_behind: false };
        let mut next = Some(first);
        while let Some(hint) = next {
            match hint {
                Publication::Commits(commits) => news.commits.extend(commits),
                Publication::Head(_) => news.may_be_behind = true,
                Publication::Message(message) => self.receive(&message),
                Publication::MayHaveMissed => {
                    news.may_be_behind = true;
                    self.ask |= self.asked_at.is_none_or(|at| at.elapsed() >= self.config.presence_every);
                }
            }
            next = hints.try_next();
        }
        news
    }

    async fn work(&mut self, work: Wakeup) {
        match work {
            Wakeup::Commits(news) => self.apply(news).await,
            Wakeup::Tick => self.tick().await,
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if now >= self.compare_at {
            self.apply(RemoteCommits { commits: vec![], may_be_behind: true }).await;
        }
        if now >= self.sweep_at {
            let expiry = self.config.presence_expiry;
            let oldest = now.checked_sub(expiry).and_then(|before| self.room.expire(before));
            self.sweep_at = oldest.unwrap_or(now) + expiry + Duration::from_millis(1);
        }
        if now >= self.tell_all_at {
            (self.tell_all, self.tell_all_at) = (true, now + self.config.presence_every);
        }
        if self.has_to_tell() && now >= self.tell_at {
            let told = self.tell().await;
            let pause = if told.is_ok() { TELL_EVERY } else { RETRY_AFTER };
            self.tell_at = Instant::now() + pause;
            if let Err(error) = told {
                tracing::debug!(graph = %self.id, %error, "others were not told who is present");
            }
        }
    }

    /// Brings the graph in memory up to date with what other instances did. A failure is tried again soon.
    async fn apply(&mut self, RemoteCommits { commits, may_be_behind }: RemoteCommits) {
        let result = match may_be_behind {
            true => self.graphs.refresh(&self.id).await.map(drop),
            false if commits.is_empty() => return,
            false => self.graphs.apply_remote_commits(&self.id, commits).await,
        };
        let now = Instant::now();
        match result {
            Ok(()) if may_be_behind => {
                (self.compare_at, self.retry_after) = (now + self.config.heads_every, RETRY_AFTER);
            }
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(graph = %self.id, %error, "a followed graph may be behind");
                self.compare_at = self.compare_at.min(now + self.retry_after).max(now + RETRY_AFTER);
                self.retry_after = (self.retry_after * 2).min(self.config.heads_every);
            }
        }
    }

    /// What another instance says about who is present.
    fn receive(&mut self, message: &[u8]) {
        match presence_message::decode(message) {
            Some((_, PresenceMessage::Ask)) => self.tell_all = true,
            Some((instance, PresenceMessage::Shows(shown))) => {
                self.room.show_remote(instance, shown, Instant::now())
            }
            Some((instance, PresenceMessage::Follow { is_first, followers })) => {
                self.room.followers_elsewhere(instance, is_first, followers, Instant::now());
            }
            Some((instance, PresenceMessage::Gone)) => self.room.forget(instance),
            None => {
                tracing::debug!(graph = %self.id, bytes = message.len(), "a broadcast is not understood");
            }
        }
    }

    /// Tells other instances what changed here since they were told, and what they asked for.
    async fn tell(&mut self) -> Result<(), StoreError> {
        if self.ask {
            self.broadcast(presence_message::ask(self.instance)).await?;
            (self.ask, self.asked_at) = (false, Some(Instant::now()));
        }
        let (revision, mut shown) = self.room.shown_here(self.told);
        if self.tell_all {
            shown.retain(|(_, present)| present.is_gone());
            shown.extend(self.room.shown_here(0).1);
        }
        if self.tell_all || (self.tell_followers && self.tell_followers_at <= Instant::now()) {
            self.tell_who_follows().await?;
        }
        for message in presence_message::shows(self.instance, shown) {
            self.has_shown = true;
            self.broadcast(message).await?;
        }
        (self.told, self.tell_all, self.may_tell) = (revision, false, false);
        Ok(())
    }

    /// All of them at once: the more there are, the less often.
    async fn tell_who_follows(&mut self) -> Result<(), StoreError> {
        let followers = self.room.followers_here();
        if !followers.is_empty() || self.has_shown {
            for message in presence_message::follow(self.instance, &followers) {
                self.has_shown = true;
                self.broadcast(message).await?;
            }
        }
        let pause = FOLLOWERS_EVERY * (1 + u32::try_from(followers.len() / 500).unwrap_or(u32::MAX - 1));
        (self.tell_followers, self.tell_followers_at) = (false, Instant::now() + pause);
        Ok(())
    }

    async fn broadcast(&self, message: Bytes) -> Result<(), StoreError> {
        self.graphs.store().broadcast(&self.id, message).await
    }
}

/// What is to be done next.
enum Wakeup {
    Commits(RemoteCommits),
    Tick,
}

/// What hints say of commits.
struct RemoteCommits {
    commits: Vec<StoredCommit>,
    may_be_behind: bool,
}
