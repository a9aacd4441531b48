//! What is compiled in keeps to `deny.toml`; here is what cargo-deny does not look at.

/// The roots of every crate of the workspace.
const CRATES: [&str; 3] = ["src/lib.rs", "src/main.rs", "projections/src/lib.rs"];

#[test]
fn no_crate_of_the_workspace_can_hold_unsafe_code() {
    for root in CRATES {
        let path = format!("{}/{root}", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(&path).expect("the root of a crate");
        // `forbid` can't be allowed again further down.
        assert!(source.lines().any(|line| line == "#![forbid(unsafe_code)]"), "{root}");
    }
}
