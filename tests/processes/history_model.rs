//! Stale edits, saves of documents, undo, restore, labels, copies, the trash and purges against an independent model of
//! them, in Python (rules D1 to D8, DS2 to DS13, U1 to U12, L7 to L14).

use crate::model;

/// Turns of one run, and the runs. Another seed is another run: `python3 tests/processes/history_model.py`.
const TURNS: &str = "400";
const SEEDS: [&str; 3] = ["1", "2", "3"];

#[test]
fn d_ds_u_l_three_people_come_to_what_an_independent_model_says() {
    model::holds("history_model.py", &SEEDS, TURNS);
}
