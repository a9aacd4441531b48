//! The README and the quick start do what they say: each of their `sh` blocks is pasted whole into a fresh shell.
//!
//! In the order of the page, in a folder with the program where `make run` puts it, and with free ports in
//! the place of those that the page names. A block is `bash -eu`: what fails on the way fails the test.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::support::{redis::free_port, server::Process};

/// What must be in the output of the block that contains the first text.
const SAYS: [(&str, &[&str]); 15] = [
    ("CREATE_EDGE", &["\"version\":3", "\"outcome\":\"applied\"", "\"source\":\"a\""]),
    ("\"label\":\"Begin\"", &["\"version\":4"]),
    (
        "\"label\":\"Go\"",
        &["\"status\":409", "Conflicting change", "\"yours\":\"Go\"", "wrote a at /data/label in version 4"],
    ),
    ("\"color\":\"red\"", &["\"outcome\":\"merged\"", "\"version\":5"]),
    ("hash=beef", &["\"currentVersion\":5", "{\"label\":\"Begin\"}", "\"reset\":true"]),
    ("follow.mjs", &["v5: 2 nodes, 1 edges", "v6 ada: NodeCreated"]),
    ("/operations/", &["\"status\":\"conflict\"", "\"code\":\"CONFLICT\""]),
    ("the plug", &["\"version\":1", "\"duplicate\":true"]),
    ("redis-server", &["\"outcome\":\"applied\"", "\"id\":\"n1\""]),
    ("JWT_SECRET", &["\"graphId\":\"demo\"", "\"version\":0"]),
    ("dao-api seed", &["carol"]),
    ("dao-api verify", &["0 damaged"]),
    ("dao-api rebuild", &["3 graphs rebuilt"]),
    ("dao-api restore", &["copy.db"]),
    ("dao-api monitor", &["1 server", "ready"]),
];
/// Ports of the page, as text; each gets a free one.
const PORTS: [&str; 6] = ["3000", "3001", "3002", "3003", "3009", "6390"];
/// The block that serves until it is stopped.
const SERVES: &str = "make run";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of a page that are for a shell.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("\n```sh\n").skip(1);
    parts.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// What a shell started and left running. Ends with the test.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ended_already =
            Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _reaped = self.0.wait();
    }
}

/// Runs a block to its end, and what it said. What it left running goes with what is returned.
fn paste(block: &str, place: &Path) -> (String, bool, Group) {
    let said = place.join("said");
    let out = fs::File::create(&said).unwrap();
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-c", block]).current_dir(place).env_clear().process_group(0);
    shell.envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // A file, not a pipe: what is left running in the background has it open for longer than the shell lives.
    shell.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut group = Group(shell.spawn().unwrap());
    let ended = group.0.wait().unwrap();
    (fs::read_to_string(said).unwrap(), ended.success(), group)
}

/// The block with these ports. By way of a mark for each: a free port may hold the digits of another.
fn with_ports(block: &str, free: [u16; PORTS.len()]) -> String {
    let mark = |index: usize| format!("\u{1}{}\u{1}", char::from(b'a' + index as u8));
    let marked =
        PORTS.iter().enumerate().fold(block.to_owned(), |text, (i, port)| text.replace(port, &mark(i)));
    free.iter().enumerate().fold(marked, |text, (i, port)| text.replace(&mark(i), &port.to_string()))
}

/// A folder as after `make run`: the program, and the files that the page names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("target/quick");
    fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dao-api"), built.join("dao-api")).unwrap();
    std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();
    folder
}

#[test]
fn each_block_of_the_readme_works_when_it_is_pasted_into_a_fresh_shell() {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = folder();
    let data = folder.path().join("data");
    let server = Process::start(&[("DATA_DIR", data.to_str().unwrap())]);
    let free = PORTS.map(|port| if port == "3000" { server.address.port() } else { free_port() });
    let ws = format!("ws://{}", server.address);
    let (mut all, mut wrong) = (String::new(), vec![]);
    for block in blocks(&page) {
        if block.trim_start().starts_with(SERVES) {
            continue; // its place is taken by `server`
        }
        let ours = with_ports(&block, free);
        // The program takes it too, for a server that is not that of DATA_DIR.
        let url = if block.contains("follow.mjs") { format!("DAO_URL={ws}") } else { String::new() };
        let settings = format!("export PORT={} {url} NO_COLOR=1\n", server.address.port());
        let (said, succeeded, _group) = paste(&(settings + &ours), folder.path());
        if !succeeded {
            wrong.push(format!("this block fails:\n{ours}\n{said}"));
        }
        for (_, words) in SAYS.iter().filter(|(mark, _)| block.contains(mark)) {
            let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
            if !missing.is_empty() {
                wrong.push(format!("{missing:?} is not said by\n{ours}\n{said}"));
            }
        }
        all.push_str(&block);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    let unused: Vec<_> = SAYS.iter().filter(|(mark, _)| !all.contains(mark)).collect();
    assert!(unused.is_empty(), "no block has {unused:?}");
}

/// The quick start, as somebody follows it who has installed the program.
#[test]
fn each_block_of_the_quick_start_works_when_it_is_pasted_into_a_fresh_shell() {
    /// What runs until it is stopped; see `demo.rs`.
    const DEMO: &str = "dao-api demo";
    /// The server in the background listens by then.
    const SAYS: [&str; 3] = ["\"version\":1", "Start", "ada  SAVE_DOCUMENT"];
    let page = fs::read_to_string(root().join("docs/quickstart.md")).unwrap();
    let folder = folder();
    let path = format!("export PATH=\"{}/target/quick:$PATH\"\n", folder.path().display());
    let mut said = String::new();
    for block in blocks(&page).into_iter().filter(|block| block.trim() != DEMO) {
        let free = PORTS.map(|_| free_port());
        let settings = format!("{path}export PORT={} NO_COLOR=1\n", free[0]);
        let (words, succeeded, _group) = paste(&(settings + &with_ports(&block, free)), folder.path());
        assert!(succeeded, "this block fails:\n{block}\n{words}");
        said += &words;
    }
    let missing: Vec<_> = SAYS.iter().filter(|words| !said.contains(**words)).collect();
    assert!(missing.is_empty(), "{missing:?} is not said: {said}");
}

#[test]
fn every_file_that_the_readme_links_to_is_there() {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let links: Vec<PathBuf> = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .map(|link| root().join(link))
        .collect();
    assert!(links.len() > 10, "{links:?}");
    let missing: Vec<_> = links.iter().filter(|link| !link.exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
