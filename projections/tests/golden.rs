//! What is stored, byte for byte (rule V3). A change here breaks every history that exists: give
//! the new form a new format number and read the old one still.

use dao_projections::{
    CommandType, CommitBody, DecodeError, Edge, Event, MergePatch, Node, OperationId, Outcome, Position,
    Timestamp, Viewport,
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
        events,
    }
}

#[test]
fn v3_every_event_is_stored_in_these_bytes() {
    for (event, expected) in events() {
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
fn v3_a_newer_format_is_refused_by_its_number() {
    let mut bytes = commit(vec![], "ada", Outcome::Applied).encode();
    let at = bytes.windows(6).position(|w| w == b"format").expect("the format comes first") + 6;
    bytes[at] = 2;
    assert!(matches!(CommitBody::decode(&bytes), Err(DecodeError::NewerFormat(2))));
    assert!(matches!(CommitBody::decode(b"\x81\xa1a\x01"), Err(DecodeError::Malformed(_))));
}
