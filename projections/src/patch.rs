//! JSON Merge Patch (RFC 7396) and the JSON Pointers (RFC 6901) of what a patch writes.
//!
//! The merging itself is the `json-patch` crate's.

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::entity::Map;

/// A merge patch whose top level is an object: it changes an entity and never replaces it. Its fields are shared: a
/// clone copies a pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct MergePatch(Arc<Map>);

impl MergePatch {
    /// A patch that sets the values in `fields` and removes those that are null.
    pub fn new(fields: Map) -> Self {
        Self(Arc::new(fields))
    }

    /// The patch as it was sent.
    pub fn fields(&self) -> &Map {
        &self.0
    }

    /// The patch as it was sent, not copied where nobody shares it.
    pub fn into_fields(self) -> Map {
        Arc::unwrap_or_clone(self.0)
    }

    /// Merges the patch into `target`, except the fields in `handled`. Fields are removed in one pass: one by one,
    /// each would move all fields behind it.
    pub(crate) fn merge_into(&self, target: &mut Map, handled: &[&str]) {
        let is_ours = |key: &str| !handled.contains(&key);
        let removed = |key: &String| is_ours(key) && self.0.get(key).is_some_and(Value::is_null);
        if self.0.values().any(Value::is_null) {
            target.retain(|key, _| !removed(key));
        }
        for (key, value) in self.0.iter().filter(|(key, value)| is_ours(key) && !value.is_null()) {
            json_patch::merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }

    /// The leaf paths, where the patch writes or removes a value. An empty object is a leaf.
    pub fn leaves(&self) -> Vec<(Pointer, &Value)> {
        let mut leaves = Vec::new();
        for (key, value) in &*self.0 {
            collect_leaves(Pointer::root().child(key), value, &mut leaves);
        }
        leaves
    }

    /// Whether merging `patch` into `standing` changes nothing.
    pub fn leaves_as_is(standing: &Value, patch: &Value) -> bool {
        match (standing, patch) {
            (Value::Object(standing), Value::Object(patch)) => patch.iter().all(|(key, value)| {
                if value.is_null() {
                    return !standing.contains_key(key);
                }
                standing.get(key).is_some_and(|standing| Self::leaves_as_is(standing, value))
            }),
            (_, Value::Object(_)) => false,
            (standing, patch) => standing == patch,
        }
    }

    /// The patch that turns `before` into `after`; `None` if no merge patch can, because `after` has a null that
    /// `before` has not.
    pub fn between(before: &Map, after: &Map) -> Option<Self> {
        difference(before, after).map(Self::new)
    }
}

impl Serialize for MergePatch {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for MergePatch {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Map::deserialize(d).map(Self::new)
    }
}

fn collect_leaves<'a>(path: Pointer, value: &'a Value, into: &mut Vec<(Pointer, &'a Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                collect_leaves(path.child(key), value, into);
            }
        }
        _ => into.push((path, value)),
    }
}

fn difference(before: &Map, after: &Map) -> Option<Map> {
    let mut patch = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, new) in after {
        match (before.get(key), new) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.insert(key.clone(), Value::Object(difference(old, new)?));
            }
            (_, new) if holds_null(new) => return None,
            _ => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    Some(patch)
}

/// Whether the value is null or contains one that a merge patch would read as a removal: in objects, not in lists.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(holds_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// A JSON Pointer inside an entity; `""` is the whole entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize)]
#[serde(transparent)]
pub struct Pointer(String);

impl Pointer {
    /// The pointer to the whole entity.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The pointer `/position`: one field, whatever part of it is written (rule D2).
    pub fn position() -> Self {
        Self("/position".to_owned())
    }

    /// The path of `key` below this one.
    #[must_use]
    pub fn child(&self, key: &str) -> Self {
        let mut path = String::with_capacity(self.0.len() + 1 + key.len());
        path.push_str(&self.0);
        path.push('/');
        for c in key.chars() {
            match c {
                '~' => path.push_str("~0"),
                '/' => path.push_str("~1"),
                c => path.push(c),
            }
        }
        Self(path)
    }

    /// The keys of the path, from the top.
    pub fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.split('/').skip(1).map(|key| match key.contains('~') {
            true => Cow::Owned(key.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(key),
        })
    }

    /// Whether writing one touches the other: they are equal, or one is an ancestor of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        match long.0.strip_prefix(short.0.as_str()) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// Whether this is the field `position` of a node, or a part of it.
    pub fn is_within_position(&self) -> bool {
        self.0 == "/position" || self.0.starts_with("/position/")
    }

    /// The pointer as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map {
        match value {
            Value::Object(map) => map,
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn d2_leaves_of_a_patch_are_its_fields() {
        let patch =
            MergePatch::new(map(json!({"data": {"a/b": 1, "c": {"d": null}, "e": {}}, "x": [1, {"y": 2}]})));
        let paths: Vec<_> = patch.leaves().into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["/data/a~1b", "/data/c/d", "/data/e", "/x"]);
    }

    #[test]
    fn d2_a_path_and_its_ancestor_overlap() {
        let data = Pointer::root().child("data");
        let label = data.child("label");
        assert!(data.overlaps(&label) && label.overlaps(&data) && label.overlaps(&label));
        assert!(Pointer::root().overlaps(&label));
        assert!(!data.child("lab").overlaps(&label));
    }

    #[test]
    fn the_keys_of_a_pointer_are_those_it_was_made_of() {
        let keys = ["data", "a/b", "~1", "", "~0/"];
        let pointer = keys.iter().fold(Pointer::root(), |above, key| above.child(key));
        assert_eq!(pointer.keys().collect::<Vec<_>>(), keys);
        assert_eq!(Pointer::root().keys().count(), 0);
    }

    #[test]
    fn a_difference_is_said_as_a_patch_where_a_patch_can_say_it() {
        let before = map(json!({"a": 1, "b": {"c": 2, "d": 3}, "e": 4}));
        let after = map(json!({"a": 1, "b": {"c": 5}, "f": {"g": 6}}));
        let patch = MergePatch::between(&before, &after).map(|p| Value::Object(p.fields().clone()));
        assert_eq!(patch, Some(json!({"e": null, "b": {"d": null, "c": 5}, "f": {"g": 6}})));
        assert_eq!(MergePatch::between(&before, &map(json!({"a": null}))), None);
    }
}
