//! The arrows between modules, read from the source: `cli → http → {live, write, read, project} → {store,
//! domain} → dao_projections`, and what is absent where.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which modules of this crate each one may name. What is not listed may name itself alone.
const ARROWS: [(&str, &[&str]); 15] = [
    ("main", &["cli"]),
    ("lib", &[]),
    ("auth", &[]),
    (
        "cli",
        &[
            "auth",
            "client",
            "config",
            "http",
            "live",
            "read",
            "write",
            "project",
            "store",
            "domain",
            "telemetry",
        ],
    ),
    ("client", &["websocket"]),
    ("config", &["auth", "http", "project", "store", "domain"]),
    ("http", &["auth", "read", "write", "live", "project", "domain", "websocket", "telemetry"]),
    ("live", &["read", "write", "store", "telemetry"]),
    ("project", &["write", "store"]),
    ("read", &["write", "store", "domain"]),
    ("write", &["store", "domain", "telemetry"]),
    ("websocket", &[]),
    ("store", &["telemetry"]),
    // What is counted knows nothing of what it means.
    ("telemetry", &[]),
    ("domain", &[]),
];

/// Every source file below `dir`, with its text without comments and tests.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, code_of(&text)));
        }
    }
    assert!(!found.is_empty(), "{}", dir.display());
    found
}

/// A file's text without comments, and without the items that only tests have. As rustfmt writes it, an item ends with a
/// line of its own indentation.
fn code_of(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().map(|line| line.split("//").next().unwrap().trim_end());
    let mut code = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim_start() != "#[cfg(test)]" {
            code.push(line);
            continue;
        }
        let is_end = |end: &str| indentation(end) == indentation(line) && end.ends_with([';', '}']);
        let _end = lines.find(|line| is_end(line));
    }
    code.join("\n")
}

#[test]
fn the_reader_of_code_leaves_out_tests_and_nothing_else() {
    let text = "use a; // b\n#[cfg(test)]\nmod tests;\nfn c() {}\nimpl D {\n    #[cfg(test)]\n    fn e() {\n    }\n    \
                fn f() {}\n}\n#[cfg(test)]\nmod g {\n    fn h() {}\n}\n";
    assert_eq!(code_of(text), "use a;\nfn c() {}\nimpl D {\n    fn f() {}\n}");
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The first part of a file's path below `src`: its module.
fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that `code` names by `crate::x` or inside of `crate::{…}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(word(rest))),
            Some(list) => {
                let (mut depth, mut is_first) = (0_i32, true);
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => is_first = true,
                        c if c.is_alphanumeric() && depth == 0 && is_first => {
                            found.insert(word(&list[at..]));
                            is_first = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn the_reader_of_this_test_sees_what_is_named() {
    let code =
        "use crate::{\n    a::{b, c},\n    d,\n    e::f,\n};\nuse crate::g::h; crate::i(); crate::j!{}";
    assert_eq!(named(code), ["a", "d", "e", "g", "i", "j"].map(str::to_owned).into());
}

#[test]
fn arrows_between_modules_point_down() {
    let mut wrong = Vec::new();
    for (path, code) in sources(&root().join("src")) {
        let module = module_of(&path);
        let allowed = ARROWS.iter().find(|(name, _)| *name == module);
        let allowed = allowed.unwrap_or_else(|| panic!("{module} has no place among the arrows")).1;
        let names = named(&code.replace("dao_api::", "crate::"));
        let upwards = names.into_iter().filter(|name| *name != module && !allowed.contains(&name.as_str()));
        wrong.extend(upwards.map(|name| format!("{}: {module} -> {name}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Fails for every file outside of `home` whose code has `word`, and if none inside has it.
fn only_in(home: &str, needle: &str) {
    let mut is_at_home = false;
    for (path, code) in sources(&root().join("src")) {
        let has_it = code.match_indices(needle).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + needle.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
        });
        let is_home = path.starts_with(root().join("src").join(home));
        assert!(!has_it || is_home, "{needle} in {}, outside of src/{home}", path.display());
        is_at_home |= has_it;
    }
    assert!(is_at_home, "nothing in src/{home} uses {needle}: this test looks for the wrong word");
}

#[test]
fn redis_is_known_to_its_adapter_alone() {
    only_in("store/redis", "fred");
}

#[test]
fn sqlite_is_known_to_its_adapter_alone() {
    only_in("store/embedded", "rusqlite");
}

#[test]
fn http_and_status_codes_are_known_to_the_http_layer_alone() {
    only_in("http", "axum");
    only_in("http", "StatusCode");
}

#[test]
fn the_domain_has_no_clock_no_chance_and_no_waiting() {
    for (path, code) in
        sources(&root().join("src/domain")).iter().chain(&sources(&root().join("projections/src")))
    {
        for absent in
            ["tokio", "async ", ".await", "SystemTime", "Instant", "now_v7", "new_v4", "rand::", "std::fs"]
        {
            assert!(!code.contains(absent), "{absent} in {}", path.display());
        }
    }
}

#[test]
fn projections_depend_on_nothing_that_waits_or_guesses() {
    let manifest = fs::read_to_string(root().join("projections/Cargo.toml")).unwrap();
    let dependencies = manifest.split_once("[dependencies]").unwrap().1.split("\n[").next().unwrap();
    let names: BTreeSet<&str> = (dependencies.lines())
        .map(|line| line.split(['=', '.', ' ']).next().unwrap())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect();
    assert!(names.contains("serde"), "the list is read: {names:?}");
    let absent = [
        "tokio",
        "futures",
        "async-trait",
        "rand",
        "getrandom",
        "chrono",
        "time",
        "axum",
        "fred",
        "rusqlite",
        "tracing",
    ];
    let found: Vec<_> = absent.iter().filter(|name| names.contains(*name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Who follows a graph, and whoever shares a thread with them, does not wait while its commands are judged, encoded and
/// hashed.
#[test]
fn c4_commands_are_judged_without_a_lock() {
    let write = root().join("src/write");
    for file in [
        "graph_task.rs",
        "append_outcome.rs",
        "round.rs",
        "conflict_window.rs",
        "ring.rs",
        "ended_operations.rs",
    ] {
        let (_, code) =
            sources(&write).into_iter().find(|(path, _)| *path == write.join(file)).expect("it is there");
        for absent in ["Mutex", "RwLock", "lock("] {
            assert!(!code.contains(absent), "{absent} in {file}");
        }
    }
}
