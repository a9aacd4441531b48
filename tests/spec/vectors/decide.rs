//! What commands and atomic batches make of a graph, where nobody else interferes.

use dao_api::domain::{Reason, Refusal, Verdict};
use dao_projections::Event;
use serde_json::{Value, json};

use super::{command::command, commits_json, events_json, random::Random};
use crate::given::{Given, given, node_created};

pub const USERS: [&str; 3] = ["ada", "bob", "eve"];

/// Ada sends this, as of now.
pub fn verdict(given: &Given, sent: &Value) -> Verdict {
    match sent["type"].as_str() {
        Some("BATCH") => {
            let operations = sent["operations"].as_array().expect("a list");
            let when = given.clone().when_all(operations.iter().map(command));
            match sent["ifMissing"].as_str() {
                Some("skip") => when.skipping().verdict(),
                _ => when.verdict(),
            }
        }
        _ => given.clone().when(command(sent)).verdict(),
    }
}

/// A random history of commands by three people, of one commit at least.
pub fn history(random: &mut Random, length: usize) -> Given {
    history_after(given([node_created("a", json!({"data": {"x": 1}}))]), random, length)
}

pub fn history_after(before: Given, random: &mut Random, length: usize) -> Given {
    (0..length).fold(before, |given, _| {
        let user = *random.pick(&USERS);
        match given.clone().when(command(&random.command())).from(user).verdict() {
            Verdict::Accepted { events, .. } if random.once_in(6) => given.by_unnamed(user, events),
            Verdict::Accepted { events, .. } => given.by(user, events),
            Verdict::Unchanged { .. } | Verdict::Refused(_) => given,
        }
    })
}

fn batch(random: &mut Random) -> Value {
    let operations: Vec<Value> = (0..1 + random.below(4)).map(|_| random.command()).collect();
    match random.below(3) {
        0 => json!({"type": "BATCH", "operations": operations}),
        1 => json!({"type": "BATCH", "operations": operations, "ifMissing": "refuse"}),
        _ => json!({"type": "BATCH", "operations": operations, "ifMissing": "skip"}),
    }
}

/// The code of a refusal as clients see it.
pub fn code(reason: Reason) -> Value {
    match reason {
        Reason::TooManyEntities | Reason::EntityTooLarge | Reason::AttributesTooLarge => json!("TOO_LARGE"),
        other => json!(other),
    }
}

pub fn skipped(verdict: &Verdict) -> Value {
    let (Verdict::Accepted { skipped, .. } | Verdict::Unchanged { skipped, .. }) = verdict else {
        return json!([]);
    };
    skipped.iter().map(|one| json!({"index": one.index, "code": code(one.reason)})).collect()
}

pub fn events_of(verdict: &Verdict) -> &[Event] {
    if let Verdict::Accepted { events, .. } = verdict { events } else { &[] }
}

fn case(given: &Given, sent: Value) -> Value {
    match verdict(given, &sent) {
        Verdict::Refused(Refusal { reason, index, .. }) => {
            json!({"action": sent, "code": code(reason), "index": index})
        }
        verdict => {
            json!({"action": sent, "events": events_json(events_of(&verdict)), "skipped": skipped(&verdict)})
        }
    }
}

pub fn cases() -> Vec<Value> {
    let mut random = Random::seeded(4);
    let group = |_| {
        let length = 4 + random.below(30);
        let given = history(&mut random, length);
        let singles = (0..12).map(|_| case(&given, random.command())).collect::<Vec<_>>();
        let batches = (0..4).map(|_| case(&given, batch(&mut random)));
        let cases: Vec<Value> = singles.into_iter().chain(batches).collect();
        json!({"commits": commits_json(&given.commits), "cases": cases})
    };
    (0..80).map(group).collect()
}
