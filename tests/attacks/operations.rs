//! Operation ids and subscriptions that are used to hide or take away what is somebody else's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    http::{Client, Reply, Request},
    redis::RedisServer,
    server::Process,
};

/// Address space that a sound server stays far below, in KiB.
const ADDRESS_SPACE_KIB: u64 = 4 << 20;
const SECRET: &str = "a secret of tests, of 32 bytes or more";

/// A server that asks for tokens, over one of the stores.
struct Target {
    process: Process,
    _dir: tempfile::TempDir,
    redis: Option<RedisServer>,
}

impl Target {
    fn embedded() -> Self {
        Self::start(None)
    }

    fn on_redis() -> Self {
        Self::start(Some(RedisServer::start()))
    }

    fn start(redis: Option<RedisServer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let url = redis.as_ref().map(RedisServer::url);
        // Without projectors: what they ask of Redis would be counted with the look-ups.
        let mut settings = vec![("DATA_DIR", path.as_str()), ("JWT_SECRET", SECRET), ("PROJECTORS", "off")];
        settings.extend(url.as_deref().map(|url| ("REDIS_URL", url)));
        let process = Process::start_within(ADDRESS_SPACE_KIB, &settings);
        Self { process, _dir: dir, redis }
    }

    fn user(&self, name: &str, graphs: &Value) -> User {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"sub": name, "graphs": graphs, "exp": now_s + 3_600});
        let token =
            encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        User { client: self.process.client(), token }
    }
}

/// Somebody with rights on some graphs.
struct User {
    client: Client,
    token: String,
}

impl User {
    async fn ask(&self, request: Request) -> Reply {
        self.client.ask(request.header("authorization", format!("Bearer {}", self.token))).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(Request::get(path)).await
    }

    /// A command under this id; its status.
    async fn send(&self, graph: &str, id: &str, kind: &str, payload: Value) -> u16 {
        let envelope = json!({"type": kind, "operationId": id, "payload": payload});
        self.ask(Request::post(&format!("/graphs/{graph}/command"), envelope.to_string())).await.status
    }

    async fn create(&self, graph: &str, id: &str) -> u16 {
        self.send(graph, id, "CREATE_NODE", json!({"id": Uuid::now_v7().to_string()})).await
    }

    /// What is refused and remembered.
    async fn fail(&self, graph: &str, id: &str) -> u16 {
        self.send(graph, id, "DELETE_NODE", json!({"nodeId": "nowhere"})).await
    }

    /// The graph of the record, and its status.
    async fn outcome(&self, id: &str) -> (String, String) {
        let reply = self.get(&format!("/operations/{id}")).await;
        let found = reply.json();
        assert_eq!(reply.status, 200, "{found}");
        (found["graphId"].as_str().unwrap().to_owned(), found["status"].as_str().unwrap().to_owned())
    }
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// Runs an attack on a server over each store.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::attacks::$name(super::Target::embedded()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::attacks::$name(super::Target::on_redis()).await;
            })*
        }
    };
}

on_every_store! {
    h_a_copied_id_hides_nothing
    h_an_id_that_is_used_in_very_many_graphs_is_still_its_authors
    o1_unknown_and_forbidden_operations_are_alike
    s6_asking_for_the_head_of_next_leases_nothing
}

mod attacks {
    use super::*;

    /// Accepted and refused, before and after, in graphs whose names come first and last.
    pub(super) async fn h_a_copied_id_hides_nothing(target: Target) {
        let ada = target.user("ada", &json!({"m.*": "write"}));
        let eve = target.user("eve", &json!({"a.*": "write", "z.*": "write", "m.*": "read"}));
        eve.create("a.1", &new_id()).await;
        for (graph, is_accepted) in [("m.good", true), ("m.bad", false)] {
            let id = new_id();
            let status = if is_accepted { ada.create(graph, &id).await } else { ada.fail(graph, &id).await };
            assert_eq!(status, if is_accepted { 200 } else { 404 });
            // Times are whole milliseconds: who is first within one is not known.
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(eve.create("a.1", &id).await, 200);
            assert_eq!(eve.fail("a.2", &id).await, 404);
            assert_eq!(eve.create("z.1", &id).await, 200);
            let own = (graph.to_owned(), if is_accepted { "completed" } else { "failed" }.to_owned());
            assert_eq!(ada.outcome(&id).await, own);
            // Who may read several gets the oldest, and any by its graph.
            assert_eq!(eve.outcome(&id).await, own);
            for other in ["a.1", "a.2", "z.1", graph] {
                let found = eve.get(&format!("/operations/{id}?graphId={other}")).await.json();
                assert_eq!((&found["graphId"], &found["operationId"]), (&json!(other), &json!(id)));
            }
            ada.get(&format!("/operations/{id}?graphId=a.1")).await.problem(404, "NOT_FOUND");
            eve.get(&format!("/operations/{id}?graphId=a.3")).await.problem(404, "NOT_FOUND");
            ada.get(&format!("/operations/{id}?graphId=.no")).await.bad("graphId", "graphId");
        }
    }

    pub(super) async fn h_an_id_that_is_used_in_very_many_graphs_is_still_its_authors(target: Target) {
        const GRAPHS: usize = 400;
        let ada = target.user("ada", &json!({"ada": "write"}));
        let eve = target.user("eve", &json!({"eve.*": "write"}));
        // Half of the graphs are there before.
        for n in 0..GRAPHS / 2 {
            eve.create(&format!("eve.{n}"), &new_id()).await;
        }
        let id = new_id();
        assert_eq!(ada.create("ada", &id).await, 200);
        for n in 0..GRAPHS {
            assert_eq!(eve.create(&format!("eve.{n}"), &id).await, 200);
        }
        assert_eq!(ada.outcome(&id).await.0, "ada");
        assert!(eve.outcome(&id).await.0.starts_with("eve."));
        if let Some(redis) = &target.redis {
            let calls = calls_of(redis, async || assert_eq!(ada.outcome(&id).await.0, "ada")).await;
            assert!(calls <= 4, "{calls} calls of Redis, however many partitions there are");
            let none = async || drop(ada.get(&format!("/operations/{}", new_id())).await);
            let calls = calls_of(redis, none).await;
            assert!(calls <= 4, "{calls} calls of Redis for an id that nobody used");
        }
    }

    /// In words, and in what is looked up: the middle of many times, and a generous factor.
    pub(super) async fn o1_unknown_and_forbidden_operations_are_alike(target: Target) {
        let ada = target.user("ada", &json!({"ada": "write"}));
        let eve = target.user("eve", &json!({"eve": "write"}));
        let known = new_id();
        assert_eq!(ada.create("ada", &known).await, 200);
        let ask = async |id: &str, query: &str| {
            let start = Instant::now();
            let reply = eve.get(&format!("/operations/{id}{query}")).await;
            (reply.problem(404, "NOT_FOUND").to_string().replace(id, ""), start.elapsed())
        };
        for query in ["", "?graphId=ada", "?graphId=eve"] {
            let (mut forbidden, mut unknown) = (vec![], vec![]);
            for _ in 0..51 {
                let made_up = new_id();
                let (one, other) = (ask(&known, query).await, ask(&made_up, query).await);
                assert_eq!(one.0, other.0, "{query}");
                forbidden.push(one.1);
                unknown.push(other.1);
            }
            forbidden.sort();
            unknown.sort();
            let (one, other) = (forbidden[25], unknown[25]);
            assert!(one < other * 3 + Duration::from_millis(2), "{query}: {one:?} and {other:?}");
            assert!(other < one * 3 + Duration::from_millis(2), "{query}: {one:?} and {other:?}");
        }
    }

    /// `curl -I`, and what pages of other sites can have a browser ask for.
    pub(super) async fn s6_asking_for_the_head_of_next_leases_nothing(target: Target) {
        let admin = target.user("admin", &json!({"*": "admin"}));
        let settings = json!({"start": "beginning", "maxAttempts": 1}).to_string();
        let put = Request { body: settings.clone().into_bytes(), ..Request::new("PUT", "/subscriptions/s") };
        let put = put.header("content-length", settings.len().to_string());
        assert_eq!(admin.ask(put).await.status, 201);
        assert_eq!(admin.create("g", &new_id()).await, 200);
        for method in ["HEAD", "GET"] {
            let reply = admin.ask(Request::new(method, "/subscriptions/s/next?max=1000")).await;
            assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}");
        }
        let shown = admin.get("/subscriptions/s").await.json();
        assert_eq!((&shown["inFlight"], &shown["parked"]), (&json!(0), &json!(0)));
        let handed = admin.ask(Request::post("/subscriptions/s/next", "")).await.json();
        assert_eq!(handed["deliveries"].as_array().unwrap().len(), 1);
    }
}

/// Calls that look something up in Redis while this is done.
async fn calls_of(redis: &RedisServer, done: impl AsyncFn()) -> usize {
    let calls = || {
        let stats = redis.command(&["INFO", "commandstats"]);
        let of = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.and_then(|rest| rest.split(',').next()?.parse::<usize>().ok()).unwrap_or(0)
        };
        of("evalsha") + of("eval")
    };
    // What the server asks by itself meanwhile is counted too: the fewest of some tries are the look-up's own.
    let mut fewest = usize::MAX;
    for _ in 0..5 {
        let before = calls();
        done().await;
        fewest = fewest.min(calls() - before);
    }
    fewest
}
