//! Commands beside a running server: over its socket, over `--url`, or alone, they say the same (decision 0127).

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    server::{Process, program},
    tls::Certificates,
};

const SECRET: &str = "a secret of tests, and of nothing else";

/// The data of one test.
struct Place(tempfile::TempDir);

/// What a command came to: its exit code, what it printed, and why it failed.
#[derive(Debug, PartialEq)]
struct Said(Option<i32>, String, String);

impl Place {
    /// The story, and a graph in the trash.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.done(&["seed"]);
        place.done(&["label", "example", "first", "--at", "2", "--note", "so far", "--user", "ada"]);
        place.done(&["create", "old", "--title", "Old", "--tag", "x"]);
        place.done(&["trash", "old", "--reason", "old"]);
        place
    }

    /// Another place with the same data. No server may run.
    fn twin(&self) -> Self {
        let twin = Self(tempfile::tempdir().unwrap());
        fs::create_dir(twin.0.path().join("data")).unwrap();
        for file in fs::read_dir(self.path("data")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), twin.path("data").join(file.file_name())).unwrap();
        }
        twin
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> String {
        self.path("data").to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn serve(&self, settings: &[(&str, &str)]) -> Process {
        Process::start(&[&[("DATA_DIR", self.data().as_str())], settings].concat())
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Said {
        let data = self.data();
        let mut command = program(&[&[("DATA_DIR", data.as_str())], settings].concat());
        Said::of(&command.current_dir(self.0.path()).args(arguments).output().unwrap())
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let Said(code, said, wrong) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {wrong}");
        said
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self(output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// The exit code, and what was printed but for hashes, times and durations, which are new in each run.
    fn without_chance(&self) -> (Option<i32>, String) {
        let of_word = |word: &str| match word.trim_matches(|c: char| !c.is_ascii_alphanumeric()) {
            hash if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => "HASH".to_owned(),
            time if time.len() > 18 && time.starts_with("20") && time.ends_with('Z') => "TIME".to_owned(),
            _ => word.to_owned(),
        };
        let of_line = |line: &str| match line.split_once(" folded in ") {
            Some((before, _)) => before.to_owned(),
            None => line.split(['"', ' ']).map(of_word).collect::<Vec<_>>().join(" "),
        };
        (self.0, self.1.lines().map(of_line).collect::<Vec<_>>().join("\n"))
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

const READS: [&str; 33] = [
    "list",
    "list --json",
    "list --trashed",
    "list --q old --trashed --json",
    "list --label first",
    "show example",
    "show example --json",
    "show example --at 5",
    "show example --at first --json",
    "show example --at 2001-01-01",
    "show old",
    "diff example --from 2",
    "diff example --from 9 --to first --json",
    "history example",
    "history example --json --limit 5",
    "history example --node refund",
    "history example --node refund --json",
    "verify example",
    "verify example --json",
    "verify --all",
    "verify --all --json",
    "label example",
    "label example --json",
    "export example",
    "export example --at first",
    "export example --state",
    "export old",
    "import flow.json --graph new --dry-run",
    "import flow.json --graph example --replace --dry-run --json",
    "show nobody",
    "export nobody",
    "show example --at 9999",
    "history example --node never",
];

#[test]
fn what_a_command_reads_is_the_same_beside_a_server() {
    let place = Place::new();
    place.file("flow.json", &flow(3));
    let alone: Vec<Said> = READS.iter().map(|line| place.run(&words(line))).collect();
    let server = place.serve(&[]);
    for (line, alone) in READS.iter().zip(alone) {
        let beside = place.run(&words(line));
        assert_eq!((beside.0, &beside.1), (alone.0, &alone.1), "{line}: {alone:?}, {beside:?}");
        let is_wrong = beside.0 != Some(0);
        assert!(!is_wrong || beside.2.trim_end().lines().count() == 1, "{line}: {beside:?}");
        assert_eq!(
            is_wrong,
            line.contains("nobody") || line.contains("9999") || line.contains("never"),
            "{line}"
        );
    }
    drop(server);
}

const WRITES: [&str; 30] = [
    "create w --title Plan --tag a --user ada",
    "create w",
    "trash w --reason why --moved-to example",
    "trash w --json",
    "recover w",
    "purge w --yes",
    "trash w",
    "purge w --yes --json --operation-id 0192f0c1-0000-7000-8000-000000000001",
    "purge w --yes --json --operation-id 0192f0c1-0000-7000-8000-000000000001",
    "label example published --at 3 --note good --user bob",
    "label example published --at 3 --json",
    "label example published --expect none",
    "label example published --remove",
    "restore-version example 3 --include viewport",
    "restore-version example 3 --json",
    "undo example 4",
    "undo example 9999",
    "copy example copied --at 5 --title Copied",
    "copy example copied --at 5 --title Copied --json",
    "copy example fork --history",
    "copy nobody fork2",
    "import flow.json --graph i",
    "import flow.json --graph i --json",
    "import other.json --graph i --replace --yes --user ada",
    "import commits.ndjson --graph again",
    "import bad.json --graph i",
    "seed --graph story",
    "seed --graph story",
    "seed --graph i",
    "rebuild --all",
];

#[test]
fn what_a_command_writes_is_the_same_beside_a_server() {
    let alone = Place::new();
    let beside = alone.twin();
    let commits = alone.done(&["export", "example"]);
    for place in [&alone, &beside] {
        place.file("flow.json", &flow(3));
        place.file("other.json", &flow(2).replace("\"n1\"", "\"m1\""));
        place.file("commits.ndjson", &commits);
        place.file("bad.json", r#"{"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}"#);
    }
    let server = beside.serve(&[]);
    for line in WRITES {
        let (first, second) = (alone.run(&words(line)), beside.run(&words(line)));
        assert_eq!(first.without_chance(), second.without_chance(), "{line}: {first:?}, {second:?}");
        assert_eq!(first.0 == Some(0), !is_refused(line), "{line}: {first:?}");
        // What is written is in the list at once.
        let (first, second) = (alone.run(&["list"]), beside.run(&["list"]));
        assert_eq!(first.without_chance(), second.without_chance(), "after {line}");
    }
    for graph in ["example", "copied", "fork", "i", "again", "story"] {
        let state = ["export", graph, "--state"];
        assert_eq!(alone.done(&state), beside.done(&state), "{graph}");
        assert!(beside.done(&["verify", graph]).contains("ok"));
    }
    server.terminate();
    assert!(server.wait().success());
    assert!(!beside.path("data/dao.sock").exists(), "the socket goes with the server");
    beside.done(&["verify", "--all"]);
}

fn is_refused(line: &str) -> bool {
    let refused =
        ["--expect none", "undo example 9999", "nobody", "bad.json", "seed --graph i", "purge w --yes"];
    match line {
        "create w" => true,
        // In the trash by then.
        line if line.contains("--operation-id") => false,
        line => refused.iter().any(|part| line.ends_with(part) || line.contains(part)),
    }
}

/// Nodes in a row.
fn flow(nodes: u32) -> String {
    let node = |n| json!({"id": format!("n{n}"), "position": {"x": n, "y": 0.5}, "data": {"label": n}});
    let edge = json!({"id": "e", "source": "n0", "target": "n1"});
    json!({"nodes": (0..nodes).map(node).collect::<Vec<_>>(), "edges": [edge]}).to_string()
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone_and_needs_no_token() {
    let place = Place::new();
    let server = place.serve(&[("JWT_SECRET", SECRET), ("RATE_LIMIT_MAX_REQUESTS", "2")]);
    let mode = fs::metadata(place.path("data/dao.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(server.client().get("/graphs").await.status, 401);
    for _ in 0..4 {
        assert!(place.done(&["list"]).contains("example"));
    }
    place.done(&["create", "g", "--user", "ada"]);
    assert!(place.done(&["history", "g"]).contains("ada"));
    // What is for the owner is not on the port.
    let (_, token, _) = token(&["--user", "ada", "--graph", "*=admin"]);
    let asked = crate::support::http::Request::post("/local/graphs", "{}")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    assert_eq!(server.client().send(&asked).await.unwrap().status, 404);
}

fn token(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program(&[("JWT_SECRET", SECRET)]);
    let Said(code, token, wrong) = Said::of(&command.arg("token").args(arguments).output().unwrap());
    assert_eq!(code, Some(0), "{wrong}");
    (code, token.trim().to_owned(), wrong)
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_in_nobodys_way() {
    let place = Place::new();
    let before = place.done(&["list"]);
    place.serve(&[]).kill();
    assert!(place.path("data/dao.sock").exists(), "it was left");
    assert_eq!(place.done(&["list"]), before);
    place.done(&["create", "g"]);
    let server = place.serve(&[]);
    place.done(&["create", "h"]);
    let refused = Said::of(&program(&[("DATA_DIR", &place.data())]).output().unwrap());
    assert_eq!(refused.0, Some(1), "a second server: {refused:?}");
    assert!(place.done(&["list"]).contains('h'), "and the socket is still that of the first");
    server.terminate();
    assert!(server.wait().success());
    assert!(place.done(&["list"]).contains('g'));
}

#[test]
fn a_path_that_is_too_long_for_a_socket_keeps_no_server_from_serving() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d".repeat(120));
    let data = data.to_str().unwrap();
    let server = Process::start(&[("DATA_DIR", data)]);
    assert!(!Path::new(data).join("dao.sock").exists());
    let run =
        |arguments: &[&str]| Said::of(&program(&[("DATA_DIR", data)]).args(arguments).output().unwrap());
    let locked = run(&["list"]);
    assert_eq!((locked.0, locked.2.lines().count()), (Some(1), 1), "{locked:?}");
    let url = format!("http://{}", server.address);
    assert_eq!(run(&["list", "--url", &url]), Said(Some(0), "graphs: 0\n".to_owned(), String::new()));
}

#[test]
fn commands_run_at_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let file = place.file("flow.json", &flow(50));
    std::thread::scope(|scope| {
        for index in 0..4 {
            let (place, file) = (&place, &file);
            scope.spawn(move || place.done(&["import", file, "--graph", &format!("g{index}")]));
            scope.spawn(move || place.done(&["verify", "--all"]));
        }
    });
    assert!(place.done(&["list"]).contains("graphs: 5"));
    drop(server);
}

#[test]
fn followers_see_what_a_command_wrote() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.address);
    let mut watch = program(&[])
        .args(["watch", "g", "--from", "0", "--json", "--url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    place.done(&["create", "g", "--title", "Plan", "--user", "ada"]);
    let file = place.file("flow.json", &flow(2));
    place.done(&["import", &file, "--graph", "g"]);
    for (version, user) in [(1, "ada"), (2, "import")] {
        let commit: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&commit["version"], &commit["userId"]), (&json!(version), &json!(user)), "{commit}");
    }
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn a_server_elsewhere_is_asked_with_the_rights_of_the_token() {
    let place = Place::new();
    let elsewhere = Place(tempfile::tempdir().unwrap());
    let server = place.serve(&[("JWT_SECRET", SECRET)]);
    let url = format!("http://{}", server.address);
    let (_, few, _) = token(&["--user", "eve", "--graph", "example=read"]);
    let (_, all, _) = token(&["--user", "ada", "--graph", "*=admin"]);
    let with = |token: &str, line: &str| {
        elsewhere.run_with(&[("DAO_URL", &url), ("DAO_TOKEN", token)], &words(line))
    };
    for line in [
        "show example --json",
        "diff example --from 2",
        "export example",
        "history example",
        "verify example",
    ] {
        assert_eq!(with(&few, line), place.run(&words(line)), "{line}");
    }
    for (line, says) in [
        ("create mine", "mine"),
        ("undo example 3", "write"),
        ("show old", "old"),
        ("purge old --yes", "admin"),
        ("seed", "on the machine of the server"),
        ("rebuild --all", "on the machine of the server"),
        ("verify --all", "on the machine of the server"),
    ] {
        let Said(code, said, wrong) = with(&few, line);
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{line}: {wrong}");
        assert!(wrong.contains(says), "{line}: {wrong}");
    }
    assert_eq!(with("none", "show example").0, Some(1));
    let file = place.file("flow.json", &flow(2));
    for line in [
        "create mine --title Mine".to_owned(),
        format!("import {file} --graph imported"),
        "copy example copied --history".to_owned(),
        "label example published".to_owned(),
        "list".to_owned(),
    ] {
        assert_eq!(with(&all, &line).0, Some(0), "{line}");
    }
    assert!(place.done(&["history", "mine"]).contains("ada"), "whom the token names is the author");
    let Said(code, _, wrong) = elsewhere.run(&["list", "--url", "http://127.0.0.1:9"]);
    assert_eq!((code, wrong.lines().count()), (Some(1), 1), "{wrong}");
    assert!(!elsewhere.path("data").exists(), "nothing was opened here");
}

/// TLS in front of a server, as a proxy has it.
async fn behind_tls(server: &Process, certificates: &Certificates) -> u16 {
    let chain = CertificateDer::pem_file_iter(certificates.file("server.crt")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, address) = (listener.local_addr().unwrap().port(), server.address);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(socket).await?;
                let mut server = TcpStream::connect(address).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_tls_is_asked_if_its_certificate_is_trusted() {
    let (place, elsewhere) = (Place::new(), Place(tempfile::tempdir().unwrap()));
    let (server, certificates) = (place.serve(&[]), Certificates::make());
    let port = behind_tls(&server, &certificates).await;
    let url = format!("https://localhost:{port}");
    let trusting = |name: &str, arguments: &[&str]| {
        elsewhere
            .run_with(&[("SSL_CERT_FILE", &certificates.path(name))], &[arguments, &["--url", &url]].concat())
    };
    assert_eq!(trusting("ca.crt", &["list"]).1, place.done(&["list"]));
    assert_eq!(trusting("ca.crt", &["create", "g"]).0, Some(0));
    let Said(code, said, wrong) = trusting("other.crt", &["list"]);
    assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{wrong}");
    assert!(wrong.contains("certificate"), "{wrong}");

    // Sockets go the same way.
    let url = url.replace("https", "wss");
    let mut watch = program(&[("SSL_CERT_FILE", &certificates.path("ca.crt"))])
        .args(["watch", "g", "--from", "0", "--json", "--url", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("GraphCreated"));
    place.done(&["trash", "g"]);
    assert!(lines.next().unwrap().unwrap().contains("GraphTrashed"));
    watch.kill().unwrap();
    watch.wait().unwrap();
}
