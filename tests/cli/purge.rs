//! `dao-api purge` (rule L10).

use serde_json::Value;

use crate::support::server::program;

fn run(data: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program(&[("DATA_DIR", data)]).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn l10_a_graph_is_purged_from_the_trash() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let done = |arguments: &[&str]| {
        let (code, said, wrong) = run(data, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {wrong}");
        said
    };
    done(&["create", "g", "--title", "Plan"]);
    let (code, _, wrong) = run(data, &["purge", "g", "--yes"]);
    assert!(
        code == Some(1) && wrong.contains("not in the trash") && wrong.contains("dao-api trash g"),
        "{wrong}"
    );
    done(&["trash", "g"]);
    // Without an answer nothing is purged.
    let (code, _, wrong) = run(data, &["purge", "g"]);
    assert!(code == Some(1) && wrong.contains("nothing was purged"), "{wrong}");
    assert!(done(&["list", "--trashed"]).contains("Plan"));

    let operation = "0192f0c1-0000-7000-8000-000000000001";
    let said = done(&["purge", "g", "--yes", "--json", "--operation-id", operation]);
    let purged: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&purged["graphId"], &purged["version"], &purged["operationId"]),
        (&"g".into(), &2.into(), &operation.into())
    );
    assert!(!done(&["list", "--trashed"]).contains("Plan"));
    assert_eq!(run(data, &["show", "g"]).0, Some(1));
    assert_eq!(
        done(&["purge", "g", "--yes", "--operation-id", operation]),
        "g is purged. Its last version was 2\n"
    );
    let (code, _, wrong) = run(data, &["purge", "g", "--yes"]);
    assert!(code == Some(1) && wrong.contains("does not exist"), "{wrong}");
    // The name is free.
    assert!(done(&["create", "g", "--title", "New"]).contains("version 1"));
    assert!(done(&["verify", "g"]).contains("g"));
}
