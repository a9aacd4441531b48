//! What is stored, byte for byte (rule V3). A change here breaks every history that exists: give
//! the new form a new format number and read the old one still.

use dao_projections::{
    Attributes, CommandType, CommitBody, DecodeError, Edge, Event, Hash, MergePatch, Node, OperationId,
    Origin, Outcome, Position, Timestamp, Version, Viewport,
};
use serde_json::{Value, json};

fn node(attributes: Value) -> Node {
    let position = Position::from_json(&json!({"x": 1, "y": -2.5})).expect("a position");
    Node::new("n".parse().expect("an id"), position, attributes.as_object().cloned().expect("an object"))
        .expect("a node")
}

fn edge(attributes: Value) -> Edge {
    let id = |text: &str| text.parse().expect("an id");
    Edge::new(
        "e".parse().expect("an id"),
        id("n"),
        id("m"),
        attributes.as_object().cloned().expect("an object"),
    )
    .expect("an edge")
}

fn patch() -> MergePatch {
    MergePatch::new(json!({"data": {"k": null}, "big": u64::MAX}).as_object().cloned().expect("an object"))
}

fn events() -> [(Event, &'static str); 10] {
    let (node_id, edge_id) = ("n".parse().expect("an id"), "e".parse().expect("an id"));
    [
        (
            Event::NodeCreated { node: node(json!({"type": "input", "data": {"label": "é"}})) },
            "82a474797065ab4e6f646543726561746564a46e6f646584a26964a16ea8706f736974696f6e82a17801a179cbc004000000000000\
             a474797065a5696e707574a46461746181a56c6162656ca2c3a9",
        ),
        (
            Event::NodeUpdated { node_id, patch: patch() },
            "83a474797065ab4e6f646555706461746564a66e6f64654964a16ea5706174636882a46461746181a16bc0a3626967cfffffffffffffffff",
        ),
        (
            Event::NodeMoved {
                node_id: "n".parse().expect("an id"),
                position: Position::from_json(&json!({"x": 300, "y": 1e300})).expect("a position"),
            },
            "83a474797065a94e6f64654d6f766564a66e6f64654964a16ea8706f736974696f6e82a178cd012ca179cb7e37e43c8800759c",
        ),
        (
            Event::NodeReplaced { node: node(json!({"data": {"k": null}})) },
            "82a474797065ac4e6f64655265706c61636564a46e6f646583a26964a16ea8706f736974696f6e82a17801a179cbc004000000000000\
             a46461746181a16bc0",
        ),
        (
            Event::NodeDeleted { node_id: "n".parse().expect("an id") },
            "82a474797065ab4e6f646544656c65746564a66e6f64654964a16e",
        ),
        (
            Event::EdgeCreated { edge: edge(json!({"sourceHandle": null})) },
            "82a474797065ab4564676543726561746564a46564676584a26964a165a6736f75726365a16ea6746172676574a16dac736f7572636548616e646c65c0",
        ),
        (
            Event::EdgeUpdated { edge_id, patch: patch() },
            "83a474797065ab4564676555706461746564a6656467654964a165a5706174636882a46461746181a16bc0a3626967cfffffffffffffffff",
        ),
        (
            Event::EdgeReplaced { edge: edge(json!({})) },
            "82a474797065ac456467655265706c61636564a46564676583a26964a165a6736f75726365a16ea6746172676574a16d",
        ),
        (
            Event::EdgeDeleted { edge_id: "e".parse().expect("an id") },
            "82a474797065ab4564676544656c65746564a6656467654964a165",
        ),
        (
            Event::ViewportSet {
                viewport: Viewport::from_json(&json!({"x": 0, "y": 0, "zoom": 1.5})).expect("a viewport"),
            },
            "82a474797065ab56696577706f7274536574a876696577706f727483a17800a17900a47a6f6f6dcb3ff8000000000000",
        ),
    ]
}

/// The events that came with format 3 of the stores.
#[expect(clippy::too_many_lines, reason = "one entry for each event")]
fn later_events() -> [(Event, &'static str); 10] {
    let fields = |value: Value| value.as_object().cloned().expect("an object");
    let hash = Hash::from_hex(&"ab".repeat(32)).expect("a hash");
    let (origin, version) = ("team.flow".parse().expect("a graph"), Version::EMPTY.plus(7));
    let name = || "published".parse().expect("a label");
    [
        (
            Event::NodeRestored {
                node: node(json!({"type": "input"})),
                ordinal: 300,
                created_at: Timestamp(1_763_800_000_000),
            },
            "84a474797065ac4e6f6465526573746f726564a46e6f646583a26964a16ea8706f736974696f6e82a17801a179cbc0040000\
             00000000a474797065a5696e707574a76f7264696e616ccd012ca9637265617465644174cf0000019aaaac2600",
        ),
        (
            Event::EdgeRestored {
                edge: edge(json!({})),
                ordinal: 1,
                created_at: Timestamp(1_763_800_000_000),
            },
            "84a474797065ac45646765526573746f726564a46564676583a26964a165a6736f75726365a16ea6746172676574a16da76f\
             7264696e616c01a9637265617465644174cf0000019aaaac2600",
        ),
        (
            Event::GraphCreated {
                attributes: Attributes::new(fields(json!({"title": "Flow", "tags": ["a"]}))),
                from: None,
            },
            "82a474797065ac477261706843726561746564aa6174747269627574657382a57469746c65a4466c6f77a47461677391a161",
        ),
        (
            Event::GraphCreated {
                attributes: Attributes::default(),
                from: Some(Origin { graph_id: origin, version, hash }),
            },
            "83a474797065ac477261706843726561746564aa6174747269627574657380a466726f6d83a767726170684964a97465616d\
             2e666c6f77a776657273696f6e07a468617368d9406162616261626162616261626162616261626162616261626162616261\
             6261626162616261626162616261626162616261626162616261626162616261626162",
        ),
        (
            Event::GraphUpdated { patch: MergePatch::new(fields(json!({"title": null, "owner": "ada"}))) },
            "82a474797065ac477261706855706461746564a5706174636882a57469746c65c0a56f776e6572a3616461",
        ),
        (
            Event::GraphTrashed {
                reason: Some("old".into()),
                moved_to: "g2".parse().ok(),
                purge_after: Some(Timestamp(1_763_800_000_000)),
            },
            "84a474797065ac477261706854726173686564a6726561736f6ea36f6c64a76d6f766564546fa26732aa7075726765416674\
             6572cf0000019aaaac2600",
        ),
        (Event::GraphRecovered {}, "81a474797065ae47726170685265636f7665726564"),
        (
            Event::GraphForked { graph_id: "g".parse().expect("a graph"), version, hash },
            "84a474797065ab4772617068466f726b6564a767726170684964a167a776657273696f6e07a468617368d940616261626162\
             6162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162\
             6162616261626162",
        ),
        (
            Event::VersionLabelled {
                name: name(),
                version: Some(version),
                hash: Some(hash),
                note: Some("v1".into()),
            },
            "85a474797065af56657273696f6e4c6162656c6c6564a46e616d65a97075626c6973686564a776657273696f6e07a4686173\
             68d9406162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261\
             6261626162616261626162616261626162a46e6f7465a27631",
        ),
        (
            Event::VersionLabelled { name: name(), version: None, hash: None, note: None },
            "82a474797065af56657273696f6e4c6162656c6c6564a46e616d65a97075626c6973686564",
        ),
    ]
}

fn commit(events: Vec<Event>, client: &str, outcome: Outcome) -> CommitBody {
    CommitBody {
        operation_id: OperationId::parse("0192f0c1-2345-7000-8000-0123456789ab").expect("a UUID"),
        user_id: "ada".parse().expect("a user"),
        client_id: client.parse().expect("a client"),
        is_client_named: client != "ada",
        traceparent: None,
        timestamp: Timestamp(1_763_800_000_000),
        command_type: CommandType::Batch,
        outcome,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events,
    }
}

#[test]
fn v3_every_event_is_stored_in_these_bytes() {
    for (event, expected) in events().into_iter().chain(later_events()) {
        let bytes = rmp_serde::to_vec_named(&event).expect("encodes");
        assert_eq!(hex::encode(&bytes), expected.replace(' ', ""), "{event:?}");
        let read: Event = rmp_serde::from_slice(&bytes).expect("decodes");
        assert_eq!(read, event);
    }
}

#[test]
fn v3_a_commit_is_stored_in_these_bytes() {
    let event = || vec![events()[4].0.clone()];
    let short = "87a6666f726d617401a96f7065726174696f6ec4100192f0c12345700080000123456789aba475736572a3616461\
                 a26174cf0000019aaaac2600a7636f6d6d616e64a54241544348a66576656e7473\
                 9182a474797065ab4e6f646544656c65746564a66e6f64654964a16e";
    let bytes = commit(event(), "ada", Outcome::Applied).encode();
    assert_eq!(hex::encode(&bytes[1..]), short.replace(' ', "")[2..], "defaults are left out");
    let long = commit(event(), "tab-1", Outcome::Merged);
    assert!(hex::encode(long.encode()).contains("a6636c69656e74a57461622d31"), "client: tab-1");
    assert!(hex::encode(long.encode()).contains("a76f7574636f6d65a66d6572676564"), "outcome: merged");
    assert_eq!(CommitBody::decode(&long.encode()).expect("decodes"), long);
}

#[test]
fn d1_a_client_that_was_named_like_the_user_is_told_from_none() {
    let none = commit(vec![events()[4].0.clone()], "ada", Outcome::Applied);
    let named = CommitBody { is_client_named: true, ..none.clone() };
    assert!(hex::encode(named.encode()).contains("a6636c69656e74a3616461"), "client: ada");
    for body in [none, named] {
        assert_eq!(CommitBody::decode(&body.encode()).expect("decodes"), body);
    }
}

#[test]
fn v3_what_caused_a_commit_is_stored_only_where_it_was_said() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let without = commit(vec![events()[4].0.clone()], "ada", Outcome::Applied);
    let with = CommitBody { traceparent: parent.parse().ok(), ..without.clone() };
    let (bytes, plain) = (with.encode(), without.encode());
    let field = [b"\xa5trace\xd9\x37", parent.as_bytes()].concat();
    let at = bytes.windows(field.len()).position(|window| window == field).expect("the field");
    assert_eq!([&bytes[1..at], &bytes[at + field.len()..]].concat(), plain[1..], "and nothing else differs");
    assert_eq!(CommitBody::decode(&bytes).expect("decodes"), with);
    assert_eq!(CommitBody::decode(&plain).expect("decodes").traceparent, None);
}

#[test]
fn u1_what_a_commit_undoes_or_brings_back_is_stored_only_where_it_does() {
    let plain = commit(vec![events()[4].0.clone()], "ada", Outcome::Applied);
    let undone = OperationId::parse("0192f0c1-0000-7000-8000-000000000001").expect("a UUID");
    let both = CommitBody { undoes: vec![undone], restores: Some(Version::EMPTY.plus(3)), ..plain.clone() };
    let fields = "a6756e646f657391c4100192f0c1000070008000000000000001a8726573746f72657303";
    let (bytes, without) = (hex::encode(both.encode()), hex::encode(plain.encode()));
    let at = bytes.find(fields).expect("both fields");
    assert_eq!(
        [&bytes[2..at], &bytes[at + fields.len()..]].concat(),
        without[2..],
        "and nothing else differs"
    );
    assert!(bytes[at + fields.len()..].starts_with("a66576656e7473"), "they stand before the events");
    for body in [plain, both] {
        assert_eq!(CommitBody::decode(&body.encode()).expect("decodes"), body);
    }
}

#[test]
fn e3_what_is_left_of_an_erased_commit_has_no_operation() {
    let whole = commit(vec![events()[4].0.clone()], "ada", Outcome::Applied);
    let left = CommitBody { operation_id: OperationId::ERASED, is_erased: true, ..whole.clone() };
    let (bytes, before) = (left.encode(), whole.encode());
    assert!(!hex::encode(&bytes).contains(&hex::encode(b"operation")));
    assert_eq!(bytes.len() + 10 + 18, before.len(), "the key and the id are left out");
    assert_eq!(CommitBody::decode(&bytes).expect("decodes"), left);
}

#[test]
fn v3_a_newer_format_is_refused_by_its_number() {
    let mut bytes = commit(vec![], "ada", Outcome::Applied).encode();
    let at = bytes.windows(6).position(|w| w == b"format").expect("the format comes first") + 6;
    bytes[at] = 2;
    assert!(matches!(CommitBody::decode(&bytes), Err(DecodeError::NewerFormat(2))));
    assert!(matches!(CommitBody::decode(b"\x81\xa1a\x01"), Err(DecodeError::Malformed(_))));
}
