//! No circle of files that name each other: none between folders, and none of more than three files in one folder.
//!
//! A file names another one if its code mentions something that is defined there, followed through `use` and through
//! names that are passed on. To declare a module, or to pass on a name with `pub use`, is not to name it. Methods are not
//! seen: only what is written with a path, or comes with one `use` from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::{
    arrows::root,
    file_names::{Crate, edges},
};

/// How many files of one folder may name each other in a circle.
const CIRCLE_FILES_MAX: usize = 3;

/// The files that reach each other, for each set of more than one.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        edges.keys().map(|file| (file.as_str(), reached_from(file, edges))).collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        let back = others.iter().filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)));
        let circle: BTreeSet<String> = back.map(|file| (*file).to_owned()).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn reached_from<'a>(file: &str, edges: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = edges.get(file).into_iter().flatten().map(String::as_str).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(edges.get(next).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

/// Every `.rs` file below `dir`, by its path below it.
fn files(dir: &Path, below: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(files(dir, &format!("{name}/")));
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            found.insert(name, text);
        }
    }
    found
}

/// Whether all files of a circle are of one folder, and few. The file of a module that has a folder, `a.rs`, counts as one
/// of its folder `a/` too.
fn is_allowed(circle: &BTreeSet<String>) -> bool {
    let folder_of = |file: &str| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let own_folder = |file: &str| file.trim_end_matches(".rs").to_owned();
    let mut folders = circle.iter().flat_map(|file| [folder_of(file), own_folder(file)]);
    let is_one = folders
        .any(|folder| circle.iter().all(|file| folder_of(file) == folder || own_folder(file) == folder));
    is_one && circle.len() <= CIRCLE_FILES_MAX
}

#[test]
fn files_name_each_other_in_no_wide_circle() {
    for at in ["src", "projections/src"] {
        let edges = edges(&Crate::read(&files(&root().join(at), "")));
        assert!(edges.len() > 20 && edges.values().any(|named| named.len() > 3), "{at} is read");
        let wide: Vec<String> = (circles(&edges).into_iter())
            .filter(|circle| !is_allowed(circle))
            .map(|circle| {
                let within =
                    |file: &String| format!("  {file} names {:?}", edges[file].intersection(&circle));
                circle.iter().map(within).collect::<Vec<_>>().join("\n")
            })
            .collect();
        assert!(wide.is_empty(), "circles of files in {at}:\n{}", wide.join("\n\n"));
    }
}

/// The circles among these files, each with its files in order.
fn circles_among(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    circles(&edges(&Crate::read(&texts))).into_iter().map(|circle| circle.into_iter().collect()).collect()
}

#[test]
fn this_test_sees_circles() {
    let two = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; impl B { fn of() -> super::a::A { todo!() } }"),
    ];
    assert_eq!(circles_among(&two), [["a.rs", "b.rs"]]);
    let passed_on = [
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::{self}; pub struct A; fn a() { b::b() }"),
        ("b.rs", "use crate::A; pub fn b() { A; }"),
    ];
    assert_eq!(circles_among(&passed_on), [["a.rs", "b.rs"]], "names are followed to where they come from");
    let parent = [
        ("a/mod.rs", "mod b; pub use b::B; pub struct A;"),
        ("a/b.rs", "use super::A; pub struct B(A);"),
        ("lib.rs", "mod a;"),
    ];
    assert!(circles_among(&parent).is_empty(), "to pass a name on is not to name it");
    let in_tests = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }"),
        ("b.rs", "use crate::a::A; // crate::b::B\n pub struct B(A);"),
    ];
    assert!(circles_among(&in_tests).is_empty(), "tests and comments are not looked at");
}

#[test]
fn this_test_tells_which_circles_are_too_wide() {
    let is_allowed = |files: &[&str]| is_allowed(&files.iter().map(|file| (*file).to_owned()).collect());
    assert!(is_allowed(&["x/a.rs", "x/b.rs", "x/c.rs"]));
    assert!(!is_allowed(&["x/a.rs", "x/b.rs", "x/c.rs", "x/d.rs"]), "too many");
    assert!(!is_allowed(&["x/a.rs", "y/b.rs"]), "of different folders");
    assert!(
        is_allowed(&["x/a.rs", "x/a/b.rs", "x/a/c.rs"]) && !is_allowed(&["x/a.rs", "x/b.rs", "x/a/c.rs"])
    );
}
