//! The fields that commands ask for and that events wrote, and what they hold.

use serde_json::{Value, json};

use crate::model::{Asked, merged};

/// What stands at a path, which names keys of objects; null where nothing does (D7).
pub(super) fn at(entity: &Value, path: &str) -> Value {
    match path.rsplit_once('/') {
        None => entity.clone(),
        Some((above, key)) => {
            let key = key.replace("~1", "/").replace("~0", "~");
            at(entity, above).as_object().and_then(|fields| fields.get(&key)).cloned().unwrap_or(Value::Null)
        }
    }
}

/// Whether writing `yours` at `path` changes nothing: what stands there is what was asked for (D3).
pub(super) fn is_so(entity: &Value, path: &str, yours: &Value) -> bool {
    let Some((above, key)) = path.rsplit_once('/') else { return entity == yours };
    let patch = |above: &str| {
        let leaf = json!({key.replace("~1", "/").replace("~0", "~"): yours});
        above
            .rsplit('/')
            .filter(|key| !key.is_empty())
            .fold(leaf, |below, key| json!({key.replace("~1", "/").replace("~0", "~"): below}))
    };
    merged(entity, &patch(above)) == *entity
}

/// The fields that a command with one target asks for, and their values.
pub(super) fn fields_of(asked: &Asked) -> Vec<(String, Value)> {
    let payload = &asked.payload;
    match asked.kind {
        "UPDATE_NODE" | "UPDATE_EDGE" => {
            let is_node = asked.kind == "UPDATE_NODE";
            let patch = &payload["updates"];
            let leaves = leaves_of(patch, is_node);
            leaves.into_iter().map(|path| (path.clone(), patch.pointer(&path).unwrap().clone())).collect()
        }
        "UPDATE_NODE_POSITION" => vec![("/position".to_owned(), payload["position"].clone())],
        "SET_VIEWPORT" => vec![(String::new(), payload.clone())],
        _ => vec![(String::new(), Value::Null)],
    }
}

/// The fields that an event wrote.
pub(super) fn paths(event: &Value) -> Vec<String> {
    match event["type"].as_str().unwrap() {
        "NodeMoved" => vec!["/position".to_owned()],
        kind @ ("NodeUpdated" | "EdgeUpdated") => leaves_of(&event["patch"], kind == "NodeUpdated"),
        _ => vec![String::new()],
    }
}

/// What an event wrote there.
pub(super) fn written(event: &Value, path: &str) -> Value {
    let whole = ["patch", "node", "edge", "viewport"].into_iter().find_map(|field| event.get(field));
    match event["type"].as_str().unwrap() {
        "NodeMoved" => event["position"].clone(),
        _ => whole.and_then(|whole| whole.pointer(path)).cloned().unwrap_or(Value::Null),
    }
}

/// The leaf paths of a patch; of a node's, `position` is one (rule D2).
fn leaves_of(patch: &Value, is_node: bool) -> Vec<String> {
    fn walk(value: &Value, path: &str, is_node: bool, into: &mut Vec<String>) {
        match value.as_object().filter(|fields| !fields.is_empty()) {
            Some(fields) if !(is_node && path == "/position") => {
                for (key, below) in fields {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    walk(below, &format!("{path}/{key}"), is_node, into);
                }
            }
            _ => into.push(path.to_owned()),
        }
    }
    let mut leaves = Vec::new();
    for (key, below) in patch.as_object().unwrap() {
        let key = key.replace('~', "~0").replace('/', "~1");
        walk(below, &format!("/{key}"), is_node, &mut leaves);
    }
    leaves
}

pub(super) fn overlap(one: &str, other: &str) -> bool {
    one == other || one.starts_with(&format!("{other}/")) || other.starts_with(&format!("{one}/"))
}
