//! Rules V6 and C3 when processes die: what was acknowledged is there once, what was not can be
//! sent again. The processes are real, and so is SIGKILL.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dao_api::store::{
    EventStore,
    redis::{RedisConfig, RedisStore},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::support::{
    graph::assert_invariants,
    http::{Client, Request},
    journal,
    load::{Ledger, assert_kept, nth, operations_in, stubborn, wait_for},
    redis::RedisServer,
    server::{Process, embedded_store},
};

const GRAPHS: [&str; 2] = ["one", "two"];
const CLIENTS: usize = 6;

/// A client that sends one command after the other until the server is gone. Each acknowledgement
/// is told to `acknowledged`.
fn load(
    client: Client,
    number: usize,
    round: usize,
    ledger: Ledger,
    acknowledged: mpsc::UnboundedSender<()>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        for n in 0.. {
            let graph = GRAPHS[(number + n) % GRAPHS.len()];
            let envelope = nth(number, round, n);
            let id = ledger.sending(graph, &envelope);
            let path = format!("/graphs/{graph}/command");
            let request = crate::support::http::Request::post(&path, envelope.to_string());
            let Ok(reply) = client.send(&request).await else { return };
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            ledger.acknowledged(&id, &reply);
            let _nobody_counts = acknowledged.send(());
        }
    })
}

/// Rule C3: sends again what has no answer. What is stored already is found, the rest is done now.
async fn send_again(client: &Client, ledger: &Ledger, stored: &HashMap<String, u64>) {
    for (id, sent) in ledger.unanswered() {
        let reply = client.command(sent.graph, &sent.envelope).await;
        assert_eq!(reply.status, 200, "{sent:?}");
        let answer = reply.json();
        assert_eq!(answer["duplicate"] == true, stored.contains_key(&id), "{answer}");
        if let Some(version) = stored.get(&id) {
            assert_eq!(answer["version"], *version);
        }
        ledger.acknowledged(&id, &reply);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_c3_kill_9_of_the_server_over_and_over() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DATA_DIR", dir.path().to_str().unwrap())];
    let ledger = Ledger::default();
    let mut unmoved = 0;
    for round in 0..6 {
        let server = Process::start(&settings);
        let stored_before: Vec<_> = ledger.all();
        let (sender, mut acknowledged) = mpsc::unbounded_channel();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| load(server.client(), number, round, ledger.clone(), sender.clone()))
            .collect();
        wait_for(&mut acknowledged, 30 + 17 * round).await;
        server.kill();
        unmoved += journal::unmoved(dir.path());
        for client in clients {
            client.await.unwrap();
        }
        assert!(ledger.all().len() > stored_before.len() + 30);

        let store = embedded_store(dir.path());
        let stored = operations_in(&*store, &GRAPHS).await;
        assert_kept(&ledger, &stored);
        store.close().await;
        drop(store);

        let server = Process::start(&settings);
        send_again(&server.client(), &ledger, &stored).await;
        for name in GRAPHS {
            assert_invariants(&server.client().state(name).await);
        }
        server.kill();
    }
    let store = embedded_store(dir.path());
    let stored = operations_in(&*store, &GRAPHS).await;
    assert_kept(&ledger, &stored);
    assert_eq!(stored.len(), ledger.all().len(), "every operation has exactly one effect");
    assert!(unmoved > 0, "some of it was in the journal only when the server was killed");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_h4_kill_9_of_redis_under_two_servers() {
    let mut redis = RedisServer::with(&["--appendfsync", "always"]);
    let url = redis.url();
    let servers = [Process::start(&[("REDIS_URL", &url)]), Process::start(&[("REDIS_URL", &url)])];
    let (ledger, stop) = (Ledger::default(), Arc::new(AtomicBool::new(false)));
    let (sender, mut acknowledged) = mpsc::unbounded_channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| stubborn(servers[n % 2].client(), n, &GRAPHS, ledger.clone(), sender.clone(), stop.clone()))
        .collect();
    for _ in 0..3 {
        wait_for(&mut acknowledged, 60).await;
        redis.kill();
        // A state in memory is still served, and marked (H4).
        let state = servers[0].client().get("/graphs/one/state").await;
        assert_eq!((state.status, state.header("x-stale")), (200, Some("true")));
        let known = Request::get("/graphs/one/state").header("if-none-match", state.header("etag").unwrap());
        let unchanged = servers[0].client().ask(known).await;
        assert!(
            unchanged.status == 200 || unchanged.header("x-stale") == Some("true"),
            "{}",
            unchanged.status
        );
        servers[0].client().get("/readyz").await.problem(503, "STORE_UNAVAILABLE");
        redis.restart();
        while acknowledged.try_recv().is_ok() {} // those from before
    }
    wait_for(&mut acknowledged, 60).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // Without a restart; connections that only read may be made again a moment later.
    let ready = async {
        while servers[0].client().get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ready).await.expect("it is ready again");

    let config = RedisConfig::at(url, Duration::from_secs(86_400));
    let store = RedisStore::connect(config).await.unwrap();
    let stored = operations_in(&store, &GRAPHS).await;
    assert_kept(&ledger, &stored);
    assert_eq!(stored.len(), ledger.all().len(), "every operation has exactly one effect");
    for name in GRAPHS {
        let states = [servers[0].client().state(name).await, servers[1].client().state(name).await];
        assert_eq!(states[0], states[1]);
        assert_invariants(&states[0]);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v6_sigterm_answers_what_was_read_and_ends_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let ledger = Ledger::default();
    let (sender, mut acknowledged) = mpsc::unbounded_channel();
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| load(server.client(), number, 0, ledger.clone(), sender.clone())).collect();
    wait_for(&mut acknowledged, 100).await;
    server.terminate();
    for client in clients {
        client.await.unwrap();
    }
    let status = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));

    let store = embedded_store(dir.path());
    let stored = operations_in(&*store, &GRAPHS).await;
    assert_kept(&ledger, &stored);
    let unanswered: Vec<_> =
        ledger.unanswered().into_iter().filter(|(id, _)| stored.contains_key(id)).collect();
    assert!(unanswered.is_empty(), "read, done, and not answered: {unanswered:?}");
    store.close().await;
}
