//! The socket of a server: who may open it, what becomes of it, and who hears of what is written over it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Place, SECRET, Said, flow, token};
use crate::support::server::{Process, program};

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
fn a_command_without_a_server_waits_for_another_one() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for graph in ["g", "h"] {
            let place = &place;
            scope.spawn(move || place.done(&["create", graph]));
        }
    });
    assert!(place.done(&["list"]).contains("graphs: 3"));
}

#[test]
fn a_server_that_starts_waits_for_a_command_that_has_the_store() {
    let place = Place::new();
    let held = fs::File::open(place.path("data/dao.lock")).unwrap();
    held.lock().unwrap();
    // Longer than for a process that is on its way out.
    let released = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(held);
    });
    let server = place.serve(&[]);
    assert!(released.is_finished(), "it has no store before");
    released.join().unwrap();
    assert!(place.done(&["list"]).contains("example"));
    drop(server);
}

#[test]
fn a_command_that_asks_has_no_store_meanwhile() {
    let place = Place::new();
    let file = place.file("flow.json", &flow(2));
    place.done(&["import", &file, "--graph", "g"]);
    let file =
        place.file("small.json", r#"{"nodes": [{"id": "n0", "position": {"x": 0, "y": 0.5}}], "edges": []}"#);
    let mut import = program(&[("DATA_DIR", &place.data())])
        .args(["import", &file, "--graph", "g", "--replace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut said, mut asked) = (BufReader::new(import.stderr.take().unwrap()), Vec::new());
    said.read_until(b'?', &mut asked).unwrap();
    // Without a server this would wait for the other command, in vain.
    place.done(&["list"]);
    let server = place.serve(&[]);
    import.stdin.take().unwrap().write_all(b"y\n").unwrap();
    assert!(import.wait().unwrap().success());
    assert!(!place.done(&["export", "g", "--state"]).contains("n1"), "the server wrote it");
    drop(server);
}

#[test]
fn what_is_written_is_told_also_if_the_server_then_goes_away() {
    let place = Place(tempfile::tempdir().unwrap());
    fs::create_dir(place.path("data")).unwrap();
    let listener = UnixListener::bind(place.path("data/dao.sock")).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut all, mut piece) = (String::new(), [0; 4096]);
        while !(all.contains("CREATE_GRAPH") && all.ends_with('}')) {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "{all}");
            all += std::str::from_utf8(&piece[..length]).unwrap();
        }
        let body = json!({"version": 1, "hash": "0".repeat(64), "outcome": "applied"}).to_string();
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .unwrap();
        assert!(stream.read(&mut piece).unwrap() > 0, "what is folded");
    });
    let Said(code, said, wrong) = place.run(&["create", "g"]);
    serving.join().unwrap();
    assert_eq!((code, said.as_str()), (Some(1), "g is created, at version 1\n"));
    assert!(wrong.contains("g is written at version 1, but the list may be behind"), "{wrong}");
    assert_eq!(wrong.lines().count(), 1, "{wrong}");
}

#[test]
fn an_import_that_is_written_is_told_also_if_the_server_then_goes_away() {
    let (source, place) = (Place::new(), Place(tempfile::tempdir().unwrap()));
    let state = source.done(&["show", "example", "--json"]);
    fs::create_dir(place.path("data")).unwrap();
    let listener = UnixListener::bind(place.path("data/dao.sock")).unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut all, mut piece) = (String::new(), [0; 4096]);
        let written = json!({"version": 77, "hash": "0".repeat(64), "outcome": "applied"}).to_string();
        for (asked, end, body) in [("GET ", "\r\n\r\n", state), ("POST ", "}", written)] {
            while !(all.contains(asked) && all.ends_with(end)) {
                let length = stream.read(&mut piece).unwrap();
                assert!(length > 0, "{all}");
                all += std::str::from_utf8(&piece[..length]).unwrap();
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    let file = place.file("flow.json", &flow(2));
    let Said(code, _, wrong) = place.run(&["import", &file, "--graph", "example"]);
    serving.join().unwrap();
    assert_eq!((code, wrong.lines().count()), (Some(1), 1), "{wrong}");
    assert!(wrong.contains("example is written at version 77, but graph example can't be read"), "{wrong}");
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
fn a_backup_is_made_beside_a_server_and_what_replaces_the_store_is_not() {
    let place = Place::new();
    let server = place.serve(&[]);
    let copy = place.path("copy.db").to_str().unwrap().to_owned();
    place.done(&["backup", &copy]);
    for line in [&["migrate"] as &[&str], &["restore", &copy]] {
        let Said(code, said, wrong) = place.run(line);
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{line:?}: {wrong}");
    }
    drop(server);
}
