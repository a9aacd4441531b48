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

/// The screen, with the exit code and what else is said.
fn once(urls: &[String]) -> (String, Option<i32>, String) {
    let mut arguments = vec!["--once", "--interval", "200ms"];
    arguments.extend(urls.iter().flat_map(|url| ["--url", url.as_str()]));
    let output = monitor(&arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), output.status.code(), text(output.stderr))
}

fn url(server: &Process) -> String {
    format!("http://{}", server.address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_screen_shows_all_servers() {
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
    let answered = urls[..1].to_vec();
    let (text, code, said) = tokio::task::spawn_blocking(move || once(&urls)).await.unwrap();
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains(&away) && said.contains(&url(&closed)) && !said.contains(&url(&good)), "{said}");
    let row =
        text.lines().find(|line| line.contains(&url(&good)) && line.contains("ready")).unwrap_or_default();
    assert!(row.contains("MiB") && row.contains("ms") | row.contains("µs"), "{text}");
    for words in [
        &format!("{}: {}", url(&good), env!("CARGO_PKG_VERSION")),
        "durability fsync",
        &format!("{}: its metrics need admin on *", url(&closed)),
        &format!("{}: it has no metrics", url(&silent)),
        &format!("{away} is unreachable: no server answers"),
        "applied",
    ] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours, no moves of the cursor");
    let (_, code, said) = tokio::task::spawn_blocking(move || once(&answered)).await.unwrap();
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn o6_a_screen_as_text_is_as_wide_as_columns_says() {
    let url = format!("http://127.0.0.1:{}", free_port());
    for width in [80, 120] {
        let mut program = program(&[("COLUMNS", &width.to_string())]);
        let output =
            program.args(["monitor", "--once", "--interval", "10ms", "--url", &url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert_eq!((widest, output.status.code()), (Some(width), Some(1)), "{text}");
    }
}

#[test]
fn without_a_terminal_the_error_says_what_to_do() {
    let output = monitor(&["--url", "http://127.0.0.1:1"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--once") && text.lines().count() == 1, "{text}");
}
