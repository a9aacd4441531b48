//! How commands end: exit codes that scripts can trust, and readers that stop early (rule O4).

use std::process::{Command, Stdio};

use crate::support::{redis::free_port, server::program};

/// Runs it on this data, and tells its exit code, its output and what it complained of.
fn run(data: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program(&[("DATA_DIR", data)]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn o4_a_missing_graph_is_exit_code_1_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let (code, said, _) = run(data, &["seed"]);
    assert!(code == Some(0) && said.contains("example"), "{said}");
    let dead = format!("http://127.0.0.1:{}", free_port());
    let port = free_port().to_string();
    let missing = dir.path().join("none").to_str().unwrap().to_owned();
    let commands: [&[&str]; 14] = [
        &["export", "nope"],
        &["export", "nope", "--state"],
        &["show", "nope"],
        &["show", "nope", "--json"],
        &["show", "example", "--at", "9999"],
        &["diff", "nope", "--from", "0"],
        &["history", "nope"],
        &["verify", "nope"],
        &["rebuild", "--graph", "nope"],
        &["import", &missing, "--graph", "g"],
        &["restore", &missing],
        &["monitor", "--once", "--interval", "10ms", "--url", &dead],
        &["watch", "g", "--url", &dead],
        &["healthcheck", "--port", &port],
    ];
    for command in commands {
        let (code, _, wrong) = run(data, command);
        assert_eq!((code, wrong.lines().count()), (Some(1), 1), "{command:?}: {wrong}");
        assert!(wrong.starts_with("dao-api: "), "{command:?}: {wrong}");
    }
    for command in [&["token"] as &[&str], &["show"], &["nope"], &["serve", "--nope"]] {
        assert_eq!(run(data, command).0, Some(2), "{command:?}: the command line can't be read");
    }
}

#[test]
fn o4_a_closed_output_is_not_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    assert_eq!(run(data, &["seed"]).0, Some(0));
    let program = env!("CARGO_BIN_EXE_dao-api");
    let commands = [
        "show example",
        "show example --json",
        "export example",
        "export example --state",
        "diff example --from 0",
        "history example",
        "verify --all",
        "rebuild --all",
        "seed",
        "token --user ada --graph g=read",
    ];
    for command in commands {
        // `true` reads nothing and is gone: every write meets a closed pipe, once what is written is written at all.
        let line = format!("set -o pipefail; {program} {command} | true");
        let mut shell = Command::new("bash");
        shell.args(["-c", &line]).env_clear().env("DATA_DIR", data).env("PATH", "/usr/bin:/bin");
        shell.env("JWT_SECRET", "a secret of tests, and of nothing else").stdin(Stdio::null());
        let output = shell.output().unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && wrong.is_empty(), "{command}: {:?} {wrong}", output.status);
    }
}
