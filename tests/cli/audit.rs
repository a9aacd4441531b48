//! The auditor's commands (rules A1 to A5): show, diff, history, verify.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    redis::RedisServer,
    server::{Process, program},
};

/// Where the data of one test is.
struct Place {
    dir: tempfile::TempDir,
    redis: Option<RedisServer>,
}

impl Place {
    fn embedded() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), redis: None }
    }

    fn redis() -> Self {
        Self { redis: Some(RedisServer::start()), ..Self::embedded() }
    }

    fn setting(&self) -> (&'static str, String) {
        match &self.redis {
            Some(redis) => ("REDIS_URL", redis.url()),
            None => ("DATA_DIR", self.dir.path().join("data").to_str().unwrap().to_owned()),
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let (name, value) = self.setting();
        program(&[(name, &value)]).args(arguments).output().unwrap()
    }

    /// What it prints when it succeeds.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeeds(arguments)).unwrap()
    }

    fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        self.succeeds(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What it prints, and the one line that says why it failed.
    fn fails(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("dao-api: "), "{error}");
        (String::from_utf8(output.stdout).unwrap(), error)
    }

    /// Some work on graph `g`, and one commit on each of two others; what HTTP answers to
    /// `paths` then.
    async fn worked_on(&self, paths: &[&str]) -> Vec<Value> {
        let (name, value) = self.setting();
        let server = Process::start(&[(name, &value)]);
        let ada = server.client().as_user("ada");
        ada.apply("g", "CREATE_NODE", json!({"id": "a", "data": {"label": "Start"}})).await;
        ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
        ada.apply("g", "CREATE_EDGE", json!({"id": "e", "source": "a", "target": "b"})).await;
        let update = json!({"nodeId": "a", "updates": {"data": {"label": "Begin"}}});
        ada.as_user("bob").apply("g", "UPDATE_NODE", update).await;
        let taken = json!({"type": "CREATE_NODE", "payload": {"id": "b", "type": "other"}});
        assert_eq!(ada.command("g", &taken).await.status, 409);
        ada.apply("g", "DELETE_NODE", json!({"nodeId": "b"})).await;
        for graph in ["f", "message"] {
            ada.apply(graph, "CREATE_NODE", json!({})).await;
        }
        let mut answers = vec![];
        for path in paths {
            answers.push(server.client().read(path).await);
        }
        server.terminate();
        assert!(server.wait().success());
        answers
    }
}

const ROUTES: [&str; 7] = [
    "/graphs/g/state",
    "/graphs/g/state?version=2",
    "/graphs/g/diff?from=2",
    "/graphs/g/operations",
    "/graphs/g/nodes/a/history",
    "/graphs/g/edges/e/history",
    "/graphs/g/verify",
];

async fn json_is_what_http_answers(place: Place) {
    let answers: [Value; 7] = place.worked_on(&ROUTES).await.try_into().unwrap();
    let [state, before, diff, operations, node, edge, verified] = answers;
    assert_eq!(place.json(&["show", "g", "--json"]), state);
    assert_eq!(place.json(&["show", "g", "--json", "--at", "2"]), before);
    assert_eq!(place.json(&["diff", "g", "--json", "--from", "2"]), diff);
    assert_eq!(json!(place.json_lines(&["history", "g", "--json"])), operations["operations"]);
    assert_eq!(json!(place.json_lines(&["history", "g", "--json", "--node", "a"])), node["history"]);
    assert_eq!(json!(place.json_lines(&["history", "g", "--json", "--edge", "e"])), edge["history"]);
    assert_eq!(place.json(&["verify", "g", "--json"]), verified);
    let all = place.json_lines(&["verify", "--all", "--json"]);
    let names: Vec<_> = all.iter().map(|line| line["graphId"].as_str().unwrap()).collect();
    assert_eq!(names, ["f", "g", "message"]);
    assert_eq!(all[1], verified);
    assert!(all.iter().all(|line| line["ok"] == true));
}

#[tokio::test]
async fn the_json_of_commands_equals_the_http_answers() {
    json_is_what_http_answers(Place::embedded()).await;
}

#[tokio::test]
async fn the_json_of_commands_equals_the_http_answers_on_redis() {
    json_is_what_http_answers(Place::redis()).await;
}

#[tokio::test]
async fn the_output_is_readable_text() {
    let place = Place::embedded();
    let answers = place.worked_on(&["/graphs/g/operations"]).await;
    let has = |text: &str, words: &[&str]| {
        words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in\n{text}"));
    };
    has(&place.succeeds(&["show", "g"]), &["g at version 5", "nodes: 1", "edges: 0", "Begin"]);
    has(&place.succeeds(&["show", "g", "--at", "3"]), &["version 3", "nodes: 2", "e from a to b", "Start"]);
    let diff = place.succeeds(&["diff", "g", "--from", "3", "--to", "5"]);
    has(&diff, &["from version 3 to 5", "- node {\"id\":\"b\"", "- edge {\"id\":\"e\"", "~ node a"]);
    has(&diff, &["/data/label: \"Start\" -> \"Begin\""]);
    has(&place.succeeds(&["diff", "g", "--from", "5", "--to", "3"]), &["+ node", "\"Begin\" -> \"Start\""]);
    has(&place.succeeds(&["diff", "g", "--from", "5"]), &["no difference"]);
    let history = place.succeeds(&["history", "g"]);
    has(&history, &["bob", "NodeUpdated a", "refused: ", "EdgeDeleted e, NodeDeleted b", "Z  ada"]);
    assert_eq!(history.lines().count(), 6);
    assert!(history.lines().next().unwrap().trim_start().starts_with('5'), "newest first");
    assert_eq!(place.succeeds(&["history", "g", "--limit", "2"]).lines().count(), 2);
    has(&place.succeeds(&["history", "g", "--node", "a"]), &["\"Start\" -> \"Begin\"", "(whole): null ->"]);
    has(&place.succeeds(&["history", "g", "--edge", "e"]), &["DELETE_NODE", "CREATE_EDGE"]);
    has(&place.succeeds(&["verify", "g"]), &["g: ok, version 5"]);
    has(
        &place.succeeds(&["verify", "--all"]),
        &["f: ok", "g: ok", "message: ok", "3 graphs verified, 0 damaged"],
    );

    // A time stands for the last version at or before it.
    let listed = answers[0]["operations"].as_array().unwrap();
    let created = listed.iter().find(|o| o["version"] == 1).unwrap()["timestamp"].as_u64().unwrap();
    assert!(place.succeeds(&["show", "g", "--at", "2020-01-01"]).contains("version 0"));
    assert!(place.succeeds(&["show", "g", "--at", "2999-12-31T23:59:59.999+00:00"]).contains("version 5"));
    assert!(created > 1_577_836_800_000, "after the year that is asked about");
    let whole = place.json(&["diff", "g", "--json", "--from", "2020-01-01", "--to", "2999-01-01"]);
    assert_eq!((&whole["from"], &whole["to"]), (&json!(0), &json!(5)));
}

#[tokio::test]
async fn a_missing_graph_or_file_is_one_line() {
    let place = Place::embedded();
    place.worked_on(&[]).await;
    for arguments in [
        &["show", "nobody"] as &[&str],
        &["diff", "nobody", "--from", "0"],
        &["history", "nobody"],
        &["history", "nobody", "--node", "a"],
        &["verify", "nobody"],
    ] {
        let (out, error) = place.fails(arguments);
        assert!(out.is_empty() && error.contains("graph nobody does not exist"), "{arguments:?}: {error}");
    }
    for arguments in [&["show", "g", "--at", "6"] as &[&str], &["diff", "g", "--from", "0", "--to", "6"]] {
        assert!(place.fails(arguments).1.contains("at version 5"));
    }
    assert!(place.fails(&["history", "g", "--node", "never"]).1.contains("never"));
    for arguments in [
        &["show", "g", "--at", "12:00"] as &[&str],
        &["diff", "g"],
        &["history", "g", "--node", "a", "--edge", "e"],
        &["verify"],
        &["verify", "g", "--all"],
    ] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a5_verify_fails_where_a_history_is_damaged() {
    let place = Place::embedded();
    place.worked_on(&[]).await;
    let connection = rusqlite::Connection::open(place.dir.path().join("data/dao.db")).unwrap();
    let damage =
        "UPDATE event SET body = x'80' WHERE key = (SELECT id FROM graph WHERE name = 'g') << 34 | 3";
    assert_eq!(connection.execute(damage, []).unwrap(), 1);
    connection.close().unwrap();

    let (out, error) = place.fails(&["verify", "g"]);
    assert!(out.contains("g: DAMAGED at version 3 of 5"), "{out}");
    assert!(error.contains("1 of 1 graph is damaged"), "{error}");
    let (out, error) = place.fails(&["verify", "--all"]);
    assert!(out.contains("f: ok") && out.contains("message: ok"), "the others are verified: {out}");
    assert!(error.contains("1 of 3 graphs is damaged"), "{error}");
    let (out, _) = place.fails(&["verify", "g", "--json"]);
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&line["ok"], &line["firstBadVersion"], &line["version"]),
        (&json!(false), &json!(3), &json!(5))
    );
    place.succeeds(&["verify", "f"]);
}
