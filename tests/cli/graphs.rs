//! `dao-api list`, `create`, `trash` and `recover` (rules L), and that whatever writes is in the list at once.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{redis::RedisServer, server::program};

/// A store, by the setting that names it.
struct Place {
    setting: (&'static str, String),
    dir: tempfile::TempDir,
    _redis: Option<RedisServer>,
}

impl Place {
    fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data").to_str().unwrap().to_owned();
        Self { setting: ("DATA_DIR", data), dir, _redis: None }
    }

    fn redis() -> Self {
        let redis = RedisServer::start();
        let url = redis.url();
        Self { setting: ("REDIS_URL", url), dir: tempfile::tempdir().unwrap(), _redis: Some(redis) }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let (name, value) = &self.setting;
        program(&[(*name, value.as_str())]).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{arguments:?}: {said}");
        said
    }

    /// The rows of the list.
    #[track_caller]
    fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.succeeds(&[&["list", "--json"], arguments].concat());
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn listed(&self, arguments: &[&str]) -> Vec<String> {
        self.list(arguments).iter().map(|row| row["graphId"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn l2_whatever_writes_is_in_the_list_at_once() {
    for place in [Place::embedded(), Place::redis()] {
        assert_eq!(place.succeeds(&["list"]), "graphs: 0\n");
        place.succeeds(&["seed", "--graph", "story"]);
        let file = place.dir.path().join("flow.json");
        let document = |x: u32| json!({"nodes": [{"id": "a", "position": {"x": x, "y": 0}}], "edges": []});
        for x in [1, 2] {
            std::fs::write(&file, document(x).to_string()).unwrap();
            place.succeeds(&["import", file.to_str().unwrap(), "--graph", "imported", "--user", "ada"]);
        }
        place.succeeds(&["create", "made", "--title", "Invoices", "--tag", "billing", "--user", "bob"]);
        let rows = place.list(&[]);
        let told: Vec<_> = rows.iter().map(|row| (row["graphId"].clone(), row["version"].clone())).collect();
        let story = rows[2]["version"].clone();
        assert!(story.as_u64() > Some(5), "{story}");
        assert_eq!(told, [(json!("imported"), json!(2)), (json!("made"), json!(1)), (json!("story"), story)]);
        assert_eq!((&rows[0]["nodes"], &rows[0]["updatedBy"]), (&json!(1), &json!("ada")));
        assert_eq!(rows[1]["attributes"], json!({"title": "Invoices", "tags": ["billing"]}));
        place.succeeds(&["undo", "imported", "2"]);
        let rows = place.list(&["--prefix", "imp"]);
        assert_eq!((rows.len(), &rows[0]["version"]), (1, &json!(3)));
        assert_eq!(place.listed(&["--tag", "billing"]), ["made"]);
        assert_eq!(place.listed(&["--q", "INVOICE"]), ["made"]);
        let said = place.succeeds(&["list", "--q", "invoice"]);
        assert!(
            said.starts_with("made \"Invoices\" at version 1, 0 nodes, 0 edges, changed by bob"),
            "{said}"
        );
        assert!(said.ends_with("graphs: 1\n"), "{said}");
    }
}

#[test]
fn l8_l9_a_graph_goes_into_the_trash_and_comes_back() {
    for place in [Place::embedded(), Place::redis()] {
        let created: Value = serde_json::from_str(&place.succeeds(&["create", "g", "--json"])).unwrap();
        assert_eq!(created, json!({"graphId": "g", "version": 1, "outcome": "applied"}));
        assert!(place.fails(&["create", "g"]).contains('g'), "a graph is created once");
        let said = place.succeeds(&["trash", "g", "--reason", "old", "--moved-to", "h", "--user", "ada"]);
        assert_eq!(said, "g is in the trash, at version 2\n");
        let again: Value = serde_json::from_str(&place.succeeds(&["trash", "g", "--json"])).unwrap();
        assert_eq!(again, json!({"graphId": "g", "version": 2, "outcome": "unchanged"}));
        assert!(place.listed(&[]).is_empty());
        let trashed = place.list(&["--trashed"]).remove(0)["trashed"].clone();
        assert_eq!((&trashed["by"], &trashed["reason"]), (&json!("ada"), &json!("old")));
        assert_eq!(trashed["movedTo"], "h");
        assert_eq!(place.succeeds(&["recover", "g"]), "g is recovered, at version 3\n");
        assert_eq!((place.listed(&[]), place.listed(&["--trashed"])), (vec!["g".to_owned()], vec![]));
        for command in ["trash", "recover"] {
            assert!(place.fails(&[command, "nobody"]).contains("nobody"), "{command}");
        }
    }
}
