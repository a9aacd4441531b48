//! Document saves against an independent model of them, in Python (rules DS2 to DS12).

use crate::model;

/// Saves of one run, and the runs. Another seed is another run: `python3 tests/processes/document_model.py`.
const SAVES: &str = "400";
const SEEDS: [&str; 3] = ["1", "2", "3"];

#[test]
fn ds_three_savers_come_to_what_an_independent_model_says() {
    model::holds("document_model.py", &SEEDS, SAVES);
}
