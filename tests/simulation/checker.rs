//! Reads what happened and what the log holds, and says what does not fit. It knows nothing of how
//! the server works: only the rules V, C and G, and the model for the rules D.

mod judgements;

use std::collections::BTreeMap;

use dao_api::{
    domain::{OperationRecord, Reason, RecordedOutcome},
    write::{Ending, Reply},
};
use dao_projections::{CommitBody, Hash, Head, OperationId, Timestamp};
use serde_json::Value;

use crate::{
    client::Ask,
    compare::{head_of, is_final, is_this_refusal},
    conflict::Past,
    durable::Shared,
    happening::{Happening, Look},
    model::{Graph, History},
    world::World,
};

/// How often what was seen: a simulation that never gets somewhere proves nothing about it.
pub type Tally = BTreeMap<String, u64>;

/// Checks all that a world went through; the first thing that is wrong.
pub fn check(world: &World) -> Result<Tally, String> {
    let shared = world.shared.lock().unwrap();
    if let Some(misuse) = shared.misuse.first() {
        return Err(misuse.clone());
    }
    let mut tally = Tally::new();
    for happening in world.happened.lock().unwrap().iter() {
        if let Happening::Remark(what, _) = happening {
            count(&mut tally, what);
        }
    }
    if !world.plan.is_whole() {
        check_replaced(world, &shared, &mut tally)?;
        drop(shared);
        check_followed(world, &mut tally)?;
        return Ok(tally);
    }
    check_replaced(world, &shared, &mut tally)?;
    for (index, id) in world.plan.graphs.iter().enumerate() {
        let nothing = crate::durable::Log::default();
        let log = shared.graphs.get(id).unwrap_or(&nothing);
        let checker = Checker::new(world, index, log)?;
        checker.check_looks()?;
        checker.check_requests(&mut tally)?;
        for operation in checker.operations.values() {
            checker
                .check_operation(operation, &mut tally)
                .map_err(|problem| format!("{problem}\n  operation {:?}", operation.asks))?;
        }
        checker.check_every_commit_has_an_author()?;
        checker.check_refusals(log, &mut tally)?;
    }
    Ok(tally)
}

/// Rule D8, also where histories come and go: who is told that the history was replaced named a point that
/// the history of the head it is told of does not have.
fn check_replaced(world: &World, shared: &Shared, tally: &mut Tally) -> Result<(), String> {
    let asks = world.asks.lock().unwrap();
    let mut requests: BTreeMap<usize, &[usize]> = BTreeMap::new();
    let happened = world.happened.lock().unwrap();
    for happening in happened.iter() {
        match happening {
            Happening::Sent { request, asks, .. } => drop(requests.insert(*request, asks)),
            Happening::Answered { request, answers } => {
                for (ask, answer) in requests[request].iter().map(|index| &asks[*index]).zip(answers) {
                    let Ending::Refused { refusal, head } = &answer.ending else { continue };
                    if refusal.reason != Reason::HistoryReplaced {
                        continue;
                    }
                    let log = shared.graphs.get(&world.plan.graphs[ask.graph]);
                    if log.is_some_and(|log| log.leads_through(*head, &ask.points())) {
                        return Err(format!("{} is told of another history, and it is its own", ask.id));
                    }
                    count(tally, "told that the history was replaced");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where a history may be another one tomorrow, answers are not final: but there is one.
fn check_followed(world: &World, tally: &mut Tally) -> Result<(), String> {
    for happening in world.happened.lock().unwrap().iter() {
        if let Happening::Hung { request } = happening {
            return Err(format!("request {request} was never answered"));
        }
    }
    count(tally, if world.plan.has_upheavals { "worlds with upheavals" } else { "worlds with a past" });
    Ok(())
}

/// All that has to do with one operation id, by fingerprint: two of those are two operations.
#[derive(Default)]
struct Seen {
    asks: Vec<Ask>,
    /// Moments at which it was sent, and answered.
    sent: Vec<usize>,
    answers: Vec<(usize, Reply)>,
}

struct Checker<'a> {
    world: &'a World,
    graph: usize,
    history: History,
    heads: Vec<Head>,
    times: Vec<Timestamp>,
    bodies: Vec<CommitBody>,
    records: BTreeMap<OperationId, OperationRecord>,
    operations: BTreeMap<(OperationId, [u8; 8]), Seen>,
}

impl<'a> Checker<'a> {
    /// Reads the log: versions gapless, chain intact, timestamps never less (V1, V3, V5), G4 after
    /// every commit.
    fn new(world: &'a World, graph: usize, log: &crate::durable::Log) -> Result<Self, String> {
        let hashes = vec![Head::EMPTY.hash.to_hex()];
        let mut history = History { commits: vec![], graphs: vec![Graph::empty()], hashes };
        let (mut heads, mut times, mut bodies) = (vec![Head::EMPTY], vec![Timestamp(0)], vec![]);
        for (index, stored) in log.commits.iter().enumerate() {
            let version = index as u64 + 1;
            let head = heads[index].after(&stored.body);
            let body =
                CommitBody::decode(&stored.body).map_err(|error| format!("commit {version}: {error}"))?;
            if stored.version.get() != version || stored.head() != head || body.timestamp < times[index] {
                return Err(format!("commit {version} is out of order, of chain or of time"));
            }
            let events: Vec<Value> = body.events.iter().map(|e| serde_json::to_value(e).unwrap()).collect();
            let mut now = history.graphs[index].clone();
            for event in &events {
                now.fold(event);
            }
            now.check_invariants().map_err(|problem| format!("G4 after {version}: {problem}"))?;
            let (user, client) = (body.user_id.to_string(), body.client_id.to_string());
            let operation = body.operation_id.to_string();
            let is_named = body.is_client_named;
            history.commits.push(Past { version, user, client, is_named, operation, events });
            history.hashes.push(head.hash.to_hex());
            history.graphs.push(now);
            heads.push(head);
            times.push(body.timestamp);
            bodies.push(body);
        }
        let decode = |bytes: &bytes::Bytes| OperationRecord::decode(bytes).expect("a record");
        let records = log.records.iter().map(|(id, bytes)| (*id, decode(bytes))).collect();
        let operations = gather(world, graph);
        Ok(Self { world, graph, history, heads, times, bodies, records, operations })
    }

    fn has_head(&self, head: Head) -> bool {
        self.heads.get(head.version.get() as usize) == Some(&head)
    }

    /// Every request ended, and none with an error that nothing explains.
    fn check_requests(&self, tally: &mut Tally) -> Result<(), String> {
        for happening in self.world.happened.lock().unwrap().iter() {
            match happening {
                Happening::Hung { request } => return Err(format!("request {request} was never answered")),
                Happening::Failed { request, error } if error.starts_with("unexpected") => {
                    return Err(format!("request {request}: {error}"));
                }
                Happening::Failed { error, .. } => count(tally, &format!("failed: {error}")),
                Happening::Died { .. } => count(tally, "an instance died"),
                _ => {}
            }
        }
        Ok(())
    }

    /// One operation: all its answers are one answer, and the log says the same.
    fn check_operation(&self, seen: &Seen, tally: &mut Tally) -> Result<(), String> {
        let ask = &seen.asks[0];
        let record = self.records.get(&ask.id);
        let own = record.filter(|record| record.fingerprint == ask.fingerprint());
        if seen.answers.is_empty() {
            return Err("was never answered, not even at the end".to_owned());
        }
        let mut firsts = 0;
        for (moment, answer) in &seen.answers {
            match (&answer.ending, own) {
                (Ending::Refused { refusal, .. }, own) if refusal.reason == Reason::OperationIdReused => {
                    count(tally, "OPERATION_ID_REUSED");
                    if own.is_some() || record.is_none() || answer.duplicate {
                        return Err("is told its id was used for another, and it was not".to_owned());
                    }
                }
                (Ending::Refused { refusal, head }, own)
                    if [Reason::EntityTooLarge, Reason::HistoryReplaced].contains(&refusal.reason) =>
                {
                    let is_replaced = refusal.reason == Reason::HistoryReplaced;
                    count(tally, if is_replaced { "HISTORY_REPLACED" } else { "ENTITY_TOO_LARGE" });
                    let first_sent = seen.sent.iter().copied().min().unwrap_or(0);
                    let told = refusal
                        .resolution
                        .as_ref()
                        .and_then(|resolution| resolution.hash.as_deref().copied());
                    if is_replaced
                        && (told != Some(head.hash) || head.version.get() < self.known_at(first_sent))
                    {
                        return Err("is told of another head than the graph's".to_owned());
                    }
                    if !self.has_head(*head)
                        || answer.duplicate
                        || self.has_ended_before(&ask.id, seen, *moment)
                    {
                        return Err(
                            "is refused for now after it had ended, or on no head there was".to_owned()
                        );
                    }
                    let _may_have_ended_since = own;
                    let judged = self.judgements(seen, head.version.get());
                    if !judged.iter().any(|verdict| is_this_refusal(verdict, refusal)) {
                        return Err(format!("is refused for now: {refusal:?}; the model says {judged:?}"));
                    }
                }
                (ending, Some(own)) => {
                    self.check_same(ending, &own.outcome)?;
                    firsts += u64::from(!answer.duplicate);
                    if answer.duplicate && seen.sent.iter().filter(|sent| *sent < moment).count() < 2 {
                        return Err("is a duplicate and was sent once".to_owned());
                    }
                    count(tally, if answer.duplicate { "duplicate" } else { "first" });
                }
                (ending, None) => {
                    return Err(format!("was answered and left no record of its own: {ending:?}"));
                }
            }
        }
        let Some(own) = own else { return self.check_absent(&ask.id, record) };
        self.check_judgement(seen, own, firsts, tally)
    }

    /// Whether somebody had been told before it was sent that this id's operation ended.
    fn has_ended_before(&self, id: &OperationId, seen: &Seen, moment: usize) -> bool {
        let sent = seen.sent.iter().copied().filter(|sent| *sent < moment).max().unwrap_or(moment);
        self.operations.iter().filter(|((other, _), _)| other == id).any(|(_, seen)| {
            seen.answers.iter().any(|(answered, answer)| *answered < sent && is_final(&answer.ending))
        })
    }

    /// The highest version anybody had been told of when this happened.
    fn known_at(&self, moment: usize) -> u64 {
        let answers = self.operations.values().flat_map(|seen| &seen.answers);
        let told = answers.filter(|(answered, _)| *answered < moment);
        told.map(|(_, answer)| head_of(&answer.ending).version.get()).max().unwrap_or(0)
    }

    /// Readers saw the log: nothing else, nothing older than what was known when they asked (H3).
    fn check_looks(&self) -> Result<(), String> {
        for happening in self.world.happened.lock().unwrap().iter() {
            let Happening::Saw { asked, look } = happening else { continue };
            if look.graph == self.graph {
                self.check_look(*asked, look).map_err(|problem| format!("{problem}: {look:?}"))?;
            }
        }
        Ok(())
    }

    fn check_look(&self, asked: usize, look: &Look) -> Result<(), String> {
        let Some(graph) = self.history.graphs.get(look.version as usize) else {
            return Err("a reader saw more than the log".to_owned());
        };
        let is_same = self.heads[look.version as usize].hash.to_hex() == look.hash
            && graph.listed() == look.nodes
            && graph.edges.iter().map(|(_, edge)| &**edge).eq(&look.edges)
            && graph.viewport == look.viewport;
        if !is_same {
            return Err(format!("a reader saw another graph than {graph:?}"));
        }
        if look.version < self.known_at(asked) {
            return Err("a reader saw what was already past".to_owned());
        }
        if let Some((since, hashes)) = &look.recent {
            let log = self.heads.iter().skip(*since as usize).map(|head| head.hash.to_hex());
            if !log.take(hashes.len()).eq(hashes.iter().cloned()) {
                return Err("memory holds other commits than the log".to_owned());
            }
        }
        Ok(())
    }

    /// Rule A1: auditors find every refused operation once, on the head it was judged on, as it came.
    fn check_refusals(&self, log: &crate::durable::Log, tally: &mut Tally) -> Result<(), String> {
        let refused_on = |record: &OperationRecord| match &record.outcome {
            RecordedOutcome::Refused { by, .. } => Some(Head { version: by.version, hash: by.hash }),
            RecordedOutcome::Committed { .. } | RecordedOutcome::Unchanged(_) => None,
        };
        if !log.refusals.is_sorted_by_key(|refusal| refusal.place) {
            return Err("refusals are out of order".to_owned());
        }
        let mut listed = BTreeMap::new();
        for refusal in &log.refusals {
            let head = self.records.get(&refusal.operation).and_then(refused_on);
            let is_true =
                head.is_some_and(|head| head.version == refusal.place.version && self.has_head(head));
            if !is_true || log.records.get(&refusal.operation) != Some(&refusal.record) {
                return Err(format!("{} is listed as refused, and was not so", refusal.operation));
            }
            if listed.insert(refusal.operation, ()).is_some() {
                return Err(format!("{} is listed as refused twice", refusal.operation));
            }
            count(tally, "listed refusal");
        }
        let refused = self.records.iter().filter(|(_, record)| refused_on(record).is_some());
        match refused.map(|(id, _)| id).find(|id| !listed.contains_key(id)) {
            Some(id) => Err(format!("{id} was refused, and is not listed")),
            None => Ok(()),
        }
    }

    /// Acknowledged if and only if in the log: every commit is of an operation that was sent.
    fn check_every_commit_has_an_author(&self) -> Result<(), String> {
        for (index, body) in self.bodies.iter().enumerate() {
            let record = self.records.get(&body.operation_id).map(|record| &record.outcome);
            let is_recorded = matches!(record, Some(RecordedOutcome::Committed { version })
                if version.get() == index as u64 + 1);
            let is_sent = self.operations.keys().any(|(id, _)| *id == body.operation_id);
            if !is_recorded || !is_sent {
                return Err(format!("commit {} has no record, or nobody asked for it", index + 1));
            }
        }
        debug_assert_eq!(self.heads[0].hash, Hash::EMPTY);
        Ok(())
    }
}

fn gather(world: &World, graph: usize) -> BTreeMap<(OperationId, [u8; 8]), Seen> {
    let asks = world.asks.lock().unwrap();
    let key = |index: usize| (asks[index].id, asks[index].fingerprint().0);
    let mut operations: BTreeMap<_, Seen> = BTreeMap::new();
    for (index, ask) in asks.iter().enumerate().filter(|(_, ask)| ask.graph == graph) {
        operations.entry(key(index)).or_default().asks.push(ask.clone());
    }
    let mut requests: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (moment, happening) in world.happened.lock().unwrap().iter().enumerate() {
        match happening {
            Happening::Sent { request, asks, .. } => {
                requests.insert(*request, asks.clone());
                for index in asks {
                    operations.entry(key(*index)).and_modify(|seen| seen.sent.push(moment));
                }
            }
            Happening::Answered { request, answers } => {
                for (index, answer) in requests[request].iter().zip(answers) {
                    assert_eq!(asks[*index].id, answer.operation, "answers are in the order of the request");
                    let note = |seen: &mut Seen| seen.answers.push((moment, answer.clone()));
                    operations.entry(key(*index)).and_modify(note);
                }
            }
            _ => {}
        }
    }
    operations.retain(|_, seen| !seen.asks.is_empty());
    operations
}

fn count(tally: &mut Tally, what: &str) {
    *tally.entry(what.to_owned()).or_default() += 1;
}
