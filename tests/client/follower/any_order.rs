//! Any order of commits, cuts, repeats, lost frames, busy answers, snapshots and replaced histories:
//! what the application ends up with is exactly the log, and every operation ended once.

use std::collections::{BTreeMap, VecDeque};

use dao_api::client::{Aim, Ending, Follower, ServerFrame, Step};
use dao_projections::Head;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::frames::{
    as_update, commit_by, graph, head, operation, operation_id, page, settled, snapshot, sync,
};

/// What happens next. The numbers choose, by remainder, among what there is.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Others commit.
    Others(u8),
    /// The user does something.
    Submit,
    /// So many frames reach the server.
    ServerTakes(u8),
    /// So many frames, or an answer to a fetch, reach the client.
    ClientTakes(u8),
    /// The connection is lost with all that is in flight.
    Cut,
    /// A commit comes twice.
    Repeat(u8),
    /// A commit gets lost.
    Lose(u8),
    /// The server comes to prefer snapshots, or ceases to.
    PreferSnapshots(bool),
    /// The log loses everything after this, and goes on as another history.
    Rollback(u8),
}

fn happenings(with_rollbacks: bool) -> impl Strategy<Value = Vec<Happening>> {
    let rollback = if with_rollbacks { 2 } else { 0 };
    let one = prop_oneof![
        6 => (1..4u8).prop_map(Happening::Others),
        4 => Just(Happening::Submit),
        8 => (1..6u8).prop_map(Happening::ServerTakes),
        10 => (1..8u8).prop_map(Happening::ClientTakes),
        2 => Just(Happening::Cut),
        3 => any::<u8>().prop_map(Happening::Repeat),
        1 => any::<u8>().prop_map(Happening::Lose),
        2 => any::<bool>().prop_map(Happening::PreferSnapshots),
        rollback => any::<u8>().prop_map(Happening::Rollback),
    ];
    vec(one, 0..80)
}

/// How an operation ended at the server.
#[derive(Clone, Copy)]
enum Outcome {
    Accepted(u64),
    Refused,
}

/// One client, one server, and what is on its way between them.
struct World {
    follower: Follower,
    is_connected: bool,
    to_server: VecDeque<String>,
    to_client: VecDeque<Value>,
    to_fetch: Option<u64>,
    /// What the application has: the commits that its state is made of.
    applied: Vec<Value>,
    jumps: usize,
    ended: BTreeMap<u128, usize>,
    submitted: u128,

    log: Vec<Value>,
    history: String,
    outcomes: BTreeMap<u128, Outcome>,
    was_busy: Vec<u128>,
    is_subscribed: bool,
    prefers_snapshots: bool,
}

impl World {
    fn new(aim: Aim) -> Self {
        Self {
            follower: Follower::new(graph(), aim, Some(Head::EMPTY.into())),
            is_connected: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            to_fetch: None,
            applied: vec![],
            jumps: 0,
            ended: BTreeMap::new(),
            submitted: 0,
            log: vec![],
            history: "history 0".to_owned(),
            outcomes: BTreeMap::new(),
            was_busy: vec![],
            is_subscribed: false,
            prefers_snapshots: false,
        }
    }

    fn happen(&mut self, happening: Happening) {
        if !self.is_connected {
            self.connect();
        }
        match happening {
            Happening::Others(n) => (0..n).for_each(|_| self.commit(1_000_000 + self.log.len() as u128)),
            Happening::Submit => {
                self.submitted += 1;
                let steps = self.follower.submit(operation(self.submitted));
                self.perform(steps);
            }
            Happening::ServerTakes(n) => (0..n).for_each(|_| self.server_takes()),
            Happening::ClientTakes(n) => (0..n).for_each(|_| self.client_takes()),
            Happening::Cut => self.cut(),
            Happening::Repeat(choice) => self.repeat(choice),
            Happening::Lose(choice) => {
                let updates = self.updates_in_flight();
                if !updates.is_empty() {
                    self.to_client.remove(updates[usize::from(choice) % updates.len()]);
                }
            }
            Happening::PreferSnapshots(prefers) => self.prefers_snapshots = prefers,
            Happening::Rollback(choice) => self.rollback(usize::from(choice)),
        }
    }

    fn connect(&mut self) {
        self.is_connected = true;
        let subscribe = self.follower.connected();
        self.to_server.push_back(subscribe);
    }

    fn cut(&mut self) {
        self.follower.disconnected();
        (self.is_connected, self.is_subscribed, self.to_fetch) = (false, false, None);
        self.to_server.clear();
        self.to_client.clear();
    }

    fn updates_in_flight(&self) -> Vec<usize> {
        (0..self.to_client.len()).filter(|&at| self.to_client[at]["type"] == "STATE_UPDATE").collect()
    }

    /// Repeats a commit behind itself, within its subscription.
    fn repeat(&mut self, choice: u8) {
        let updates = self.updates_in_flight();
        if updates.is_empty() {
            return;
        }
        let at = updates[usize::from(choice) % updates.len()];
        let end = (at..self.to_client.len()).find(|&later| self.to_client[later]["type"] == "SYNC");
        let room = end.unwrap_or(self.to_client.len()) - at;
        let copy = self.to_client[at].clone();
        self.to_client.insert(at + 1 + usize::from(choice) % room, copy);
    }

    // The server.

    fn head(&self) -> Head {
        head_of(&self.log)
    }

    fn commit(&mut self, operation: u128) {
        let commit = commit_by(self.log.len() as u64 + 1, &self.history, operation);
        self.log.push(commit);
        if self.is_subscribed {
            self.to_client.push_back(as_update(&self.log[self.log.len() - 1]));
        }
    }

    fn rollback(&mut self, choice: usize) {
        let kept = choice % (self.log.len() + 1);
        self.log.truncate(kept);
        self.history = format!("history {choice} of {}", self.history);
        // Operations whose record went with the tail were never heard of.
        self.outcomes.retain(|_, outcome| matches!(outcome, Outcome::Accepted(at) if *at <= kept as u64));
        self.commit_unseen();
        if self.is_subscribed {
            self.to_client.push_back(self.snapshot());
        }
    }

    /// Another history has another commit at least.
    fn commit_unseen(&mut self) {
        let was_subscribed = std::mem::replace(&mut self.is_subscribed, false);
        self.commit(2_000_000 + self.log.len() as u128);
        self.is_subscribed = was_subscribed;
    }

    fn snapshot(&self) -> Value {
        let mut frame = snapshot(self.head());
        frame["state"] = json!(self.log);
        frame
    }

    fn server_takes(&mut self) {
        let Some(text) = self.to_server.pop_front() else { return };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["type"] == "SUBSCRIBE" {
            return self.subscribe(&frame);
        }
        let shown = frame["operationId"].as_str().unwrap();
        let id: u128 = shown.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(text, operation(id).frame, "the same bytes every time");
        let answer = |kind: &str| json!({"type": kind, "graphId": "g", "operationId": operation_id(id)});
        if id.is_multiple_of(5) && !self.was_busy.contains(&id) {
            self.was_busy.push(id);
            let mut revert = answer("REVERT");
            revert["code"] = "OVERLOADED".into();
            revert["message"] = "later".into();
            revert["temporary"] = true.into();
            return self.to_client.push_back(revert);
        }
        if !self.outcomes.contains_key(&id) {
            let outcome = match id % 3 {
                0 => Outcome::Refused,
                1 => Outcome::Accepted(self.log.len() as u64), // it changes nothing
                _ => {
                    self.commit(id);
                    Outcome::Accepted(self.log.len() as u64)
                }
            };
            self.outcomes.insert(id, outcome);
        }
        self.to_client.push_back(match self.outcomes[&id] {
            Outcome::Accepted(version) => {
                let mut ack = answer("ACK");
                ack["version"] = version.into();
                ack
            }
            Outcome::Refused => {
                let mut revert = answer("REVERT");
                revert["code"] = "NODE_NOT_FOUND".into();
                revert["message"] = "no".into();
                revert["temporary"] = false.into();
                revert
            }
        });
    }

    fn subscribe(&mut self, frame: &Value) {
        let at = frame["version"].as_u64().unwrap() as usize;
        let is_ours = at <= self.log.len() && frame["hash"] == json!(head_of(&self.log[..at]).hash);
        let mut answer = match is_ours {
            true if at == self.log.len() => sync("in_sync", self.head()),
            true if !self.prefers_snapshots => sync("replay", self.head()),
            _ => self.snapshot(),
        };
        let asked = frame["pending"].as_array().cloned().unwrap_or_default();
        let ids = asked.iter().map(|id| id.as_str().unwrap().parse::<uuid::Uuid>().unwrap().as_u128());
        let ends = ids.map(|id| match self.outcomes.get(&id) {
            None => settled(id, "unknown", None),
            Some(Outcome::Accepted(version)) => settled(id, "completed", Some(*version)),
            Some(Outcome::Refused) => settled(id, "failed", None),
        });
        answer["settled"] = ends.collect();
        let is_replay = answer["status"] == "replay";
        self.to_client.push_back(answer);
        if is_replay {
            self.to_client.extend(self.log[at..].iter().map(as_update));
        }
        self.is_subscribed = true;
    }

    // The client.

    fn client_takes(&mut self) {
        if let Some(after) = self.to_fetch.take() {
            let at = self.follower.point().unwrap();
            assert_eq!(at.version.get(), after);
            let after = after as usize;
            let is_ours = after <= self.log.len()
                && at.hash == Some(head_of(&self.log[..after.min(self.log.len())]).hash);
            let some: &[Value] = if is_ours { &self.log[after..self.log.len().min(after + 2)] } else { &[] };
            let has_more = is_ours && after + some.len() < self.log.len();
            let page = page(some, self.head(), has_more, !is_ours);
            let steps = self.follower.fetched(page);
            return self.perform(steps);
        }
        if let Some(frame) = self.to_client.pop_front() {
            let steps = self.follower.take(ServerFrame::read(&frame.to_string()).unwrap());
            self.perform(steps);
        }
    }

    fn perform(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Apply(received) => {
                    let version = received.commit.version.get();
                    assert_eq!(version, self.applied.len() as u64 + 1, "in order, without a gap or a repeat");
                    self.applied.push(serde_json::from_str(&received.json).unwrap());
                }
                Step::Replace(snapshot) => {
                    self.jumps += 1;
                    self.applied = serde_json::from_str(snapshot.state.get()).unwrap();
                }
                Step::Settle(id, ending) => {
                    *self.ended.entry(id.as_uuid().as_u128()).or_default() += 1;
                    if let Ending::Completed(version) = ending {
                        assert!(version.get() <= self.applied.len() as u64, "its effect is there");
                    }
                }
                Step::Send { frame, .. } => self.to_server.push_back(frame),
                Step::Fetch(after) => self.to_fetch = Some(after.version.get()),
                Step::Reconnect(_) => return self.cut(),
                Step::Synced(_) | Step::Show(_) | Step::Warn(_) => {}
                Step::SubscribeAgain { .. } | Step::GiveUp(_) => {
                    panic!("this server is never away: {step:?}")
                }
            }
            assert_eq!(self.follower.graph(), &graph());
        }
    }

    /// Nothing goes wrong from now on, and one more commit shows that something was lost before.
    fn settle_down(&mut self) {
        self.commit(3_000_000);
        for _ in 0..1_000 {
            self.happen(Happening::ServerTakes(5));
            self.happen(Happening::ClientTakes(5));
            let is_quiet = self.to_server.is_empty() && self.to_client.is_empty() && self.to_fetch.is_none();
            if is_quiet && self.is_connected {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.follower);
    }

    fn check(&mut self) {
        self.settle_down();
        assert_eq!(self.applied, self.log);
        assert_eq!(self.follower.point(), Some(self.head().into()));
        assert_eq!(self.follower.pending().count(), 0);
        let once: BTreeMap<u128, usize> = (1..=self.submitted).map(|id| (id, 1)).collect();
        assert_eq!(self.ended, once, "every operation ended once");
    }
}

fn head_of(log: &[Value]) -> Head {
    match log.last() {
        None => Head::EMPTY,
        Some(last) => {
            let head = head(last["version"].as_u64().unwrap(), last["userId"].as_str().unwrap());
            assert_eq!(json!(head.hash), last["hash"]);
            head
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn w4_who_wants_every_commit_gets_exactly_the_log(happenings in happenings(false)) {
        let mut world = World::new(Aim::Commits);
        happenings.iter().for_each(|happening| world.happen(*happening));
        world.check();
        prop_assert_eq!(world.jumps, 0, "nothing was skipped");
    }

    #[test]
    fn w2_who_wants_the_state_gets_what_the_log_adds_up_to(happenings in happenings(true)) {
        let mut world = World::new(Aim::State);
        happenings.iter().for_each(|happening| world.happen(*happening));
        world.check();
    }

    #[test]
    fn v4_who_wants_every_commit_jumps_when_history_is_replaced(happenings in happenings(true)) {
        let mut world = World::new(Aim::Commits);
        happenings.iter().for_each(|happening| world.happen(*happening));
        world.check();
        let is_replaced = happenings.iter().any(|happening| matches!(happening, Happening::Rollback(_)));
        prop_assert!(is_replaced || world.jumps == 0);
    }
}
