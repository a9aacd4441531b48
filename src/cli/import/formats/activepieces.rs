//! activepieces: a trigger and the chain of actions after it. The editor computes positions too.

use dao_projections::Map;
use serde_json::Value;

use super::fields::object;
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, take, text},
        place::Place,
    },
};

/// The keys of the actions after or inside an action.
const NEXT: [&str; 4] = ["nextAction", "firstLoopAction", "onSuccessAction", "onFailureAction"];

pub(super) fn is_version(fields: &Map) -> bool {
    let trigger = fields.get("trigger").and_then(Value::as_object);
    trigger.is_some_and(|trigger| text(trigger, "name").is_some() && text(trigger, "type").is_some())
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new("activepieces", at);
    let mut ahead = vec![(take(&mut fields, "trigger"), at.child("trigger"), None::<(String, String)>)];
    while let Some((step, at, from)) = ahead.pop() {
        let mut step = object(step, &at)?;
        let Some(name) = text(&step, "name").map(str::to_owned) else {
            return Err(CliError::new(format!("{at}.name: is required")));
        };
        let after = following(&mut step, &at);
        let label = text(&step, "displayName").unwrap_or(&name).to_owned();
        flow.add_node(at.clone(), name.clone().into(), None, &label, step);
        if let Some((source, way)) = from {
            let mut known = Map::new();
            known.insert("way".to_owned(), way.into());
            let ends = Ends { id: None, source: source.into(), target: name.clone().into() };
            flow.add_edge(at, ends, known);
        }
        // Last in, first out: the chain continues before its branches.
        ahead.extend(after.into_iter().rev().map(|(step, at, way)| (step, at, Some((name.clone(), way)))));
    }
    Ok(vec![flow])
}

/// The steps after this one, with the path to each.
fn following(step: &mut Map, at: &Place) -> Vec<(Value, Place, String)> {
    let mut found = Vec::new();
    for key in NEXT {
        if let Some(next) = step.shift_remove(key).filter(Value::is_object) {
            found.push((next, at.child(key), key.to_owned()));
        }
    }
    if let Some(Value::Array(branches)) = step.shift_remove("children") {
        let branches = branches.into_iter().enumerate().filter(|(_, branch)| branch.is_object());
        found.extend(branches.map(|(index, branch)| {
            (branch, at.child("children").index(index), format!("branch {}", index + 1))
        }));
    }
    found
}
