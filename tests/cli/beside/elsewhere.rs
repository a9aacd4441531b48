//! A server elsewhere, by its address: with the rights of a token, and over TLS.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    sync::Arc,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::{Place, SECRET, Said, flow, token, words};
use crate::support::{
    server::{Process, program},
    tls::Certificates,
};

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

#[test]
fn a_server_in_the_environment_and_a_store_on_the_command_line_are_refused() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.address);
    let data = place.data();
    for line in
        [["list", "--data-dir", &data], ["--data-dir", &data, "list"], ["list", "--redis-url", "redis://x"]]
    {
        let Said(code, said, wrong) = place.run_with(&[("DAO_URL", &url)], &line);
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{line:?}: {wrong}");
        assert!(wrong.contains("DAO_URL"), "{wrong}");
    }
    for line in [
        ["list", "--url", &url, "--data-dir", &data],
        ["list", "--url", &url, "--redis-port", "1"],
        ["watch", "example", "--port", "1", "--json"],
        ["monitor", "--once", "--port", "1", "--interval=1s"],
    ] {
        let Said(code, said, wrong) = place.run_with(&[("DAO_URL", &url)], &line);
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{line:?}: {wrong}");
        assert!(wrong.contains("leave out"), "{line:?}: {wrong}");
    }
    assert_eq!(place.run_with(&[("DAO_URL", &url)], &["list"]).1, place.done(&["list"]));
}

#[test]
fn what_is_empty_in_the_environment_is_not_there_and_a_token_is_not_shown() {
    let place = Place::new();
    let empty = [("DAO_URL", ""), ("DAO_TOKEN", "")];
    assert_eq!(place.run_with(&empty, &["list"]), place.run(&["list"]));
    for command in ["list", "watch example", "monitor --once"] {
        for by in [(&[("DAO_TOKEN", "my secret")] as &[_], None), (&[], Some("my secret"))] {
            let mut line = words(command);
            line.extend(by.1.iter().flat_map(|token| ["--token", token]));
            let Said(code, said, wrong) = place.run_with(by.0, &line);
            assert_eq!((code, said.as_str()), (Some(2), ""), "{line:?}: {wrong}");
            assert!(wrong.contains("DAO_TOKEN") && !wrong.contains("my secret"), "{line:?}: {wrong}");
        }
    }
}

#[test]
fn an_address_is_read_without_spaces_and_one_with_a_password_is_not_shown() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!(" http://{}\n", server.address);
    assert_eq!(place.run_with(&[("DAO_URL", &url)], &["list"]).1, place.done(&["list"]));
    assert_eq!(place.run_with(&[("DAO_URL", " \n")], &["list"]), place.run(&["list"]));
    for command in ["list", "watch example", "monitor --once"] {
        for (url, says) in [
            ("http://ada:hidden@127.0.0.1:3000", "no user or password in the address"),
            ("https://hidden@host/path?x", "no user or password in the address"),
            ("http//ada:hidden@host", "must begin with http://"),
            ("http://ada:hid/hidden@host", "must name a port"),
        ] {
            for by in [(&[("DAO_URL", url)] as &[_], None), (&[], Some(url))] {
                let mut line = words(command);
                line.extend(by.1.iter().flat_map(|url| ["--url", url]));
                let Said(code, said, wrong) = place.run_with(by.0, &line);
                assert_eq!((code, said.as_str()), (Some(2), ""), "{line:?}: {wrong}");
                assert!(wrong.contains(says) && !wrong.contains("hidden"), "{line:?}: {wrong}");
            }
            let mut line = words(command);
            line.push("--help");
            let Said(code, said, wrong) = place.run_with(&[("DAO_URL", url)], &line);
            assert_eq!(code, Some(0), "{line:?}: {wrong}");
            assert!(said.contains("DAO_URL") && !said.contains("hidden"), "{line:?}: {said}");
        }
        let mut line = words(command);
        line.extend(["--url", "ftp://host"]);
        assert!(place.run(&line).2.contains("'ftp://host'"), "what can't hold a password is shown");
    }
}

#[test]
fn what_watches_asks_the_server_in_the_environment_too() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.address);
    let nobody = ("PORT", "9");
    let Said(code, said, wrong) =
        place.run_with(&[("DAO_URL", &url), nobody], &["monitor", "--once", "--interval", "100ms"]);
    assert!(code == Some(0) && said.contains("ready"), "{said} {wrong}");
    let Said(code, _, wrong) = place.run_with(&[("DAO_URL", "http://127.0.0.1:9")], &["watch", "example"]);
    assert!(code == Some(1) && wrong.contains("no server answers at http://127.0.0.1:9"), "{wrong}");
}

#[test]
fn questions_name_the_place() {
    let place = Place::new();
    let asked = |line: &str| place.run(&words(line)).2;
    assert!(asked("purge old").contains(&format!("old at {}", place.0.path().join("data").display())));
    let server = place.serve(&[]);
    assert!(asked("purge old").contains("dao.sock"));
    let url = format!("http://{}", server.address);
    let file = place.file("small.json", &flow(2));
    assert!(asked(&format!("purge old --url {url}")).contains(&url));
    let line = format!("import {file} --graph example --replace --url {url}");
    assert!(asked(&line).contains(&format!("at {url}?")));
    assert!(place.done(&["list", "--trashed"]).contains("old"), "nobody said yes");
}

#[test]
fn a_copy_elsewhere_is_made_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let url = format!("http://{}", server.address);
    for line in ["copy example copied --at 5 --title Copied", "copy example fork --at 5 --history"] {
        let line = format!("{line} --json --url {url}");
        let first = place.done(&words(&line));
        let copied: Value = serde_json::from_str(&first).unwrap();
        let graph = copied["graphId"].as_str().unwrap();
        place.done(&["label", graph, "mine", "--at", "1"]);
        assert_eq!(place.done(&words(&line)), first, "the same again, as it was then");
        let now: Value =
            serde_json::from_str(&place.done(&["copy", graph, &format!("{graph}2"), "--json"])).unwrap();
        assert_eq!(now["forkedFrom"]["version"], copied["version"].as_u64().unwrap() + 1, "it was made once");
        assert_eq!(copied["forkedFrom"]["version"], 5);
        place.done(&["trash", graph]);
        let Said(code, said, wrong) = place.run(&words(&line));
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{wrong}");
        assert!(wrong.contains(&format!("{graph} is in the trash: `dao-api recover {graph}`")), "{wrong}");
    }
}

#[test]
fn a_copy_elsewhere_that_was_refused_is_tried_again_and_others_may_copy_the_same() {
    let place = Place::new();
    let copy = |settings: &[(&str, &str)], user: &str| {
        let server = place.serve(settings);
        let url = format!("http://{}", server.address);
        let said = place.run(&["copy", "example", "copied", "--user", user, "--url", &url]);
        server.terminate();
        assert!(server.wait().success());
        said
    };
    let Said(code, _, wrong) = copy(&[("MAX_NODES", "1")], "ada");
    assert!(code == Some(1) && wrong.contains("MAX_NODES"), "{wrong}");
    let Said(code, said, wrong) = copy(&[], "ada");
    assert!(code == Some(0) && said.contains("copied is a copy"), "{wrong}");
    let Said(code, _, wrong) = copy(&[], "bob");
    assert!(code == Some(1) && wrong.contains("Use another id, or change what is there"), "{wrong}");
}

/// A server whose store is unavailable: it answers each GET with this, from memory.
fn stale_server(body: &Value) -> String {
    let body = body.to_string();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut asked, mut piece) = (Vec::new(), [0; 1024]);
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                asked.extend_from_slice(&piece[..length]);
                if asked.ends_with(b"\r\n\r\n") {
                    asked.clear();
                    let length = body.len();
                    let head =
                        format!("HTTP/1.1 200 OK\r\nx-stale: true\r\ncontent-length: {length}\r\n\r\n");
                    stream.write_all((head + &body).as_bytes()).unwrap();
                }
            }
        }
    });
    url
}

#[test]
fn h4_what_may_be_behind_is_told_and_not_exported() {
    let place = Place::new();
    let state: Value = serde_json::from_str(&place.done(&["show", "example", "--json"])).unwrap();
    let url = stale_server(&state);
    let Said(code, said, wrong) = place.run(&words(&format!("show example --json --url {url}")));
    assert_eq!((code, serde_json::from_str(&said).ok()), (Some(0), Some(state)));
    assert_eq!(wrong.lines().count(), 1, "{wrong}");
    assert!(wrong.contains("may be behind"), "{wrong}");
    for line in ["export example --state", "export example"] {
        let Said(code, said, wrong) = place.run(&words(&format!("{line} --url {url}")));
        assert_eq!((code, said.as_str(), wrong.lines().count()), (Some(1), "", 1), "{wrong}");
        assert!(wrong.contains("may be behind"), "{wrong}");
    }
}

#[test]
fn the_limits_of_the_server_count_for_an_import() {
    let place = Place::new();
    let node = json!({"id": "n", "position": {"x": 0, "y": 0}, "data": {"text": "x".repeat(2_000)}});
    let file = place.file("flow.json", &json!({"nodes": [node], "edges": []}).to_string());
    let (narrow, wide) = ([("MAX_ENTITY_BYTES", "1000")], [("MAX_ENTITY_BYTES", "1000000")]);
    let server = place.serve(&wide);
    let url = format!("http://{}", server.address);
    for line in [format!("import {file} --graph beside"), format!("import {file} --graph by-url --url {url}")]
    {
        let Said(code, _, wrong) = place.run_with(&narrow, &words(&line));
        assert_eq!(code, Some(0), "{line}: {wrong}");
    }
    server.terminate();
    assert!(server.wait().success());
    let import = format!("import {file} --graph refused");
    let alone = place.run_with(&narrow, &words(&import));
    assert!(alone.0 == Some(1) && alone.2.contains("(node \"n\")"), "{alone:?}");
    let server = place.serve(&narrow);
    let Said(code, said, wrong) = place.run_with(&wide, &words(&import));
    assert_eq!((code, wrong.lines().count()), (Some(1), 1), "{said} {wrong}");
    assert!(wrong.contains("1000") && wrong.contains("Nothing was written"), "{wrong}");
    drop(server);
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
