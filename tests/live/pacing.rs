//! Several commits in one write (decision 0134): what waits and what does not, and that nothing is lost by it.
//!
//! No test here measures time. A pause of an hour shows what ends it: whatever is not taken along by something else
//! does not come. Not here: how long a pause is, and from which rate on there is one (`src/live/pacing.rs`,
//! `tests/simulation`).

use std::{collections::HashMap, time::Duration};

use dao_api::{
    http::SocketConfig,
    live::{LiveConfig, PacingConfig},
};
use serde_json::{Value, json};

use crate::support::{
    graph::new_id,
    openmetrics::Exposition,
    server::Server,
    stream::Stream,
    ws::{Came, EVERY_SPEECH, FIN, PING, Ws, frame},
};

const HOUR: Duration = Duration::from_secs(3_600);
/// What does not come in this time does not come.
const PATIENCE: Duration = Duration::from_secs(20);

async fn paced(deliveries_per_second: u64, pause: Duration) -> Server {
    let pacing = PacingConfig { deliveries_per_second, pause };
    let live = LiveConfig { pacing, ..LiveConfig::default() };
    Server::with_sockets(SocketConfig { live, ..SocketConfig::default() }).await
}

async fn grow(server: &Server, graph: &str, names: impl IntoIterator<Item = &str>) {
    for name in names {
        server.apply(graph, "CREATE_NODE", json!({"id": name})).await;
    }
}

/// The next message, which is this version's.
#[track_caller]
fn update(ws: &mut Ws, version: u64) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let message = tokio::time::timeout(PATIENCE, ws.recv()).await;
        let message = message.unwrap_or_else(|_| panic!("{caller}: nothing comes"));
        assert_eq!(
            (&message["type"], &message["version"]),
            (&json!("STATE_UPDATE"), &json!(version)),
            "{caller}"
        );
    }
}

async fn sample(server: &Server, name: &str) -> f64 {
    let reply = server.get("/metrics").await;
    Exposition::read(std::str::from_utf8(&reply.body).unwrap()).value(name, &[])
}

#[tokio::test]
async fn w4_below_the_rate_no_commit_waits() {
    let server = paced(u64::MAX, HOUR).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    for (name, version) in [("a", 1), ("b", 2), ("c", 3)] {
        grow(&server, "g", [name]).await;
        update(&mut ws, version).await;
    }
}

#[tokio::test]
async fn w4_above_the_rate_a_commit_comes_when_the_pause_is_over() {
    let server = paced(0, Duration::from_millis(20)).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    let mut stream = Stream::open(&server, "/graphs/g/events?since=0", &[]).await;
    ws.expect("SYNC").await;
    for (name, version) in [("a", 1), ("b", 2), ("c", 3)] {
        grow(&server, "g", [name]).await;
        update(&mut ws, version).await;
        assert_eq!(stream.event().await.unwrap().data["version"], version);
    }
}

#[tokio::test]
async fn w4_one_write_carries_all_commits_of_a_pause() {
    let server = paced(0, HOUR).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
    let before = sample(&server, "dao_websocket_sends_total").await;
    let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    grow(&server, "g", names.iter().map(String::as_str)).await;
    let updates = ws.so_far().await;
    assert_eq!(
        updates.iter().map(|m| m["version"].as_u64().unwrap()).collect::<Vec<_>>(),
        Vec::from_iter(1..=40)
    );
    // A write is counted once it has returned: the first of these surely, the second perhaps.
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
    let sends = sample(&server, "dao_websocket_sends_total").await - before;
    assert!((1.0..=3.0).contains(&sends), "{sends} writes for 40 commits and two PONGs");
}

#[tokio::test]
async fn w5_answers_never_wait_and_commits_that_are_due_go_before_them() {
    for speech in EVERY_SPEECH {
        let server = paced(0, HOUR).await;
        let mut ws = Ws::connect_as(server.address(), "?graphId=g", speech).await;
        ws.expect("SYNC").await;
        grow(&server, "g", ["a"]).await;
        // An ACK comes after the commit that it acknowledges, and that after those before it.
        ws.command("g", "CREATE_NODE", json!({"id": "b"})).await;
        update(&mut ws, 1).await;
        update(&mut ws, 2).await;
        assert_eq!(ws.expect("ACK").await["version"], 2);
        // A REVERT names a version: the commits up to it are there.
        grow(&server, "g", ["c"]).await;
        ws.command("g", "CREATE_NODE", json!({"id": "c", "data": {"label": "another"}})).await;
        update(&mut ws, 3).await;
        assert_eq!(ws.expect("REVERT").await["version"], 3);
        // So does a PONG.
        grow(&server, "g", ["d", "e"]).await;
        ws.send(&json!({"type": "PING"})).await;
        update(&mut ws, 4).await;
        update(&mut ws, 5).await;
        assert_eq!(ws.expect("PONG").await["versions"]["g"], 5);
        // What is written in any case takes them along: an answer of another graph, and a control frame.
        grow(&server, "g", ["f"]).await;
        ws.command("other", "CREATE_NODE", json!({"id": "a"})).await;
        update(&mut ws, 6).await;
        ws.expect("ACK").await;
        grow(&server, "g", ["g"]).await;
        ws.write(&frame(FIN | PING, b"x")).await;
        assert_eq!(ws.next().await, Came::Pong(b"x".to_vec()));
        update(&mut ws, 7).await;
    }
}

#[tokio::test]
async fn w2_a_sync_never_waits_and_commits_that_are_due_go_with_it() {
    let server = paced(0, HOUR).await;
    // Graphs in memory: a read that ends would end the pause.
    grow(&server, "g", ["0"]).await;
    grow(&server, "h", ["0"]).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    grow(&server, "g", ["a"]).await;
    ws.send(&json!({"type": "SUBSCRIBE", "graphId": "h"})).await;
    let both = [ws.recv().await, ws.recv().await];
    let kinds = both.map(|message| message["type"].as_str().unwrap().to_owned());
    assert!(kinds.contains(&"SYNC".to_owned()) && kinds.contains(&"STATE_UPDATE".to_owned()), "{kinds:?}");
    // Subscribing again starts over: what was due is part of what follows.
    grow(&server, "g", ["b"]).await;
    let sync = ws.subscribe("g", json!({"version": 2})).await;
    assert_eq!((&sync["status"], &sync["version"]), (&json!("replay"), &json!(3)));
    update(&mut ws, 3).await;
}

#[tokio::test]
async fn w7_presence_takes_along_what_is_due() {
    let server = paced(0, HOUR).await;
    grow(&server, "g", ["0"]).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    let mut other = Ws::connect(server.address(), "?graphId=g&clientId=other").await;
    ws.expect("SYNC").await;
    other.expect("SYNC").await;
    // Everything is sent, and a pause begins.
    assert_eq!(ws.so_far().await, [] as [Value; 0]);
    grow(&server, "g", ["a"]).await;
    other.send(&json!({"type": "PRESENCE", "graphId": "g", "state": {"x": 1}})).await;
    assert_eq!(ws.expect("PRESENCE").await["clientId"], "other");
    update(&mut ws, 2).await;
}

#[tokio::test]
async fn w9_w10_the_end_of_a_subscription_a_connection_or_a_server_delivers_what_is_due() {
    let server = paced(0, HOUR).await;
    let mut leaving = Ws::connect(server.address(), "?graphId=g").await;
    let mut closing = Ws::connect(server.address(), "?graphId=g").await;
    let mut staying = Ws::connect(server.address(), "?graphId=g").await;
    for ws in [&mut leaving, &mut closing, &mut staying] {
        ws.expect("SYNC").await;
    }
    let mut stream = Stream::open(&server, "/graphs/g/events?since=0", &[]).await;
    grow(&server, "g", ["a"]).await;
    assert_eq!(stream.event().await.unwrap().data["version"], 1, "it had nothing yet");
    grow(&server, "g", ["b"]).await;
    leaving.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
    update(&mut leaving, 1).await;
    update(&mut leaving, 2).await;
    grow(&server, "g", ["c"]).await;
    assert_eq!(leaving.so_far().await, [] as [Value; 0]);
    closing.write(&frame(0x88, b"")).await;
    for version in 1..=3 {
        update(&mut closing, version).await;
    }
    assert_eq!(closing.next().await, Came::Close(None, String::new()));
    drop((leaving, closing));
    let stopped = tokio::spawn(server.stop());
    for version in 1..=3 {
        update(&mut staying, version).await;
    }
    staying.expect("GOODBYE").await;
    staying.expect_close(1012).await;
    for version in 2..=3 {
        assert_eq!(stream.event().await.unwrap().data["version"], version);
    }
    assert_eq!(stream.event().await, None);
    drop((staying, stream));
    stopped.await.unwrap();
}

/// W6: a reader that is behind has no pause, so what it takes makes room for more.
#[tokio::test]
async fn w6_a_slow_reader_gets_everything_without_a_pause() {
    const COMMITS: u64 = 150;
    let server = paced(0, HOUR).await;
    let mut ws = Ws::connect(server.address(), "?graphId=g").await;
    ws.expect("SYNC").await;
    for n in 0..COMMITS {
        let text: String = (0..1_500).map(|_| new_id()).collect();
        server.apply("g", "CREATE_NODE", json!({"id": n.to_string(), "data": {"text": text}})).await;
    }
    // 8 MB: more than the send queue and the system take at once. One PING ends the pause.
    ws.send(&json!({"type": "PING"})).await;
    let mut at = 0;
    while at < COMMITS {
        let message = ws.recv().await;
        match message["type"].as_str().unwrap() {
            "SYNC" => at = message["version"].as_u64().unwrap(),
            "STATE_UPDATE" => {
                assert_eq!(message["version"], at + 1);
                at += 1;
            }
            other => assert_eq!(other, "PONG"),
        }
    }
}

/// W6: a socket that takes no byte for 30 s is closed, whatever waits for it.
#[tokio::test]
async fn w6_a_stalled_reader_is_closed_by_its_time_out() {
    for deliveries_per_second in [0, u64::MAX] {
        let server = paced(deliveries_per_second, Duration::from_millis(25)).await;
        let mut stalled = Ws::connect(server.address(), "?graphId=g").await;
        stalled.expect("SYNC").await;
        let mut reader = Ws::connect(server.address(), "?graphId=g").await;
        reader.expect("SYNC").await;
        for n in 1..=100 {
            let text = "x".repeat(200_000);
            server.apply("g", "CREATE_NODE", json!({"id": n.to_string(), "data": {"text": text}})).await;
            update(&mut reader, n).await;
        }
        // 20 MB, of which it has taken none, and the system what it takes.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
        let dropped = || async {
            let reply = server.get("/metrics").await;
            let text = std::str::from_utf8(&reply.body).unwrap();
            Exposition::read(text).value("dao_websocket_dropped_total", &[("reason", "slow")])
        };
        while dropped().await == 0.0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(reader.so_far().await, [] as [Value; 0]);
    }
}

/// What one client of the storm checks: every version once, in order, under the one hash that it has.
struct Held {
    at: u64,
    hash: String,
    hashes: HashMap<u64, String>,
    /// Commands and PINGs of this connection.
    unanswered: usize,
}

impl Held {
    fn take(&mut self, message: &Value) {
        let version = || message["version"].as_u64().unwrap();
        match message["type"].as_str().unwrap() {
            "SYNC" if message["status"] == "snapshot" => self.stand(version(), message),
            "SYNC" => assert!(version() >= self.at, "a SYNC is never older than the client's own point"),
            "STATE_UPDATE" => {
                assert_eq!(version(), self.at + 1, "no gap and no repeat");
                self.stand(version(), message);
            }
            "ACK" => {
                self.unanswered -= 1;
                assert!(version() <= self.at, "an ACK comes after its commit");
            }
            "PONG" => self.unanswered -= 1,
            "PRESENCE" => {}
            other => panic!("{other}: {message}"),
        }
    }

    fn stand(&mut self, version: u64, message: &Value) {
        (self.at, self.hash) = (version, message["hash"].as_str().unwrap().to_owned());
        let known = self.hashes.entry(version).or_insert_with(|| self.hash.clone());
        assert_eq!(*known, self.hash, "one history");
    }
}

/// Numbers that a seed decides.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// One client: it follows, writes, shows presence, reads slowly, leaves, comes back where it was, vanishes.
async fn live_through(address: std::net::SocketAddr, seed: u64, head: u64) -> Held {
    let mut draw = Draw(seed);
    let (at, hash) = (0, "0".repeat(64));
    let mut held = Held { at, hash, hashes: HashMap::new(), unanswered: 0 };
    while held.at < head {
        let speech = EVERY_SPEECH[draw.below(4) as usize];
        let mut ws = Ws::connect_as(address, &format!("?clientId=c{seed}"), speech).await;
        let point =
            |held: &Held| json!({"type": "SUBSCRIBE", "graphId": "g", "version": held.at, "hash": held.hash});
        ws.send(&point(&held)).await;
        held.unanswered = 0;
        for _ in 0..1 + draw.below(60) {
            if held.at >= head {
                break;
            }
            match draw.below(12) {
                0 => ws.send(&json!({"type": "PRESENCE", "graphId": "g", "state": {"n": held.at}})).await,
                1 => {
                    held.unanswered += 1;
                    ws.send(&json!({"type": "PING"})).await;
                }
                2 => {
                    held.unanswered += 1;
                    ws.command("g", "CREATE_NODE", json!({"id": new_id()})).await;
                }
                // Who leaves without an answer gets it without its commit; and the next PONG has to be the one.
                3 if held.unanswered == 0 => {
                    // What comes up to the PONG came before it left; then it comes back to where it is.
                    ws.send(&json!({"type": "UNSUBSCRIBE", "graphId": "g"})).await;
                    for message in ws.so_far().await {
                        held.take(&message);
                    }
                    ws.send(&point(&held)).await;
                }
                // It reads nothing for a while: how long is its own pace, and nothing waits for it.
                4 => tokio::time::sleep(Duration::from_millis(draw.below(60))).await,
                _ => {}
            }
            held.take(&ws.recv().await);
        }
    }
    held
}

/// W2 to W5, W10 with pauses: fast and slow readers that write, leave, resume in the middle and show presence get every
/// commit once, in order. `PACING_SEED` runs one of the seeds again.
#[tokio::test]
async fn w4_with_pauses_order_and_completeness_are_the_same() {
    const COMMITS: u64 = 250;
    let only = std::env::var("PACING_SEED").ok().map(|text| text.parse::<u64>().expect("a number"));
    for (turn, pause_ms) in [1, 7, 40].into_iter().enumerate() {
        let server = paced(0, Duration::from_millis(pause_ms)).await;
        let address = server.address();
        let seeds =
            (0..24).map(|n| turn as u64 * 100 + n).filter(|seed| only.is_none_or(|only| only == *seed));
        let clients: Vec<_> =
            seeds.map(|seed| (seed, tokio::spawn(live_through(address, seed, COMMITS)))).collect();
        let writer = server.as_user("writer");
        for n in 0..COMMITS {
            writer.apply("g", "CREATE_NODE", json!({"id": format!("w{n}")})).await;
        }
        let mut log = HashMap::new();
        let mut all = vec![];
        for (seed, client) in clients {
            all.push((seed, client.await.unwrap_or_else(|e| panic!("PACING_SEED={seed}: {e}"))));
        }
        for commit in server.changes("g", 0).await {
            log.insert(commit["version"].as_u64().unwrap(), commit["hash"].as_str().unwrap().to_owned());
        }
        for (seed, held) in all {
            for (version, hash) in &held.hashes {
                assert_eq!(
                    log.get(version),
                    Some(hash),
                    "PACING_SEED={seed}: what it was told is in the log"
                );
            }
        }
    }
}
