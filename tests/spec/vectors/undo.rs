//! Operations taken back (rules U).

use dao_api::domain::{Refusal, Verdict};
use serde_json::{Value, json};

use super::{
    command::policy,
    commits_json,
    decide::{code, events_of, history, history_after},
    events_json,
    random::Random,
};
use crate::{given::Given, undo::undo, versions::back_to};

pub fn cases() -> Vec<Value> {
    let mut random = Random::seeded(6);
    let group = |_| {
        let length = 8 + random.below(30);
        let given = history(&mut random, length);
        let cases: Vec<Value> = (0..8).map(|_| case(&given, &mut random)).collect();
        json!({"commits": commits_json(&given.commits), "cases": cases})
    };
    let mut cases: Vec<Value> = (0..70).map(group).collect();
    let mut random = Random::seeded(7);
    cases.extend((0..30).map(|_| restored(&mut random)));
    cases
}

/// A history with a restore, which exchanges nodes and edges, and others at work after it.
fn restored(random: &mut Random) -> Value {
    let length = 10 + random.below(20);
    let mut given = history(random, length);
    let to = random.below(given.version() as usize) as u64;
    if let Verdict::Accepted { events, .. } = given.clone().when(back_to(to)).verdict() {
        given = given.by("ada", events);
    }
    let at = given.version();
    let length = random.below(6);
    let given = history_after(given, random, length);
    let cases = ["merge", "overwrite", "reject"].map(|policy| case_of(&given, &[at], policy));
    json!({"commits": commits_json(&given.commits), "cases": cases})
}

fn case(given: &Given, random: &mut Random) -> Value {
    let mut versions: Vec<u64> =
        (0..1 + random.below(3)).map(|_| 1 + random.below(given.version() as usize) as u64).collect();
    versions.sort_unstable();
    versions.dedup();
    let on_conflict = *random.pick(&["merge", "merge", "overwrite", "reject"]);
    case_of(given, &versions, on_conflict)
}

fn case_of(given: &Given, versions: &[u64], on_conflict: &str) -> Value {
    let verdict = undo(given.clone(), versions).on_conflict(policy(on_conflict)).verdict();
    json!({"versions": versions, "onConflict": on_conflict, "verdict": verdict_json(&verdict)})
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Refused(Refusal { reason, .. }) => json!({"code": code(*reason)}),
        Verdict::Unchanged { .. } => json!({"events": []}),
        Verdict::Accepted { undone, .. } => {
            let undone = undone.as_ref().expect("an undo tells what it did");
            let skipped = undone.skipped.iter().map(|one| {
                let conflict = &one.conflict;
                json!({
                    "reason": one.reason, "entity": conflict.entity, "id": conflict.id, "path": conflict.path,
                    "yours": conflict.yours, "current": conflict.current,
                })
            });
            json!({
                "events": events_json(events_of(verdict)), "reverted": undone.reverted,
                "skipped": skipped.collect::<Vec<_>>(), "detached": undone.detached,
            })
        }
    }
}
