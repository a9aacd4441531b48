//! Commands beside a running server: over its socket, over `--url`, or alone, they say the same (decision 0127).

mod elsewhere;
mod same;
mod socket;

use std::{fs, path::PathBuf, process::Output};

use serde_json::json;

use crate::support::server::{Process, program};

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

/// Nodes in a row.
fn flow(nodes: u32) -> String {
    let node = |n| json!({"id": format!("n{n}"), "position": {"x": n, "y": 0.5}, "data": {"label": n}});
    let edge = json!({"id": "e", "source": "n0", "target": "n1"});
    json!({"nodes": (0..nodes).map(node).collect::<Vec<_>>(), "edges": [edge]}).to_string()
}

fn token(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = program(&[("JWT_SECRET", SECRET)]);
    let Said(code, token, wrong) = Said::of(&command.arg("token").args(arguments).output().unwrap());
    assert_eq!(code, Some(0), "{wrong}");
    (code, token.trim().to_owned(), wrong)
}
