//! Schemathesis, a stranger's program, against the server and its OpenAPI document.
//!
//! `SCHEMATHESIS_SEED` and `SCHEMATHESIS_EXAMPLES` are `scripts/schemathesis.sh`'s; it prints both.

use std::process::Command;

#[test]
fn h_every_answer_to_made_up_requests_is_in_the_document_and_none_is_a_failure() {
    let run = Command::new("scripts/schemathesis.sh")
        .arg(env!("CARGO_BIN_EXE_dao-api"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash runs scripts/schemathesis.sh");
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{said}");
    assert!(run.status.success(), "{said}\n{complained}");
}
