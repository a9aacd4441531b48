//! Taking back a change of an entity's fields where they still stand (rule U4).
//!
//! Three sides: what was before the operation, what was after it, and what stands now. A field that stands as the
//! operation left it becomes what it was before; one that is already so stays; any other was taken over.
//!
//! Not here: entities that came or went as a whole ([`super::steps`]).

use dao_projections::{Map, Pointer};
use serde_json::Value;

use crate::domain::OnConflict;

/// What became of the fields.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Paths that were put back.
    pub(super) reverted: Vec<Pointer>,
    /// Paths that others took over, with what was to stand there; null where that is absence.
    pub(super) taken_over: Vec<(Pointer, Value)>,
}

/// The three sides of one object.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) before: &'a Map,
    pub(super) after: &'a Map,
}

/// Fields that are values as a whole, whatever they hold.
pub(super) type IsWhole = fn(&Pointer) -> bool;

/// Puts back in `now` what the operation changed.
pub(super) fn put_back(
    sides: Sides<'_>,
    now: &mut Map,
    on_conflict: OnConflict,
    is_whole: IsWhole,
    merged: &mut Merged,
) {
    let nothing = Map::new();
    fields(sides, now, &Pointer::root(), (on_conflict, is_whole, &nothing), merged);
}

/// What the operation changed, as it was before: null where there was nothing. Where both sides are objects, what differs in
/// them.
pub(super) fn changed(sides: Sides<'_>, is_whole: IsWhole) -> Map {
    changed_below(sides, &Pointer::root(), is_whole)
}

fn changed_below(sides: Sides<'_>, above: &Pointer, is_whole: IsWhole) -> Map {
    let keys = sides.before.keys().chain(sides.after.keys().filter(|key| !sides.before.contains_key(*key)));
    let differing = keys.filter(|key| sides.before.get(*key) != sides.after.get(*key));
    let was = |key: &String| match (sides.before.get(key), sides.after.get(key), above.child(key)) {
        (Some(Value::Object(before)), Some(Value::Object(after)), path) if !is_whole(&path) => {
            Value::Object(changed_below(Sides { before, after }, &path, is_whole))
        }
        (before, ..) => before.cloned().unwrap_or(Value::Null),
    };
    differing.map(|key| (key.clone(), was(key))).collect()
}

type How<'a> = (OnConflict, IsWhole, &'a Map);

fn fields(sides: Sides<'_>, now: &mut Map, above: &Pointer, how: How<'_>, merged: &mut Merged) {
    let only_after = sides.after.keys().filter(|key| !sides.before.contains_key(*key));
    let keys: Vec<&String> = sides.before.keys().chain(only_after).collect();
    for key in keys {
        let (before, after) = (sides.before.get(key), sides.after.get(key));
        if before != after {
            field(key, (before, after), now, &above.child(key), how, merged);
        }
    }
}

/// One field that the operation changed.
fn field(
    key: &str,
    (before, after): (Option<&Value>, Option<&Value>),
    now: &mut Map,
    path: &Pointer,
    how: How<'_>,
    merged: &mut Merged,
) {
    let (on_conflict, is_whole, nothing) = how;
    let stands = now.get(key);
    if stands == before {
        return;
    }
    let still_stands = stands == after;
    let are_objects = before.is_some_and(Value::is_object) && after.is_some_and(Value::is_object);
    if (are_objects || !still_stands) && !is_whole(path) {
        // Where all three sides are objects the fields below are told apart; nothing counts as an empty one.
        let side = |side: Option<&'_ Value>| side.is_none_or(Value::is_object);
        if side(before)
            && side(after)
            && let Some(Value::Object(below)) = now.get_mut(key)
        {
            let before = before.and_then(Value::as_object).unwrap_or(nothing);
            let after = after.and_then(Value::as_object).unwrap_or(nothing);
            return fields(Sides { before, after }, below, path, how, merged);
        }
    }
    if still_stands || on_conflict == OnConflict::Overwrite {
        match before {
            Some(value) => drop(now.insert(key.to_owned(), value.clone())),
            None => drop(now.shift_remove(key)),
        }
        merged.reverted.push(path.clone());
    } else {
        merged.taken_over.push((path.clone(), before.cloned().unwrap_or(Value::Null)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn back(before: Value, after: Value, now: Value) -> (Value, Vec<String>, Vec<String>) {
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let (before, after, mut now) = (map(before), map(after), map(now));
        let mut merged = Merged::default();
        let sides = Sides { before: &before, after: &after };
        put_back(sides, &mut now, OnConflict::Merge, |_| false, &mut merged);
        let reverted = merged.reverted.iter().map(Pointer::to_string).collect();
        (Value::Object(now), reverted, merged.taken_over.iter().map(|(path, _)| path.to_string()).collect())
    }

    #[test]
    fn u4_what_still_stands_is_put_back_and_what_was_taken_over_stays() {
        let (now, reverted, taken) =
            back(json!({"a": 1, "b": 1}), json!({"a": 2, "b": 2}), json!({"a": 2, "b": 3, "c": 4}));
        assert_eq!(now, json!({"a": 1, "b": 3, "c": 4}));
        assert_eq!((reverted, taken), (vec!["/a".to_owned()], vec!["/b".to_owned()]));
    }

    #[test]
    fn u12_what_was_changed_is_told_as_it_was_and_nothing_beside_it() {
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let before = map(json!({"a": 1, "b": {"c": 1, "d": {"e": 1}}, "same": 1}));
        let after = map(json!({"a": 2, "b": {"c": 1, "d": {"e": 2}}, "same": 1, "new": 1}));
        let told = changed(Sides { before: &before, after: &after }, |_| false);
        assert_eq!(Value::Object(told), json!({"a": 1, "b": {"d": {"e": 1}}, "new": null}));
    }

    #[test]
    fn u4_what_is_already_so_is_neither() {
        let (now, reverted, taken) = back(json!({"a": 1}), json!({"a": 2}), json!({"a": 1}));
        assert_eq!((now, reverted.len(), taken.len()), (json!({"a": 1}), 0, 0));
    }

    #[test]
    fn u3_what_was_absent_is_removed_and_null_is_a_value() {
        assert_eq!(back(json!({}), json!({"d": {"x": 1}}), json!({"d": {"x": 1}})).0, json!({}));
        assert_eq!(
            back(json!({}), json!({"d": {"x": 1}}), json!({"d": {"x": 1, "y": 2}})).0,
            json!({"d": {"y": 2}})
        );
        assert_eq!(back(json!({"a": null}), json!({}), json!({})).0, json!({"a": null}));
    }

    #[test]
    fn u4_fields_below_an_object_that_others_added_to_are_told_apart() {
        let (before, after) = (json!({"d": {"x": 1, "y": 1}}), json!({"d": {"x": 2, "y": 2}}));
        let (now, reverted, taken) = back(before, after, json!({"d": {"x": 2, "y": 5, "z": 6}}));
        assert_eq!(now, json!({"d": {"x": 1, "y": 5, "z": 6}}));
        assert_eq!((reverted, taken), (vec!["/d/x".to_owned()], vec!["/d/y".to_owned()]));
        let (now, _, taken) = back(json!({"d": {"x": 1}}), json!({"d": 7}), json!({"d": {"z": 6}}));
        assert_eq!((now, taken), (json!({"d": {"z": 6}}), vec!["/d".to_owned()]));
    }
}
