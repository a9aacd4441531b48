//! `docs/architecture.md` names files: they are there.

use std::fs;

use crate::arrows::root;

/// Where the paths of the page begin.
const BEGINNINGS: [&str; 3] = ["", "src", "tests"];
/// How names of files end there, also where they stand without a directory.
const ENDINGS: [&str; 5] = [".rs", ".lua", ".md", ".mjs", ".py"];

/// The paths among what stands between backticks, outside of blocks.
fn paths_of(page: &str) -> Vec<&str> {
    let outside = page.split("```").step_by(2);
    let words = outside.flat_map(|text| text.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        let is_named = word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending));
        // What begins with a slash is a route, or a place in a document.
        is_named && !word.starts_with('/') && word.chars().all(is_plain)
    };
    words.filter(is_path).collect()
}

#[test]
fn the_reader_of_this_test_sees_the_paths() {
    let page =
        "`a/b.rs` and `/events`, `c.lua`\n```\n`no/path`\n```\n`d/`, `merged`, `changes?since=3` and\n`e.f`";
    assert_eq!(paths_of(page), ["a/b.rs", "c.lua", "d/"]);
}

#[test]
fn every_path_of_the_page_is_there() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let paths = paths_of(&page);
    assert!(paths.len() > 100, "the page is read: {paths:?}");
    let is_there = |path: &str| BEGINNINGS.iter().any(|beginning| root().join(beginning).join(path).exists());
    let gone: Vec<_> = paths.into_iter().filter(|path| !is_there(path)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}
