//! Whether damage is found (rules A5, V3, V7): histories are damaged underneath, with SQL and with
//! Redis commands, and then verified over HTTP.

use bytes::Bytes;
use dao_projections::OperationId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    made_up::{Story, moved},
    redis::RedisServer,
    server::Server,
};

/// A node that is created and moved about: `commits` in all.
fn story(commits: u64) -> Story {
    let mut story = Story::new();
    story.tell(json!({"type": "NodeCreated", "node": {"id": "n", "position": {"x": 0, "y": 0}}}));
    while story.len() < commits {
        story.tell(moved("n", story.len()));
    }
    story
}

async fn verify(server: &Server, graph: &str) -> Value {
    server.read(&format!("/graphs/{graph}/verify")).await
}

/// The first bad version, after making sure that all else fits to it.
fn bad(verified: &Value) -> u64 {
    assert_eq!(verified["ok"], false, "{verified}");
    let version = verified["firstBadVersion"].as_u64().unwrap();
    assert_eq!(verified["commits"], version - 1, "{verified}");
    assert!(verified["problem"].as_str().is_some_and(|problem| !problem.is_empty()));
    version
}

async fn assert_sound(server: &Server, graph: &str, commits: u64) {
    let verified = verify(server, graph).await;
    let hash = server.state(graph).await["hash"].clone();
    let expected =
        json!({"graphId": graph, "version": commits, "hash": hash, "commits": commits, "ok": true});
    assert_eq!(verified, expected);
}

fn sql(server: &Server, statement: &str) {
    let connection = rusqlite::Connection::open(server.data_dir().join("dao.db")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    // What it is about gets there a moment after it was acknowledged.
    while connection.execute(statement, []).unwrap() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// `statement` about the commit of this version of this graph.
fn sql_at(server: &Server, graph: &str, version: u64, statement: &str) {
    let id = format!("(SELECT id FROM graph WHERE name = '{graph}')");
    sql(server, &format!("{statement} WHERE key = {id} << 34 | {version}"));
}

#[tokio::test]
async fn a5_damage_in_sqlite_is_found() {
    let server = Server::start().await;
    const DELETE: &str = "DELETE FROM event";
    const BODY: &str = "UPDATE event SET body = CAST(substr(body, 1, length(body) - 1) || x'07' AS BLOB)";
    const HASH: &str = "UPDATE event SET hash = zeroblob(32)";
    const NO_HASH: &str = "UPDATE event SET hash = x'00'";
    const NO_BODY: &str = "UPDATE event SET body = x''";
    let cases: [(&[(u64, &str)], u64); 12] = [
        (&[(1, DELETE)], 1),
        (&[(5, DELETE)], 5),
        (&[(5, DELETE), (6, DELETE)], 5),
        (&[(5, BODY)], 5),
        (&[(10, BODY)], 10),
        (&[(5, HASH)], 5),
        (&[(10, HASH)], 10),
        (&[(5, NO_HASH)], 5),
        (&[(10, NO_HASH)], 10),
        (&[(5, NO_BODY)], 5),
        (&[(3, HASH), (7, DELETE)], 3),
        (&[(7, HASH), (3, DELETE)], 3),
    ];
    for (n, (damages, first_bad)) in cases.into_iter().enumerate() {
        let graph = format!("g{n}");
        story(10).write(&**server.graphs.store(), &graph).await;
        assert_sound(&server, &graph, 10).await;
        damages.iter().for_each(|(version, statement)| sql_at(&server, &graph, *version, statement));
        assert_eq!(bad(&verify(&server, &graph).await), first_bad, "{damages:?}");
    }
    story(10).write(&**server.graphs.store(), "sound").await;
    assert_sound(&server, "sound", 10).await;
}

#[tokio::test]
async fn a5_the_first_damage_of_a_long_history_is_told() {
    let server = Server::start().await;
    story(1_500).write(&**server.graphs.store(), "g").await;
    assert_sound(&server, "g", 1_500).await;
    sql_at(&server, "g", 1_400, "DELETE FROM event");
    assert_eq!(bad(&verify(&server, "g").await), 1_400);
    sql_at(&server, "g", 1_390, "UPDATE event SET body = x'80'");
    assert_eq!(bad(&verify(&server, "g").await), 1_390);
    sql_at(&server, "g", 200, "UPDATE event SET hash = zeroblob(32)");
    assert_eq!(bad(&verify(&server, "g").await), 200);
}

#[tokio::test]
async fn a5_a_true_chain_of_untrue_commits_is_found() {
    let server = Server::start().await;
    let store = &**server.graphs.store();
    let operation = OperationId::from(Uuid::from_u128(99));
    for (graph, body) in [("no-messagepack", &b"\xc1"[..]), ("no-commit", b"\x80"), ("nothing", b"")] {
        let mut story = story(3);
        story.tell_bytes(operation, Bytes::from_static(body));
        story.tell(moved("n", 9));
        story.write(store, graph).await;
        assert_eq!(bad(&verify(&server, graph).await), 4, "{graph}");
    }
    for (graph, event) in [
        ("moves-nothing", moved("gone", 1)),
        ("created-twice", json!({"type": "NodeCreated", "node": {"id": "n", "position": {"x": 0, "y": 0}}})),
        ("deletes-nothing", json!({"type": "EdgeDeleted", "edgeId": "e"})),
        ("dangles", json!({"type": "EdgeCreated", "edge": {"id": "e", "source": "n", "target": "gone"}})),
    ] {
        let mut story = story(3);
        story.tell(event);
        story.tell(moved("n", 9));
        story.write(store, graph).await;
        assert_eq!(bad(&verify(&server, graph).await), 4, "{graph}");
    }
}

#[tokio::test]
async fn a5_damage_in_redis_is_found() {
    let redis = RedisServer::start();
    let server = Server::on_redis(&redis).await;
    // Writes the stream again, as somebody would who wanted to change what is in the middle.
    const REWRITE: &str = "
        local entries = redis.call('XRANGE', KEYS[1], '-', '+')
        redis.call('DEL', KEYS[1])
        for _, entry in ipairs(entries) do
          local id, fields = entry[1], entry[2]
          if id == ARGV[1] .. '-0' then
            fields[2] = ARGV[2] == 'hash' and string.rep('x', 32) or fields[2]
            fields[2] = ARGV[2] == 'no-hash' and 'x' or fields[2]
            fields[4] = ARGV[2] == 'body' and fields[4] .. 'x' or fields[4]
            fields[1] = ARGV[2] == 'no-commit' and 'x' or fields[1]
          end
          if id ~= ARGV[1] .. '-0' or ARGV[2] ~= 'left-out' then
            redis.call('XADD', KEYS[1], id, unpack(fields))
          end
        end
        return 'done'";
    let mut n = 0;
    for version in [1, 5, 10] {
        for damage in ["hash", "no-hash", "body", "no-commit", "left-out", "XDEL"] {
            n += 1;
            let graph = format!("g{n}");
            story(10).write(&**server.graphs.store(), &graph).await;
            assert_sound(&server, &graph, 10).await;
            let key = redis.keys(&format!("dao:*:graph:{graph}:events")).remove(0);
            let at = version.to_string();
            let reply = match damage {
                "XDEL" => redis.command(&["XDEL", &key, &format!("{at}-0")]),
                damage => redis.command(&["EVAL", REWRITE, "1", &key, &at, damage]),
            };
            assert!([":1", "$4\r\ndone"].contains(&reply.trim_end()), "{reply}");
            let verified = verify(&server, &graph).await;
            if version == 10 && ["left-out", "XDEL"].contains(&damage) {
                // A history that is cut off is a shorter history: who noted its head knows (V4).
                assert_eq!((&verified["ok"], &verified["version"]), (&json!(true), &json!(9)));
            } else {
                assert_eq!(bad(&verified), version, "{damage}");
            }
        }
    }
}

#[tokio::test]
async fn a5_what_is_damaged_is_told_by_other_reads_too() {
    let server = Server::start().await;
    story(10).write(&**server.graphs.store(), "g").await;
    sql_at(&server, "g", 5, "UPDATE event SET body = x'c1'");
    for route in ["operations", "operations?order=asc", "diff?from=1", "nodes/n/history", "state"] {
        let problem = server.get(&format!("/graphs/g/{route}")).await.problem(500, "HISTORY_DAMAGED");
        assert!(problem["detail"].as_str().unwrap().contains('5'), "{problem}");
    }
    server.get("/graphs/g/operations?limit=1&from=0").await.problem(500, "HISTORY_DAMAGED");
    assert_eq!(bad(&server.read("/graphs/g/verify?minVersion=10").await), 5);
}
