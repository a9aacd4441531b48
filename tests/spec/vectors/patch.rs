//! Merge patches, the paths that they write, and which paths overlap.

use dao_projections::{Attributes, Event, MergePatch, Pointer};
use serde_json::{Value, json};

use super::random::Random;
use crate::given::map;

const HANDMADE: [(&str, &str); 14] = [
    (r#"{"a":1}"#, r#"{"a":null}"#),
    (r#"{"a":{"b":1}}"#, r#"{"a":{"b":null}}"#),
    (r#"{"a":[1,2]}"#, r#"{"a":[]}"#),
    (r#"{"a":[1,2]}"#, r#"{"a":{"0":9}}"#),
    (r#"{"a":1}"#, r#"{"a":{"b":{"c":null,"d":[null]}}}"#),
    (r#"{"e":null}"#, r#"{"a":1}"#),
    (r#"{}"#, r#"{"a":{"b":{}}}"#),
    (r#"{"2":1,"10":2,"b":3}"#, r#"{"10":null,"1":{"3":1,"2":2}}"#),
    (r#"{"__proto__":{"a":1}}"#, r#"{"__proto__":{"a":null,"b":{"__proto__":{"c":1}}}}"#),
    (r#"{"constructor":{"prototype":{"a":1}}}"#, r#"{"constructor":{"prototype":{"b":2}}}"#),
    (r#"{}"#, r#"{"__proto__":{"polluted":true},"toString":null,"hasOwnProperty":1}"#),
    (r#"{"a":1,"b":-0.0,"c":1e21,"d":1.0}"#, r#"{"a":1.0,"b":0,"c":1000000000000000000000.0,"d":1}"#),
    (r#"{"é":{"🙂":1}}"#, r#"{"é":{"🙂":2,"a/b":1,"~":2,"~1":3,"":4}}"#),
    (r#"{"n":18446744073709551615}"#, r#"{"n":-9223372036854775808,"m":0.1}"#),
];

/// What a patch makes of an object, the paths that it writes, and the patch between the two.
pub fn patches() -> Vec<Value> {
    let mut random = Random::seeded(1);
    let handmade = HANDMADE.iter().map(|(target, patch)| (read(target), read(patch)));
    let pairs: Vec<(Value, Value)> =
        handmade.chain((0..400).map(|_| (random.object(3), random.object(3)))).collect();
    pairs.into_iter().map(|(target, patch)| case(target, patch)).collect()
}

fn case(target: Value, patch: Value) -> Value {
    let merge = MergePatch::new(map(patch.clone()));
    let merged = Attributes::new(map(target.clone())).patched(&merge);
    let leaves: Vec<Pointer> = merge.leaves().into_iter().map(|(path, _)| path).collect();
    let between = MergePatch::between(&map(target.clone()), &map(patch.clone()));
    json!({"target": target, "patch": patch, "merged": merged, "leaves": leaves, "between": between})
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Which paths overlap, and which an event writes.
pub fn paths() -> Vec<Value> {
    let pointers = [
        "",
        "/position",
        "/position/x",
        "/data",
        "/data/label",
        "/data/labels",
        "/data/label/x",
        "/data/a~1b",
        "/data/a",
        "/data/~0",
        "/é🙂",
        "/é",
        "/",
    ];
    let pointer = |text: &str| -> Pointer { serde_json::from_value(json!(text)).expect("a pointer") };
    let pairs = pointers.iter().flat_map(|one| pointers.iter().map(move |other| (*one, *other)));
    let overlaps = pairs.map(
        |(one, other)| json!({"one": one, "other": other, "overlaps": pointer(one).overlaps(&pointer(other))}),
    );
    let mut random = Random::seeded(2);
    let written = (0..100).map(|_| {
        let patch = json!({"position": {"x": 1}, "data": random.object(3), "é": random.value(2)});
        let patch = MergePatch::new(map(patch));
        let event = Event::NodeUpdated { node_id: "a".parse().expect("an id"), patch };
        json!({"event": event, "paths": event.paths()})
    });
    overlaps.chain(written).collect()
}
