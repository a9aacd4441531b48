//! What stale commands meet: others' commits since the version that their author saw (rules D1 to D5).

use dao_api::domain::{Refusal, Verdict};
use dao_projections::Outcome;
use serde_json::{Value, json};

use super::{
    command::{command, policy},
    commits_json,
    decide::{USERS, code, events_of, history, skipped},
    events_json,
    random::Random,
};
use crate::given::Given;

pub fn cases() -> Vec<Value> {
    let mut random = Random::seeded(5);
    let group = |_| {
        let length = 10 + random.below(30);
        let given = history(&mut random, length);
        let cases: Vec<Value> = (0..12).map(|_| case(&given, &mut random)).collect();
        json!({"commits": commits_json(&given.commits), "cases": cases})
    };
    (0..70).map(group).collect()
}

fn case(given: &Given, random: &mut Random) -> Value {
    let user = *random.pick(&USERS);
    // Most know what is rather new.
    let behind = random.below(given.version() as usize + 1).min(random.below(12));
    let version = given.version() - behind as u64;
    let on_conflict = *random.pick(&["merge", "merge", "merge", "overwrite", "reject"]);
    let is_batch = random.once_in(5);
    let is_named = !random.once_in(5);
    let sent: Vec<Value> =
        (0..if is_batch { 1 + random.below(3) } else { 1 }).map(|_| random.command()).collect();
    let if_missing = if random.once_in(2) { "skip" } else { "refuse" };
    let commands = sent.iter().map(command).collect::<Vec<_>>();
    let when = match (is_batch, commands.as_slice()) {
        (false, [command]) => given.clone().when(command.clone()),
        (_, _) => given.clone().when_all(commands),
    };
    let when = when.from(user).at(version).on_conflict(policy(on_conflict));
    let when = if is_named { when } else { when.unnamed() };
    let when = if if_missing == "skip" { when.skipping() } else { when };
    let action = match is_batch {
        true => json!({"type": "BATCH", "operations": sent, "ifMissing": if_missing}),
        false => sent[0].clone(),
    };
    let asked = json!({
        "user": user, "named": is_named, "clientVersion": version, "onConflict": on_conflict, "action": action,
    });
    json!({"asked": asked, "verdict": verdict_json(&when.verdict())})
}

fn verdict_json(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Refused(Refusal { reason, resolution, index, .. }) => {
            let conflicts = resolution.as_ref().map(|resolution| {
                let told = resolution.conflicts.iter().map(|one| {
                    json!({
                        "entity": one.entity, "id": one.id, "path": one.path, "version": one.version,
                        "userId": one.user_id,
                    })
                });
                told.collect::<Vec<_>>()
            });
            json!({"code": code(*reason), "index": index, "conflicts": conflicts})
        }
        Verdict::Unchanged { .. } => {
            json!({"outcome": "unchanged", "events": [], "skipped": skipped(verdict)})
        }
        Verdict::Accepted { outcome, .. } => {
            let outcome = if *outcome == Outcome::Merged { "merged" } else { "applied" };
            json!({"outcome": outcome, "events": events_json(events_of(verdict)), "skipped": skipped(verdict)})
        }
    }
}
