//! The client against real servers, and against ones that misbehave; its state machine alone (`follower`), and
//! `dao-api watch`.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod fake;
mod follower;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use std::time::Duration;

use dao_api::client::{
    Address, Aim, AskError, Client, ClientError, Ending, LinkError, Operation, Point, Refused, Update, Why,
};
use dao_projections::{CommandType, Head, OperationId, Version};
use fake::Fake;
use serde_json::json;
use support::{redis::free_port, server::Process};
use tokio::time::timeout;
use uuid::Uuid;

/// What takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for a server that may end and come back.
struct Place {
    port: String,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { port: free_port().to_string(), dir: tempfile::tempdir().unwrap() }
    }

    /// A server on the data of this name.
    fn serve(&self, data: &str) -> Process {
        let data = self.dir.path().join(data);
        Process::start(&[("PORT", &self.port), ("DATA_DIR", data.to_str().unwrap())])
    }

    /// Another history of this many commits, which no client sees before it is served.
    async fn prepare(&self, data: &str, commits: usize) {
        let data = self.dir.path().join(data);
        let server = Process::start(&[("DATA_DIR", data.to_str().unwrap())]);
        for n in 0..commits {
            create(&server, &format!("other {n}")).await;
        }
        server.kill();
    }

    /// Another name for a copy of this data, which no server has open.
    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.dir.path().join(from), self.dir.path().join(to));
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn address(url: &str) -> Address {
    Address { server: url.parse().unwrap(), graph: "g".parse().unwrap(), user: Some("äda".parse().unwrap()) }
}

fn from_the_start(url: &str, aim: Aim) -> Client {
    Client::new(address(url), aim, Some(Head::EMPTY.into()))
}

async fn next(client: &mut Client) -> Update {
    let update = timeout(PATIENCE, client.next()).await;
    update.unwrap_or_else(|_late| panic!("no update: {client:?}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The next update that is not about the connection.
async fn next_change(client: &mut Client) -> Update {
    loop {
        match next(client).await {
            Update::Synced(_) | Update::Away { .. } => {}
            update => return update,
        }
    }
}

/// The versions of the next commits, which must be nothing but commits.
async fn versions(client: &mut Client, count: usize) -> Vec<u64> {
    let mut versions = vec![];
    while versions.len() < count {
        match next_change(client).await {
            Update::Commit(received) => versions.push(received.commit.version.get()),
            other => panic!("{other:?} after {versions:?}"),
        }
    }
    versions
}

async fn until_away(client: &mut Client) -> LinkError {
    loop {
        if let Update::Away { why, .. } = next(client).await {
            return why;
        }
    }
}

async fn create(server: &Process, id: &str) {
    server.client().apply("g", "CREATE_NODE", json!({"id": id})).await;
}

#[tokio::test]
async fn w4_a_client_follows_across_a_killed_server_exactly_once() {
    let place = Place::new();
    let server = place.serve("data");
    let mut client = from_the_start(&place.url(), Aim::Commits);
    create(&server, "a").await;
    create(&server, "b").await;
    assert_eq!(versions(&mut client, 2).await, [1, 2]);

    create(&server, "c").await;
    server.kill();
    until_away(&mut client).await;
    let server = place.serve("data");
    create(&server, "d").await;
    let rest: Vec<u64> = match client.follower().point().unwrap().version.get() {
        2 => versions(&mut client, 2).await,
        3 => [vec![3], versions(&mut client, 1).await].concat(), // it came before the kill
        other => panic!("at version {other}"),
    };
    assert_eq!(rest, [3, 4]);
}

#[tokio::test]
async fn c3_an_operation_made_while_the_server_is_away_is_sent_when_it_is_back() {
    let place = Place::new();
    let server = place.serve("data");
    let mut client = from_the_start(&place.url(), Aim::State);
    assert!(matches!(next(&mut client).await, Update::Synced(_)));
    server.kill();
    until_away(&mut client).await;

    let id = OperationId::from(Uuid::now_v7());
    let graph = "g".parse().unwrap();
    let payload = json!({"id": "a"});
    client.submit(Operation::command(&graph, id, Some(Version::EMPTY), CommandType::CreateNode, &payload));
    let missing = OperationId::from(Uuid::now_v7());
    let payload = json!({"nodeId": "nobody"});
    client.submit(Operation::command(&graph, missing, None, CommandType::DeleteNode, &payload));
    let server = place.serve("data");
    let (mut is_applied, mut ended) = (false, vec![]);
    while ended.len() < 2 {
        match next_change(&mut client).await {
            Update::Commit(received) => is_applied = received.commit.body.operation_id == id,
            Update::Settled(of, Ending::Completed(version)) => {
                assert!(is_applied && of == id && version.get() == 1, "{of} {version}");
                ended.push("completed");
            }
            Update::Settled(of, Ending::Failed(Refused { revert: Some(revert), .. })) => {
                assert_eq!((of, revert.code.as_str()), (missing, "NODE_NOT_FOUND"));
                ended.push("failed");
            }
            other => panic!("{other:?}"),
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, ["completed", "failed"]);
    assert_eq!(client.follower().pending().count(), 0);
    let changes = server.client().changes("g", 0).await;
    assert_eq!(changes.len(), 1);
    assert_eq!((&changes[0]["operationId"], &changes[0]["userId"]), (&json!(id), &json!("äda")));
}

#[tokio::test]
async fn w9_a_server_that_stops_says_goodbye_and_is_come_back_to() {
    let place = Place::new();
    let server = place.serve("data");
    let mut client = from_the_start(&place.url(), Aim::Commits);
    create(&server, "a").await;
    assert_eq!(versions(&mut client, 1).await, [1]);
    server.terminate();
    let why = until_away(&mut client).await;
    assert!(matches!(why, LinkError::Followed(Why::Goodbye { .. })), "{why}");
    assert!(server.wait().success());
    let server = place.serve("data");
    create(&server, "b").await;
    assert_eq!(versions(&mut client, 1).await, [2]);
}

#[tokio::test]
async fn v4_a_replaced_history_is_jumped_to() {
    for aim in [Aim::Commits, Aim::State] {
        let place = Place::new();
        let server = place.serve("data");
        let mut client = from_the_start(&place.url(), aim);
        create(&server, "a").await;
        create(&server, "b").await;
        assert_eq!(versions(&mut client, 2).await, [1, 2]);
        server.kill();
        place.prepare("another", 3).await;
        let server = place.serve("another");
        let jump = next_change(&mut client).await;
        let Update::Snapshot(snapshot) = &jump else { panic!("{jump:?}") };
        assert_eq!(snapshot.head.version.get(), 3);
        let state: serde_json::Value = serde_json::from_str(snapshot.state.get()).unwrap();
        assert_eq!(state["nodes"].as_array().unwrap().len(), 3);
        create(&server, "v").await;
        assert_eq!(versions(&mut client, 1).await, [4]);
    }
}

#[tokio::test]
async fn d8_an_edit_made_in_a_lost_history_does_not_undo_what_others_did_in_the_new_one() {
    let place = Place::new();
    let server = place.serve("data");
    create(&server, "a").await;
    server.terminate();
    assert!(server.wait().success());
    place.copy("data", "backup");
    let server = place.serve("data");
    let mut client = from_the_start(&place.url(), Aim::State);
    for id in ["b", "c", "d"] {
        create(&server, id).await;
    }
    assert_eq!(versions(&mut client, 4).await, [1, 2, 3, 4]);
    server.kill();
    until_away(&mut client).await;
    let label = |text: &str| json!({"nodeId": "a", "updates": {"data": {"label": text}}});
    let submit = |client: &mut Client, payload: serde_json::Value| {
        let (graph, id) = ("g".parse().unwrap(), OperationId::from(Uuid::now_v7()));
        let seen = Some(Version::new(4).unwrap());
        client.submit(Operation::command(&graph, id, seen, CommandType::UpdateNode, &payload));
        id
    };
    let over_bobs = submit(&mut client, label("ada's"));
    let beside_bobs = submit(&mut client, json!({"nodeId": "a", "updates": {"data": {"color": "red"}}}));

    // The backup is restored, and bob is first: he goes on past what ada had seen.
    let server = Process::start(&[("DATA_DIR", place.dir.path().join("backup").to_str().unwrap())]);
    let bob = server.client();
    bob.apply("g", "UPDATE_NODE", label("bob's")).await;
    for x in 0..4 {
        bob.apply("g", "UPDATE_NODE_POSITION", json!({"nodeId": "a", "position": {"x": x + 1, "y": 0}}))
            .await;
    }
    server.kill();
    let server = place.serve("backup");
    let mut ended = std::collections::BTreeMap::new();
    while ended.len() < 2 {
        if let Update::Settled(id, ending) = next_change(&mut client).await {
            ended.insert(id, ending);
        }
    }
    let Ending::Conflict(refused) = &ended[&over_bobs] else { panic!("{ended:?}") };
    assert_eq!(refused.code.as_deref(), Some("CONFLICT"));
    assert!(matches!(ended[&beside_bobs], Ending::Completed(_)), "{ended:?}");
    let data = server.client().state("g").await["nodes"][0]["data"].clone();
    assert_eq!(data, json!({"label": "bob's", "color": "red"}));
}

#[tokio::test]
async fn w2_no_commit_is_skipped_where_a_snapshot_is_the_shorter_way() {
    let place = Place::new();
    let process = place.serve("data");
    let (server, url) = (process.client(), place.url());
    let moves = (0..1_500).map(|x| json!({"type": "UPDATE_NODE_POSITION", "payload": {"nodeId": "a", "position": {"x": x + 1, "y": 0}}}));
    server.apply("g", "CREATE_NODE", json!({"id": "a"})).await;
    for chunk in moves.collect::<Vec<_>>().chunks(500) {
        assert_eq!(server.post("/graphs/g/batch", &json!({"operations": chunk})).await.status, 200);
    }
    let mut editor = from_the_start(&url, Aim::State);
    let first = next_change(&mut editor).await;
    assert!(matches!(&first, Update::Snapshot(s) if s.head.version.get() == 1_501), "{first:?}");

    let mut log = from_the_start(&url, Aim::Commits);
    assert_eq!(versions(&mut log, 1_501).await, (1..=1_501).collect::<Vec<_>>());
    let point = Point { version: Version::new(400).unwrap(), hash: None };
    let mut log = Client::new(address(&url), Aim::Commits, Some(point));
    assert_eq!(versions(&mut log, 1_101).await, (401..=1_501).collect::<Vec<_>>());
    server.apply("g", "CREATE_NODE", json!({"id": "b"})).await;
    assert_eq!(versions(&mut log, 1).await, [1_502]);
}

#[tokio::test]
async fn h2_the_head_is_told_without_the_state() {
    let place = Place::new();
    let process = place.serve("data");
    let (server, address) = (process.client(), address(&place.url()));
    assert_eq!(address.head().await.unwrap(), Head::EMPTY);
    let answer = server.apply("g", "CREATE_NODE", json!({})).await;
    let head = address.head().await.unwrap();
    assert_eq!((json!(head.version), json!(head.hash)), (answer["version"].clone(), answer["hash"].clone()));
}

#[tokio::test]
async fn w8_pings_are_answered_with_masked_pongs() {
    let mut fake = Fake::start().await;
    let mut client = from_the_start(&fake.url(), Aim::State);
    let serving = async {
        let mut peer = fake.accept().await;
        peer.ping(b"still there?").await;
        peer.pong().await
    };
    let pong = tokio::select! {
        pong = serving => pong,
        update = client.next() => panic!("{update:?}"),
    };
    assert_eq!(pong, b"still there?");
}

#[tokio::test]
async fn w8_a_silent_server_is_taken_for_gone_and_another_connection_is_made() {
    let mut fake = Fake::start().await;
    let mut client = from_the_start(&fake.url(), Aim::State);
    let serving = tokio::spawn(async move {
        let mut first = fake.accept().await;
        first.say(&json!({"type": "WELCOME", "heartbeatMs": 20})).await;
        let mut second = fake.accept().await;
        let subscribe = second.hear().await;
        (subscribe, first, second)
    });
    let why = until_away(&mut client).await;
    assert!(matches!(why, LinkError::Silent(after) if after == Duration::from_millis(40)), "{why}");
    let (subscribe, _first, _second) = tokio::select! {
        served = serving => served.unwrap(),
        update = client.next() => panic!("{update:?}"),
    };
    assert_eq!(subscribe["version"], 0);
}

#[tokio::test]
async fn w4_a_gap_makes_it_subscribe_anew_at_the_last_good_point() {
    let mut fake = Fake::start().await;
    let mut client = from_the_start(&fake.url(), Aim::State);
    let serving = tokio::spawn(async move {
        let mut first = fake.accept().await;
        first.sync_and_commits(3, &[1, 3]).await;
        let mut second = fake.accept().await;
        let subscribe = second.hear().await;
        second.sync_and_commits(3, &[2, 2, 3]).await;
        (subscribe, first, second)
    });
    assert_eq!(versions(&mut client, 1).await, [1]);
    let why = until_away(&mut client).await;
    assert!(matches!(why, LinkError::Followed(Why::Gap { .. })), "{why}");
    assert_eq!(versions(&mut client, 2).await, [2, 3], "the repeat is not applied twice");
    assert_eq!(serving.await.unwrap().0["version"], 1);
}

#[tokio::test]
async fn w2_a_store_that_is_away_is_asked_again_on_the_same_connection() {
    let mut fake = Fake::start().await;
    let mut client = from_the_start(&fake.url(), Aim::State);
    let serving = tokio::spawn(async move {
        let mut peer = fake.accept().await;
        peer.hear().await;
        peer.say(&json!({"type": "ERROR", "code": "STORE_UNAVAILABLE", "message": "away", "graphId": "g"}))
            .await;
        let again = peer.hear().await;
        peer.sync_and_commits(1, &[1]).await;
        (again, peer)
    });
    let warning = next(&mut client).await;
    assert!(matches!(&warning, Update::Warning(complaint) if complaint.code == "STORE_UNAVAILABLE"));
    assert_eq!(versions(&mut client, 1).await, [1]);
    assert_eq!(serving.await.unwrap().0["type"], "SUBSCRIBE");
}

#[tokio::test]
async fn h1_a_server_that_says_no_is_not_asked_again_one_that_is_busy_is() {
    let mut fake = Fake::start().await;
    let mut client = from_the_start(&fake.url(), Aim::State);
    let serving = tokio::spawn(async move {
        fake.refuse(503, "too many connections").await;
        fake.refuse(403, "no right to read g").await;
    });
    let why = until_away(&mut client).await;
    assert!(matches!(why, LinkError::Unavailable { status: 503, .. }), "{why}");
    let error = timeout(PATIENCE, client.next()).await.unwrap().expect_err("it is refused");
    assert!(
        matches!(&error, ClientError::Refused { status: 403, detail } if detail.contains("g")),
        "{error}"
    );
    serving.await.unwrap();
}

#[tokio::test]
async fn what_is_no_server_is_said_so() {
    let nobody = address(&format!("http://127.0.0.1:{}", free_port()));
    let error = nobody.head().await.expect_err("nobody is there");
    assert!(matches!(error, AskError::Link(LinkError::Unreachable(_))), "{error}");
    let mut client = Client::new(nobody, Aim::State, None);
    for _ in 0..2 {
        assert!(matches!(next(&mut client).await, Update::Away { why: LinkError::Unreachable(_), .. }));
    }
}
