//! Who follows a graph, whether or not they show anything: for those who ask who is there (rule L14).
//!
//! Instances tell each other of their followers when they change, though not often, and when asked; all of them at once. So
//! what is known of others is up to a minute old. No follower is woken when it changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dao_projections::{ClientId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::presence_update::PresenceUpdate;

/// Followers of other instances that are remembered for one graph; more are not shown.
const ELSEWHERE_MAX: usize = 20_000;

/// One who follows a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// Through which client.
    pub client: ClientId,
    /// Who.
    pub user: UserId,
    /// Since when.
    pub since: Timestamp,
}

/// One who is there: who follows the graph, or shows something in it.
#[derive(Clone, Debug)]
pub struct PresentClient {
    /// Through which client.
    pub client: ClientId,
    /// Who.
    pub user: UserId,
    /// Since when it follows the graph; `None` where only what it shows is known.
    pub since: Option<Timestamp>,
    /// What it shows, slot by slot.
    pub shown: Vec<Arc<PresenceUpdate>>,
}

/// The followers of one graph, by connection.
#[derive(Default)]
pub(super) struct Followers {
    here: BTreeMap<Uuid, Follower>,
    elsewhere: BTreeMap<Uuid, Elsewhere>,
}

struct Elsewhere {
    follower: Follower,
    instance: Uuid,
    heard_at: Instant,
}

impl Followers {
    /// Who follows it already does so since then.
    pub(super) fn join(&mut self, connection: Uuid, follower: Follower) {
        let known = self.here.entry(connection).or_insert_with(|| follower.clone());
        *known = Follower { since: known.since, ..follower };
    }

    pub(super) fn leave(&mut self, connection: Uuid) {
        self.here.remove(&connection);
    }

    pub(super) fn here(&self) -> Vec<(Uuid, Follower)> {
        self.here.iter().map(|(connection, follower)| (*connection, follower.clone())).collect()
    }

    pub(super) fn elsewhere(
        &mut self,
        instance: Uuid,
        is_first: bool,
        followers: Vec<(Uuid, Follower)>,
        now: Instant,
    ) {
        if is_first {
            self.forget(instance);
        }
        for (connection, follower) in followers {
            if self.elsewhere.len() >= ELSEWHERE_MAX {
                return;
            }
            self.elsewhere.insert(connection, Elsewhere { follower, instance, heard_at: now });
        }
    }

    pub(super) fn forget(&mut self, instance: Uuid) {
        self.elsewhere.retain(|_, found| found.instance != instance);
    }

    pub(super) fn expire(&mut self, heard_before: Instant) {
        self.elsewhere.retain(|_, found| found.heard_at >= heard_before);
    }
}

/// All who are there, those who follow it for longest first.
pub(super) fn clients(followers: &Followers, shown: &[(Uuid, Arc<PresenceUpdate>)]) -> Vec<PresentClient> {
    let elsewhere = followers.elsewhere.iter().map(|(connection, found)| (connection, &found.follower));
    let mut clients: HashMap<Uuid, PresentClient> = HashMap::new();
    for (connection, Follower { client, user, since }) in followers.here.iter().chain(elsewhere) {
        let (client, user) = (client.clone(), user.clone());
        clients.insert(*connection, PresentClient { client, user, since: Some(*since), shown: vec![] });
    }
    for (connection, update) in shown {
        let present = &update.present;
        let found = clients.entry(*connection).or_insert_with(|| PresentClient {
            client: present.client.clone(),
            user: present.user.clone(),
            since: None,
            shown: vec![],
        });
        // A connection is the client under whose name it shows something.
        found.client = present.client.clone();
        found.shown.push(update.clone());
    }
    let mut all: Vec<(Uuid, PresentClient)> = clients.into_iter().collect();
    all.sort_by_key(|(connection, client)| (client.since.unwrap_or(Timestamp(u64::MAX)), *connection));
    all.into_iter().map(|(_, client)| client).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn follower(client: &str, since: u64) -> Follower {
        let (client, user) = (client.parse().expect("a client"), "ada".parse().expect("a user"));
        Follower { client, user, since: Timestamp(since) }
    }

    #[tokio::test]
    async fn l14_what_another_instance_tells_replaces_what_it_told_before() {
        let id = Uuid::from_u128;
        let (now, mut all) = (Instant::now(), Followers::default());
        all.join(id(1), follower("here", 5));
        all.join(id(1), follower("here", 9));
        all.elsewhere(id(70), true, vec![(id(2), follower("a", 1)), (id(3), follower("b", 2))], now);
        all.elsewhere(id(71), true, vec![(id(4), follower("c", 3))], now);
        let names = |all: &Followers| {
            clients(all, &[]).iter().map(|found| (found.client.to_string(), found.since)).collect::<Vec<_>>()
        };
        let at = |client: &str, since| (client.to_owned(), Some(Timestamp(since)));
        assert_eq!(names(&all), [at("a", 1), at("b", 2), at("c", 3), at("here", 5)]);
        all.elsewhere(id(70), true, vec![(id(3), follower("b", 2))], now);
        all.elsewhere(id(70), false, vec![(id(5), follower("d", 4))], now);
        assert_eq!(names(&all), [at("b", 2), at("c", 3), at("d", 4), at("here", 5)]);
        all.forget(id(71));
        all.expire(now + Duration::from_secs(1));
        all.leave(id(9));
        assert_eq!(names(&all), [at("here", 5)]);
    }
}
