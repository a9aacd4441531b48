//! `dao-api undo` (rules U).

use std::process::Output;

use serde_json::{Value, json};

use crate::support::server::program;

struct Place(tempfile::TempDir);

impl Place {
    /// A graph with a node that ada made and moved, and bob moved again.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (user, x) in [("ada", 0), ("ada", 5), ("bob", 9)] {
            let file = place.0.path().join("flow.json");
            let document = json!({"nodes": [{"id": "a", "position": {"x": x, "y": 0}, "data": {"n": x.min(5)}}], "edges": []});
            std::fs::write(&file, document.to_string()).unwrap();
            let file = file.to_str().unwrap();
            assert!(place.run(&["import", file, "--graph", "g", "--user", user]).status.success());
        }
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let data = self.0.path().join("data");
        program(&[("DATA_DIR", data.to_str().unwrap())]).args(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn u12_what_was_put_back_and_left_alone_is_told() {
    let place = Place::new();
    let undone = place.json(&["undo", "g", "2", "--json"]);
    assert_eq!((&undone["outcome"], &undone["version"]), (&json!("merged"), &json!(4)));
    assert_eq!(undone["result"]["reverted"], json!([{"entity": "node", "id": "a", "paths": ["/data/n"]}]));
    assert_eq!(undone["result"]["skipped"][0]["userId"], "bob");
    let said = place.run(&["undo", "g", "4"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("g: undone in version 5") && said.contains("put back a /data/n"), "{said}");
    let nothing = place.json(&["undo", "g", "4", "--json"]);
    assert_eq!((&nothing["outcome"], &nothing["version"]), (&json!("unchanged"), &json!(5)));
}

#[test]
fn u5_what_is_refused_is_one_line() {
    let place = Place::new();
    for (arguments, says) in [
        (&["undo", "g", "2", "--on-conflict", "reject"] as &[&str], "bob in version 3"),
        (&["undo", "g", "9"], "has no version 9"),
        (&["undo", "nobody", "1"], "nobody"),
    ] {
        let output = place.run(arguments);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && line.contains(says), "{arguments:?}: {line}");
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    }
    assert_eq!(place.run(&["undo", "g", "0"]).status.code(), Some(2));
    assert_eq!(place.json(&["undo", "g", "2", "--on-conflict", "overwrite", "--json"])["outcome"], "applied");
}
