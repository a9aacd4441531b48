//! What the figures are measured against, on the same machine in the same minute.

use std::{
    fs::OpenOptions,
    io::{Seek, SeekFrom, Write},
    net::Ipv4Addr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path as PathOf, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use dao_api::domain::{Fingerprint, OperationRecord, RecordedOutcome, WriterId};
use dao_projections::{
    ClientId, CommandType, CommitBody, Event, NodeId, OperationId, Outcome as Applied, Position, Timestamp,
    UserId, Version,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Outcome, resp::Reply, server::RedisServer};

/// The argument that makes this program reference E.
pub(crate) const ECHO: &str = "serve-reference-e";

/// Reference E: what HTTP and JSON alone cost. A bare axum server that parses the same command and
/// answers the same bytes.
pub(crate) fn echo(answer: String) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        let app = Router::new()
            .route("/graphs/{graphId}/command", post(answer_always))
            .with_state(Bytes::from(answer));
        let listener = listener.tap_io(|socket| {
            let _only_slower = socket.set_nodelay(true);
        });
        Ok(axum::serve(listener, app).await?)
    })
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "operationId")]
    operation: Uuid,
    payload: Value,
}

async fn answer_always(State(answer): State<Bytes>, PathOf(graph): PathOf<String>, body: Bytes) -> Response {
    let Ok(sent) = serde_json::from_slice::<Sent>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    std::hint::black_box((sent.kind, sent.operation, sent.payload, graph));
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

/// Reference D: how long one `fdatasync` after 200 bytes takes, in milliseconds: the median of many,
/// and the 99th percentile.
/// The file is as long as it gets from the start, so that no metadata is written.
pub(crate) fn fdatasync_ms(dir: &Path) -> Outcome<[f64; 2]> {
    const BYTES: usize = 200;
    const TIMES: usize = 300;
    let path = dir.join("reference-d");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&[0; BYTES * TIMES])?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut times = Vec::with_capacity(TIMES);
    for turn in 0..TIMES {
        let start = Instant::now();
        file.write_all(&[turn as u8; BYTES])?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[TIMES / 2], times[TIMES * 99 / 100]])
}

/// Commits in one call of reference A, calls on the way on each connection, and connections.
const BATCH: usize = 32;
const PIPELINE: usize = 4;
const WRITERS: usize = 4;

/// Reference A: commits a second that Redis takes by the append script, called by nothing but a
/// pipeline. `redis-benchmark` can't drive it: each call has to name the head that the one before
/// it made. A driver that makes the heads up itself knows them without waiting.
pub(crate) fn appends(redis: &RedisServer, duration: Duration) -> Outcome<f64> {
    let mut connection = redis.connect()?;
    connection.ask(&[b"FLUSHALL", b"SYNC"])?;
    let script = concat!(
        include_str!("../../src/store/redis/operations_prelude.lua"),
        include_str!("../../src/store/redis/append.lua")
    );
    let sha = match connection.ask(&[b"SCRIPT", b"LOAD", script.as_bytes()])? {
        Reply::Text(sha) => sha,
        other => return Err(format!("the append script was not taken: {other:?}").into()),
    };
    let until = Instant::now() + duration;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (connection, sha) = (redis.connect(), sha.clone());
            thread::spawn(move || append_until(connection?, &sha, writer, until))
        })
        .collect();
    let mut commits = 0;
    for writer in writers {
        commits += writer.join().map_err(|_| "a writer panicked")??;
    }
    connection.ask(&[b"FLUSHALL", b"SYNC"])?;
    Ok(commits as f64 / duration.as_secs_f64())
}

fn append_until(mut redis: crate::resp::Redis, sha: &[u8], writer: usize, until: Instant) -> Outcome<u64> {
    const DAY_MS: u64 = 86_400_000;
    let window =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64 / DAY_MS;
    let key = |name: &str| format!("dao:{{{writer}}}:{name}").into_bytes();
    let windows = [window + 1, window, window - 1, window - 2].map(|w| key(&format!("operations:{w}")));
    let (stream, feed, graph) = (key("graph:g:events"), key("feed"), b"g");
    let (refusals, graphs, channel) = (key("graph:g:refusals"), key("graphs"), key("graph:g:live"));
    let (window, day) = (window.to_string(), DAY_MS.to_string());
    let (record, body) = typical_entry()?;
    let (mut version, mut waiting, mut commits) = (0_u64, 0, 0);
    let mut head = [0_u8; 32];
    while Instant::now() < until {
        let expected = version.to_string();
        let ids: Vec<Uuid> = (0..BATCH).map(|_| Uuid::now_v7()).collect();
        let versions: Vec<String> = (1..=BATCH as u64).map(|n| (version + n).to_string()).collect();
        let mut next = [0_u8; 32];
        next[..16].copy_from_slice(ids[BATCH - 1].as_bytes());
        let count = BATCH.to_string();
        let mut call: Vec<&[u8]> = vec![b"EVALSHA", sha, b"8"];
        call.extend(windows.iter().map(Vec::as_slice));
        call.extend([&stream[..], &feed, &refusals, &graphs, window.as_bytes(), day.as_bytes(), graph]);
        call.extend([expected.as_bytes(), &head, &channel, b"header", count.as_bytes()]);
        ids.iter().for_each(|id| call.extend([&id.as_bytes()[..], &record, b""]));
        versions.iter().for_each(|version| call.extend([version.as_bytes(), &next, &body]));
        redis.send(&call)?;
        (version, head, waiting) = (version + BATCH as u64, next, waiting + 1);
        if waiting == PIPELINE {
            expect_appended(&mut redis)?;
            (waiting, commits) = (waiting - 1, commits + BATCH as u64);
        }
    }
    (0..waiting).try_for_each(|_| expect_appended(&mut redis))?;
    Ok(commits)
}

fn expect_appended(redis: &mut crate::resp::Redis) -> Outcome<()> {
    match redis.receive()? {
        Reply::List(items) if items == [Reply::Integer(0)] => Ok(()),
        other => Err(format!("the append script refused: {other:?}").into()),
    }
}

/// The record and the commit that a move of a node leaves.
fn typical_entry() -> Outcome<(Vec<u8>, Vec<u8>)> {
    let version = Version::new(10_000).ok_or("a version")?;
    let outcome = RecordedOutcome::Committed { version };
    let record =
        OperationRecord { fingerprint: Fingerprint([7; 8]), outcome, writer: WriterId([7; 4]) }.encode();
    let user = UserId::parse("user-001")?;
    let body = CommitBody {
        operation_id: OperationId::from(Uuid::now_v7()),
        client_id: ClientId::from(&user),
        is_client_named: false,
        traceparent: None,
        user_id: user,
        timestamp: Timestamp(1_763_800_000_000),
        command_type: CommandType::UpdateNodePosition,
        outcome: Applied::Applied,
        undoes: vec![],
        restores: None,
        is_erased: false,
        events: vec![Event::NodeMoved {
            node_id: NodeId::parse("n00001")?,
            position: Position::from_json(&json!({"x": 123_456, "y": 17}))?,
        }],
    };
    Ok((record, body.encode()))
}
