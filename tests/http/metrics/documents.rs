//! The page, the dashboard and the alerts name metrics that there are, and the page names all of them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{node, scrape};
use crate::support::{openmetrics::Exposition, server::Process};

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// What the program shows once a little has happened.
async fn shown() -> Exposition {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", dir.path().to_str().unwrap())]);
    let client = server.client();
    client.apply("g", "CREATE_NODE", node("n")).await;
    client.get("/no/such/route").await.problem(404, "NOT_FOUND");
    scrape(&client).await
}

/// The words of a text that look like names of this program's metrics.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("dao_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "expr" || key == "query" => found.push(text.clone()),
                    value => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_docs_dashboard_and_alerts_name_existing_metrics() {
    let shown = shown().await;
    let samples = shown.sample_names();
    let dashboard: Value = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let mut asked = vec![];
    queries(&dashboard, &mut asked);
    assert!(asked.len() > 20, "the dashboard's queries are found");
    let alerts = document("alerts.yaml");
    assert!(names(&alerts).len() > 8, "the alerts' metrics are found");
    for name in names(&asked.join(" ")).into_iter().chain(names(&alerts)) {
        assert!(samples.contains(&name), "{name} is asked for, and is no metric");
    }
    let page = document("metrics.md");
    for (family, described) in &shown.families {
        assert!(names(&page).contains(family), "{family} ({}) is not in docs/metrics.md", described.help);
        let labels =
            described.samples.keys().flat_map(|(_, labels)| labels.keys()).filter(|label| *label != "le");
        let row = page.lines().find(|line| line.contains(&format!("| `{family}`"))).unwrap_or_default();
        for label in labels {
            assert!(row.contains(&format!("`{label}`")), "{family} has the label {label}: {row}");
        }
    }
    for name in names(&page) {
        let of_a_sample = samples.contains(&name) || shown.families.contains_key(&name);
        assert!(of_a_sample, "docs/metrics.md names {name}, which is no metric");
    }
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(page.contains(&format!("### {alert}")), "{alert} is not explained in docs/metrics.md");
    }
}

/// The texts of a source that look like codes.
fn codes(source: &str) -> BTreeSet<String> {
    let is_code = |text: &&str| {
        text.len() > 4 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_') && *text != "SESSION"
    };
    source.split('"').filter(is_code).map(str::to_owned).collect()
}

/// The table under `### Codes`: codes, and statuses.
fn documented_codes() -> (BTreeSet<String>, BTreeSet<String>) {
    let page = document("protocol.md");
    let table = page.split("### Codes").nth(1).unwrap().split("\n## ").next().unwrap().to_owned();
    let (mut codes, mut statuses) = (BTreeSet::new(), BTreeSet::new());
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        codes.extend(cells[1].split('`').skip(1).step_by(2).map(str::to_owned));
        let numbers = cells[2].split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
        statuses.extend(numbers.map(str::to_owned));
    }
    (codes, statuses)
}

#[test]
fn o6_every_code_and_status_of_a_refusal_is_counted_under_its_own_name() {
    let source = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let counted = source("src/telemetry/requests.rs");
    let sent = codes(&(source("src/http/problem.rs") + &source("src/http/problem/errors.rs")));
    let (documented, statuses) = documented_codes();
    assert_eq!(codes(&counted), sent, "in telemetry/requests.rs and in problem");
    assert_eq!(documented, sent, "in docs/protocol.md and in problem");
    for status in statuses {
        assert!(counted.contains(&format!("\"{status}\"")), "{status} is not in telemetry/requests.rs");
    }
}
