//! Undo, restore, labels, copies and the trash against an independent model of them, in Python (rules U1 to U12, L7 to
//! L13).

use crate::model;

/// Turns of one run, and the runs. Another seed is another run: `python3 tests/processes/history_model.py`.
const TURNS: &str = "200";
const SEEDS: [&str; 3] = ["1", "2", "3"];

#[test]
fn u_l_three_people_come_to_what_an_independent_model_says() {
    model::holds("history_model.py", &SEEDS, TURNS);
}
