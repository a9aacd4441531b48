//! What one request costs the process that answers it: memory and processor time.

use std::{path::Path, time::Duration};

use dao_api::http::Format;

use crate::support::{
    http::{Reply, Request},
    openmetrics::Exposition,
    server::Process,
};

/// What the process may grow by for each byte of a body.
const TIMES: u64 = 24;
/// And beyond that.
const FREE_KIB: u64 = 24 << 10;
/// Address space of the program: thread stacks and what the allocator reserves are in it.
const SPACE_KIB: u64 = 6 << 20;
/// An answer takes a second for each MiB at most in a release build. This is a debug build on a machine with other
/// work, so processor time is what counts: what is quadratic takes minutes of it.
pub(super) const CPU_MAX: Duration = Duration::from_secs(20);

pub(super) fn server(dir: &Path) -> Process {
    Process::start_within(SPACE_KIB, &[("DATA_DIR", dir.to_str().unwrap())])
}

pub(super) fn request(path: &str, body: Vec<u8>, format: Format) -> Request {
    let kind = if format == Format::Json { "application/json" } else { "application/msgpack" };
    Request::post(path, body).header("content-type", kind)
}

/// What came of one request.
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) grown_kib: u64,
    /// Of processor time.
    pub(super) took: Duration,
}

/// Waits until the process does nothing and its projectors have nothing left to do: what they make of earlier commits
/// is not the next request's. A graph that was changed lately waits for its fold, and the process is quiet meanwhile.
pub(super) async fn rested(process: &Process) {
    quiet(process).await;
    if metric(process, "dao_commits_total").await > 0.0 {
        // The lag is measured once a second at most.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        while metric(process, "dao_projection_lag_commits").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        quiet(process).await;
    }
}

async fn metric(process: &Process, name: &str) -> f64 {
    let reply = process.client().ask(Request::get("/metrics")).await;
    Exposition::read(&String::from_utf8_lossy(&reply.body)).value(name, &[])
}

async fn quiet(process: &Process) {
    let mut ticking = tokio::time::interval(Duration::from_millis(150));
    let mut before = u64::MAX;
    loop {
        ticking.tick().await;
        let ticks = process.cpu_ticks();
        if ticks.saturating_sub(before) <= 1 && before != u64::MAX {
            return;
        }
        before = ticks;
    }
}

pub(super) async fn measured(process: &Process, request: &Request) -> Outcome {
    process.forget_peak();
    let before = process.memory_kib("VmRSS");
    let ticks = process.cpu_ticks();
    let reply = process.client().ask(request.clone()).await;
    let took = Duration::from_millis(10 * (process.cpu_ticks() - ticks));
    let grown_kib = process.memory_kib("VmHWM").saturating_sub(before);
    Outcome { reply, grown_kib, took }
}

pub(super) fn allowed_kib(bytes: usize) -> u64 {
    TIMES * bytes as u64 / 1_024 + FREE_KIB
}

/// Sends one body to a server of its own and holds it to the bound.
pub(super) async fn hold(what: &str, path: &str, body: Vec<u8>, format: Format) -> Reply {
    let dir = tempfile::tempdir().unwrap();
    let process = server(dir.path());
    hold_on(&process, what, path, body, format).await
}

pub(super) async fn hold_on(
    process: &Process,
    what: &str,
    path: &str,
    body: Vec<u8>,
    format: Format,
) -> Reply {
    rested(process).await;
    hold_now(process, what, path, body, format).await
}

pub(super) async fn hold_now(
    process: &Process,
    what: &str,
    path: &str,
    body: Vec<u8>,
    format: Format,
) -> Reply {
    let allowed = allowed_kib(body.len());
    let length = body.len();
    let outcome = measured(process, &request(path, body, format)).await;
    let Outcome { reply, grown_kib, took } = outcome;
    println!("{what}: {length} bytes, {grown_kib} of {allowed} KiB, {took:?}, {}", reply.status);
    assert!(grown_kib <= allowed, "{what}: {grown_kib} KiB for {length} bytes, of {allowed}");
    assert!(took < CPU_MAX, "{what}: {took:?}");
    reply
}
