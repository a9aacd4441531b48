//! `dao-api watch` as a person runs it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::{Value, json};

use crate::{
    PATIENCE, Place, create,
    support::{redis::free_port, server::program},
};

/// A running `dao-api watch`.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(arguments: &[&str]) -> Self {
        let mut command = program(&[]);
        command.arg("watch").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}: {}", self.said()))
    }

    /// The next line that is about a commit, without its time.
    fn commit(&mut self) -> String {
        loop {
            let line = self.line();
            if !line.starts_with("-- ") {
                let (time, rest) = line.split_at(8);
                let digits = time.bytes().enumerate().all(|(at, byte)| match at {
                    2 | 5 => byte == b':',
                    _ => byte.is_ascii_digit(),
                });
                assert!(digits, "{line}");
                return rest.split_whitespace().collect::<Vec<_>>().join(" ");
            }
        }
    }

    /// The next line that is not about a commit.
    fn notice(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("-- ").unwrap_or_else(|| panic!("a commit: {line}")).to_owned()
    }

    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, and what it said on standard error.
    fn ended(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.said())
    }

    fn said(&mut self) -> String {
        let _ended_already = self.child.kill();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

#[tokio::test]
async fn watch_says_in_words_what_happened_and_what_happens() {
    let place = Place::new();
    let server = place.serve("data");
    let ada = server.client().as_user("ada");
    ada.apply("g", "CREATE_NODE", json!({"id": "a", "position": {"x": 1, "y": 2}})).await;
    ada.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    ada.apply("g", "CREATE_EDGE", json!({"id": "e1", "source": "a", "target": "b"})).await;
    let url = place.url();
    let mut watch = Watch::start(&["g", "--from", "0", "--url", &url]);
    assert_eq!(watch.notice(), "g is at version 3; times are UTC");
    assert_eq!(watch.commit(), "1 ada created node a at 1,2");
    assert_eq!(watch.commit(), "2 ada created node b at 0,0");
    assert_eq!(watch.commit(), "3 ada connected a → b (e1)");

    let bob = server.client().as_user("bob");
    bob.apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": 10, "y": 20}})).await;
    assert_eq!(watch.commit(), "4 bob moved node a to 10,20");
    let stale = json!({"type": "UPDATE_NODE", "clientVersion": 3,
        "payload": {"nodeId": "a", "updates": {"data": {"label": "x"}}}});
    ada.accept("g", &stale).await;
    assert_eq!(watch.commit(), "5 ada changed /data/label of node a (merged)");
    bob.apply("g", "DELETE_NODE", json!({"nodeId": "a"})).await;
    assert_eq!(watch.commit(), "6 bob deleted node a and 1 edge");
}

#[tokio::test]
async fn watch_begins_now_unless_told_otherwise() {
    let place = Place::new();
    let server = place.serve("data");
    create(&server, "a").await;
    create(&server, "b").await;
    let url = place.url();
    let mut now = Watch::start(&["g", "--url", &url]);
    assert_eq!(now.notice(), "g is at version 2; times are UTC");
    let mut after = Watch::start(&["g", "--url", &url, "--from", "1"]);
    assert_eq!(after.notice(), "g is at version 2; times are UTC");
    assert_eq!(after.commit(), "2 anonymous created node b at 0,0");
    create(&server, "c").await;
    for watch in [&mut now, &mut after] {
        assert_eq!(watch.commit(), "3 anonymous created node c at 0,0");
    }
}

#[tokio::test]
async fn watch_json_prints_commits_exactly_as_the_server_sent_them() {
    let place = Place::new();
    let server = place.serve("data");
    server.client().apply("g", "CREATE_NODE", json!({"id": "a", "data": {"é": [1.5, 1e300, -0.0]}})).await;
    let mut lines = vec![];
    let mut watch = Watch::start(&["g", "--json", "--from", "0", "--url", &place.url()]);
    lines.push(watch.line());
    // Many small moves: a snapshot is shorter, so the rest of another reader is fetched over HTTP.
    let moves = (1..=200).map(
        |x| json!({"type": "UPDATE_NODE_POSITION", "payload": {"nodeId": "a", "position": {"x": x, "y": 0}}}),
    );
    let batch = json!({"operations": moves.collect::<Vec<_>>()});
    assert_eq!(server.client().post("/graphs/g/batch", &batch).await.status, 200);
    lines.extend((0..200).map(|_| watch.line()));
    let versions = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["version"].as_u64());
    assert!(versions.eq((1..=201).map(Some)));

    let mut another = Watch::start(&["g", "--json", "--from", "0", "--url", &place.url()]);
    let again: Vec<String> = (0..201).map(|_| another.line()).collect();
    assert_eq!(again, lines, "live or fetched, a commit is the same text");
    let body = server.client().get("/graphs/g/changes?since=0").await.body;
    let body = String::from_utf8(body).unwrap();
    assert!(lines.iter().all(|line| body.contains(line)));
    watch.interrupt();
    let (code, said) = watch.ended();
    assert_eq!(code, Some(0));
    assert!(said.contains("g is at version 1;"), "{said}");
}

#[tokio::test]
async fn watch_goes_on_after_a_restart_and_says_so() {
    let place = Place::new();
    let server = place.serve("data");
    create(&server, "a").await;
    let mut watch = Watch::start(&["g", "--url", &place.url(), "--from", "0"]);
    assert_eq!(watch.commit(), "1 anonymous created node a at 0,0");
    server.kill();
    assert!(watch.notice().contains("trying again in"));
    let server = place.serve("data");
    create(&server, "b").await;
    assert_eq!(watch.commit(), "2 anonymous created node b at 0,0");
    server.kill();

    place.prepare("another", 3).await;
    let server = place.serve("another");
    loop {
        let notice = watch.notice();
        if notice.starts_with("jumped to version 3 (snapshot)") {
            break;
        }
        assert!(notice.contains("trying again in") || notice.starts_with("connected again"), "{notice}");
    }
    create(&server, "w").await;
    assert_eq!(watch.commit(), "4 anonymous created node w at 0,0");
}

#[tokio::test]
async fn watch_ends_well_when_it_is_interrupted_or_nobody_reads_on() {
    let place = Place::new();
    let server = place.serve("data");
    create(&server, "a").await;
    let url = place.url();
    let mut watch = Watch::start(&["g", "--url", &url]);
    watch.notice();
    watch.interrupt();
    assert_eq!(watch.ended(), (Some(0), String::new()));

    let mut command = program(&[]);
    command.args(["watch", "g", "--from", "0", "--url", &url]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // and closes it
    create(&server, "b").await;
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[tokio::test]
async fn watch_says_what_to_do_when_there_is_no_server() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    for arguments in [vec!["g"], vec!["g", "--from", "0"], vec!["g", "--json"]] {
        let mut watch = Watch::start(&[&arguments[..], &["--url", &nobody]].concat());
        let (code, said) = watch.ended();
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(
            said.contains("dao-api serve") && said.contains(&nobody) && said.contains("--wait"),
            "{said}"
        );
    }
    let mut unnamed = Watch::start(&["g"]); // PORT is 0 in these tests
    let (code, said) = unnamed.ended();
    assert_eq!(code, Some(1));
    assert!(said.contains("--url"), "{said}");
}

#[tokio::test]
async fn watch_waits_for_a_server_if_told_to() {
    let place = Place::new();
    for arguments in [vec!["g", "--wait"], vec!["g", "--wait", "--from", "0"]] {
        let mut watch = Watch::start(&[&arguments[..], &["--url", &place.url()]].concat());
        assert!(watch.notice().contains("trying again in"));
        let server = place.serve("data");
        loop {
            let notice = watch.notice();
            if notice == "g is at version 0; times are UTC" {
                break;
            }
            assert!(notice.contains("trying again in"), "{notice}");
        }
        server.kill();
    }
}

#[test]
fn watch_refuses_what_it_can_not_mean() {
    for (arguments, word) in [
        (["g", "--url", "https://example.org?x"], "must end with the path"),
        (["g", "--url", "localhost:3000"], "http://"),
        (["g", "--from", "-1"], "-1"),
        (["g", "--from", "9223372036854775808"], "9223372036854775807"),
        (["no/graph", "--from", "0"], "must match"),
    ] {
        let (code, said) = Watch::start(&arguments).ended();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(word), "{word:?} in {said}");
    }
}
