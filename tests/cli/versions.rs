//! Versions by name at the command line: `label`, `restore-version`, and `--at` (rules L11 to L13).

use std::process::Output;

use serde_json::{Value, json};

use crate::support::server::program;

struct Place(tempfile::TempDir);

impl Place {
    /// A graph in which a node was made, moved, and moved again.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for x in [0, 5, 9] {
            let file = place.0.path().join("flow.json");
            let document = json!({"nodes": [{"id": "a", "position": {"x": x, "y": 0}}], "edges": []});
            std::fs::write(&file, document.to_string()).unwrap();
            place.done(&["import", file.to_str().unwrap(), "--graph", "g"]);
        }
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let data = self.0.path().join("data");
        program(&[("DATA_DIR", data.to_str().unwrap())]).args(arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(arguments)).unwrap()
    }

    fn x(&self, at: &str) -> Value {
        self.json(&["show", "g", "--at", at, "--json"])["nodes"][0]["position"]["x"].clone()
    }
}

#[test]
fn l12_labels_are_set_listed_and_removed() {
    let place = Place::new();
    assert_eq!(place.done(&["label", "g", "published", "--at", "2"]), "g: published names version 2\n");
    assert_eq!(place.done(&["label", "g", "latest", "--note", "so far"]), "g: latest names version 4\n");
    let again = place.json(&["label", "g", "published", "--at", "2", "--json"]);
    let expected =
        json!({"graphId": "g", "version": 5, "outcome": "unchanged", "name": "published", "labelled": 2});
    assert_eq!(again, expected);
    let listed = place.done(&["label", "g"]);
    assert!(
        listed.starts_with("latest names version 4") && listed.contains("published names version 2"),
        "{listed}"
    );
    assert!(listed.contains("so far"), "{listed}");
    assert_eq!(place.json(&["label", "g", "--json"])["labels"]["published"]["version"], 2);
    assert!(place.done(&["list", "--label", "published"]).starts_with("g at version 5"));
    assert_eq!(place.done(&["list", "--label", "nosuch"]), "graphs: 0\n");

    let moved = place.run(&["label", "g", "published", "--expect", "none"]);
    let line = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert!(moved.status.code() == Some(1) && line.contains("names version 2"), "{line}");
    assert_eq!(
        place.done(&["label", "g", "published", "--remove", "--expect", "2"]),
        "g: published names nothing\n"
    );
    assert_eq!(place.run(&["label", "g", "head"]).status.code(), Some(2));
    assert_eq!(place.run(&["label", "nobody", "v1"]).status.code(), Some(1));
}

#[test]
fn l13_a_version_is_shown_compared_and_exported_by_its_name() {
    let place = Place::new();
    place.done(&["label", "g", "published", "--at", "2"]);
    assert_eq!((place.x("published"), place.x("1"), place.x("head")), (json!(5), json!(0), json!(9)));
    assert!(place.done(&["show", "g", "--at", "published"]).starts_with("g at version 2"));
    assert!(place.done(&["show", "g", "--at", "2001-01-01"]).starts_with("g at version 0"));
    let diff = place.json(&["diff", "g", "--from", "published", "--json"]);
    assert_eq!((&diff["from"], &diff["to"]), (&json!(2), &json!(4)));

    let exported = place.run(&["export", "g", "--state", "--at", "published"]);
    let document: Value = serde_json::from_slice(&exported.stdout).unwrap();
    assert_eq!(document["nodes"][0]["position"]["x"], 5);
    assert_eq!(String::from_utf8_lossy(&exported.stderr), "g at version 2\n");
    assert_eq!(place.done(&["export", "g", "--at", "published"]).lines().count(), 2);
    assert_eq!(place.done(&["export", "g"]).lines().count(), 4);
    for name in ["nosuch", "9"] {
        for command in [&["show", "g", "--at", name] as &[&str], &["export", "g", "--at", name]] {
            let output = place.run(command);
            let line = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(1) && line.lines().count() == 1, "{command:?}: {line}");
        }
    }
}

#[test]
fn l11_a_version_is_restored_and_that_is_undone() {
    let place = Place::new();
    place.done(&["label", "g", "good", "--at", "2"]);
    let restored = place.json(&["restore-version", "g", "good", "--json"]);
    assert_eq!((&restored["version"], &restored["outcome"]), (&json!(5), &json!("applied")));
    assert_eq!(
        (&restored["result"]["to"], &restored["result"]["updated"]["nodes"]),
        (&json!(2), &json!(["a"]))
    );
    assert_eq!(place.x("head"), 5);
    assert!(place.done(&["restore-version", "g", "2"]).starts_with("g is as at version 2 already"));
    place.done(&["undo", "g", "5"]);
    assert_eq!(place.x("head"), 9);
    let said = place.done(&["restore-version", "g", "1", "--node", "a", "--include", "viewport"]);
    assert!(said.starts_with("g is as at version 1 again, in version 7"), "{said}");
    assert_eq!(place.x("head"), 0);
    for (arguments, says) in
        [(["restore-version", "g", "99"], "no version 99"), (["restore-version", "g", "bad"], "bad")]
    {
        let output = place.run(&arguments);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && line.contains(says), "{line}");
    }
}

#[test]
fn l7_a_graph_is_copied_with_its_history_or_its_contents() {
    let place = Place::new();
    place.done(&["label", "g", "good", "--at", "2"]);
    let said = place.done(&["copy", "g", "fork", "--history"]);
    assert_eq!(said, "fork is a copy of g at version 4, at version 5\n");
    let (source, fork) = (place.done(&["export", "g"]), place.done(&["export", "fork"]));
    let hashes = |text: &str| -> Vec<Value> {
        let commits = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        commits.map(|commit| commit["hash"].clone()).collect()
    };
    assert_eq!(hashes(&source), hashes(&fork)[..4]);
    place.done(&["verify", "fork"]);
    let copied = place.json(&["copy", "g", "part", "--at", "good", "--title", "Part", "--json"]);
    assert_eq!((&copied["version"], &copied["forkedFrom"]["version"]), (&json!(1), &json!(2)));
    let again = place.json(&["copy", "g", "part", "--at", "good", "--title", "Part", "--json"]);
    assert_eq!(again, copied, "the same command line again");
    assert!(place.done(&["list"]).contains("part \"Part\" at version 1, 1 nodes"));
    for (arguments, says) in
        [(["copy", "g", "fork"], "already exists"), (["copy", "nobody", "new"], "nobody")]
    {
        let output = place.run(&arguments);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && line.contains(says), "{line}");
    }
    for (graph, line) in [("fork", "copy g fork --history"), ("part", "copy g part --at good --title Part")] {
        place.done(&["trash", graph]);
        let line: Vec<&str> = line.split(' ').collect();
        let output = place.run(&line);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{line:?}");
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(wrong.contains(&format!("{graph} is in the trash: `dao-api recover {graph}`")), "{wrong}");
        place.done(&["recover", graph]);
        place.done(&line);
    }
}
