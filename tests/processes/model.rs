//! Runs an independent model in Python against a server.

use std::process::Command;

use crate::support::server::Process;

/// A script of this directory, with the address of a new server, a seed and a number of steps, once for each seed.
pub(crate) fn holds(script: &str, seeds: &[&str], steps: &str) {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::start(&[("DATA_DIR", &dir.path().to_string_lossy())]);
    for seed in seeds {
        let run = Command::new("python3")
            .arg(format!("{}/tests/processes/{script}", env!("CARGO_MANIFEST_DIR")))
            .args([&format!("http://{}", server.address), *seed, steps])
            .output()
            .expect("python3 runs the model");
        let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        println!("{said}");
        assert!(run.status.success(), "{said}\n{complained}");
    }
}
