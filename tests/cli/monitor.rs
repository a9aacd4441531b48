//! `dao-api monitor`: one screen as text, of servers that are there, closed, or away; and the live screen in a terminal.

use std::process::{Output, Stdio};

use serde_json::json;

use crate::support::{
    redis::free_port,
    server::{Process, program},
};

fn monitor(arguments: &[&str]) -> Output {
    let mut program = program(&[]);
    program.args(["monitor"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    program.output().unwrap()
}

fn once(urls: &[String]) -> String {
    let mut arguments = vec!["--once", "--interval", "200ms"];
    arguments.extend(urls.iter().flat_map(|url| ["--url", url.as_str()]));
    let output = monitor(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn url(server: &Process) -> String {
    format!("http://{}", server.address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_screen_tells_of_all_servers() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [good, closed, silent] = dirs.each_ref().map(|dir| dir.path().to_str().unwrap());
    let good = Process::start(&[("DATA_DIR", good)]);
    let secret = ("JWT_SECRET", "a secret of tests, and of nothing else");
    let closed = Process::start(&[("DATA_DIR", closed), secret]);
    let silent = Process::start(&[("DATA_DIR", silent), ("METRICS_ENABLED", "off")]);
    let away = format!("http://127.0.0.1:{}", free_port());
    let client = good.client();
    for n in 0..20 {
        client.apply("g", "CREATE_NODE", json!({"id": n.to_string()})).await;
    }
    let urls = [url(&good), url(&closed), url(&silent), away.clone()];
    let text = tokio::task::spawn_blocking(move || once(&urls)).await.unwrap();
    let row =
        text.lines().find(|line| line.contains(&url(&good)) && line.contains("ready")).unwrap_or_default();
    assert!(row.contains("MiB") && row.contains("ms") | row.contains("µs"), "{text}");
    for words in [
        &format!("{}: {}", url(&good), env!("CARGO_PKG_VERSION")),
        "durability fsync",
        &format!("{}: shows its metrics to admins of * alone", url(&closed)),
        &format!("{}: shows no metrics", url(&silent)),
        &format!("{away} is away: no server answers"),
        "applied",
    ] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours, no moves of the cursor");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = monitor(&["--url", "http://127.0.0.1:1"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--once") && text.lines().count() == 1, "{text}");
}
