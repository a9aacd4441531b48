//! Each command says the same beside a server as without one.

use dao_api::http::BODY_BYTES_MAX;
use serde_json::json;

use super::{Place, Said, flow, words};

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

#[test]
fn many_graphs_are_verified_and_rebuilt_over_one_connection() {
    let place = Place::new();
    let server = place.serve(&[]);
    let files: Vec<String> = (0..60).map(|n| place.file(&format!("g{n}.json"), &flow(2))).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    place.done(&[&["import", "--each"], files.as_slice()].concat());
    for _ in 0..3 {
        assert!(place.done(&["verify", "--all"]).ends_with("62 graphs verified, 0 damaged\n"));
        assert!(place.done(&["rebuild", "--all"]).starts_with("62 graphs rebuilt"));
    }
    drop(server);
}

#[test]
fn graphs_that_are_larger_than_a_request_are_imported_and_copied() {
    let alone = Place::new();
    let beside = alone.twin();
    let node =
        |n| json!({"id": format!("n{n}"), "position": {"x": n, "y": 0}, "data": {"text": "x".repeat(5_000)}});
    let large = json!({"nodes": (0..2_000).map(node).collect::<Vec<_>>(), "edges": []}).to_string();
    assert!(large.len() > BODY_BYTES_MAX, "{}", large.len());
    let server = beside.serve(&[]);
    let lines = [
        "import large.json --graph large",
        "copy large twin",
        "copy large fork --history",
        // So many deletions are more than a batch may have.
        "import small.json --graph large --replace --yes",
        "undo large 2",
    ];
    for place in [&alone, &beside] {
        place.file("large.json", &large);
        place.file("small.json", &flow(2));
    }
    for line in lines {
        let (first, second) = (alone.run(&words(line)), beside.run(&words(line)));
        assert_eq!(first.0, Some(0), "{line}: {}", first.2);
        assert_eq!(first.without_chance(), second.without_chance(), "{line}: {}", second.2);
    }
    for graph in ["large", "twin", "fork"] {
        let state = ["export", graph, "--state"];
        assert_eq!(alone.done(&state), beside.done(&state), "{graph}");
    }
    drop(server);
}

#[test]
fn what_is_too_large_for_the_socket_is_imported_without_the_server() {
    let place = Place::new();
    let flow = |id: &str| {
        let node = json!({"id": id, "position": {"x": 0, "y": 0}, "data": {"text": "x".repeat(33 << 20)}});
        json!({"nodes": [node], "edges": []}).to_string()
    };
    let (a, b) = (place.file("a.json", &flow("a")), place.file("b.json", &flow("b")));
    let import = |place: &Place| {
        place.run_with(&[("MAX_ENTITY_BYTES", "100000000")], &["import", &a, &b, "--graph", "large"])
    };
    let server = place.serve(&[("MAX_ENTITY_BYTES", "100000000")]);
    let Said(code, said, wrong) = import(&place);
    assert_eq!((code, wrong.lines().count()), (Some(1), 1), "{said}: {wrong}");
    assert!(wrong.contains("stop the server first") && wrong.contains("Nothing was written"), "{wrong}");
    server.terminate();
    assert!(server.wait().success());
    assert_eq!(import(&place).0, Some(0), "without a server");
}
