//! A client in another language: the `websockets` library from PyPI.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::server::Server;

/// Where `scripts/install-test-tools.sh` puts the library, if the system's Python has none.
const VENV_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools/bin/python");

fn has_library(python: &str) -> bool {
    let import = Command::new(python).args(["-c", "import websockets"]).stderr(Stdio::null()).status();
    import.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn w1_to_w5_and_w9_hold_for_pythons_websockets_with_compression() {
    let mut python = "python3";
    if !has_library(python) {
        python = VENV_PYTHON;
        assert!(
            has_library(python),
            "this test runs a Python client, and the library `websockets` is missing: install it with \
             `pip install websockets`, or run `make test`, which does"
        );
    }
    let server = Server::start().await;
    for n in 0..50 {
        server
            .apply("g", "CREATE_NODE", json!({"id": format!("n{n}"), "data": {"label": format!("node {n}")}}))
            .await;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/follow.py");
    let url = format!("ws://{}/ws", server.address());
    let run = move || Command::new(python).arg(script).arg(url).output();
    let ran = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(said, json!({"extensions": ["permessage-deflate"], "close": 1000}));
    assert_eq!(server.state("g").await["version"], 70);
}
