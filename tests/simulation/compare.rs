//! When an answer, a record, a commit and the model's verdict say the same.

use dao_api::{domain::Refusal, write::Ending};
use dao_projections::{Head, Outcome};
use serde_json::Value;

use crate::{client::Ask, model::Verdict};

/// The head that an ending names.
pub fn head_of(ending: &Ending) -> Head {
    match ending {
        Ending::Completed { head, .. } | Ending::Refused { head, .. } => *head,
    }
}

pub fn is_final(ending: &Ending) -> bool {
    match ending {
        Ending::Completed { .. } => true,
        Ending::Refused { refusal, .. } => refusal.reason.is_final(),
    }
}

pub fn word(outcome: Outcome) -> &'static str {
    if outcome == Outcome::Merged { "merged" } else { "applied" }
}

pub fn command_type(ask: &Ask) -> &'static str {
    if ask.is_batch { "BATCH" } else { ask.members[0].kind }
}

/// Equal, but for the order among nodes that one command deletes.
pub fn same_events(one: &[Value], other: &[Value]) -> bool {
    let sorted = |events: &[Value]| {
        let mut events = events.to_vec();
        let is_deletion = |event: &Value| event["type"] == "NodeDeleted";
        for run in events.chunk_by_mut(|a, b| is_deletion(a) && is_deletion(b)) {
            run.sort_by_key(|event| event["nodeId"].to_string());
        }
        events
    };
    sorted(one) == sorted(other)
}

pub fn is_this_refusal(verdict: &Verdict, refusal: &Refusal) -> bool {
    let Verdict::Refused { refused, index } = verdict else { return false };
    let code = serde_json::to_value(refusal.reason).unwrap();
    let resolution = refusal.resolution.as_ref();
    let said = resolution.map_or(vec![], |resolution| resolution.conflicts.clone());
    let said = said.iter().map(|conflict| serde_json::to_value(conflict).unwrap()).collect();
    code == refused.code
        && refusal.is_conflict() == refused.is_conflict
        && refusal.index == *index
        && same_conflicts(said, refused.conflicts.clone())
}

/// Equal in any order, in what is expected; but for values that were too large to be recorded.
fn same_conflicts(mut said: Vec<Value>, mut expected: Vec<Value>) -> bool {
    let place = |conflict: &Value| (conflict["id"].to_string(), conflict["path"].to_string());
    said.sort_by_key(place);
    expected.sort_by_key(place);
    let is_cut = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("(too large"));
    said.len() == expected.len()
        && said.iter().zip(&expected).all(|(said, expected)| {
            let mut fields = expected.as_object().unwrap().iter();
            fields.all(|(field, value)| said[field] == *value || is_cut(&said[field]))
        })
}

pub fn name(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Committed { outcome, .. } => (*outcome).to_owned(),
        Verdict::Unchanged => "unchanged".to_owned(),
        Verdict::Refused { refused, .. } if refused.is_conflict => format!("{} (conflict)", refused.code),
        Verdict::Refused { refused, .. } => refused.code.to_owned(),
    }
}
