//! What every store promises: one suite, run on each adapter.
//!
//! Titles begin with the rule of `docs/protocol.md` that needs the promise.

mod rules;

on_every_store! {
    v1_an_unknown_graph_is_empty
    v1_what_was_appended_is_read
    v1_an_append_on_a_moved_head_changes_nothing
    v4_the_same_version_with_another_hash_is_a_moved_head
    v1_an_append_ahead_of_the_history_is_a_moved_head
    v1_graphs_have_nothing_to_do_with_each_other
    v2_a_thousand_entries_are_one_append
    v2_an_append_of_nothing_compares_heads
    l7_copied_commits_come_before_the_entries_and_have_no_operations
    v3_any_bytes_come_back_as_they_were
    c3_a_recorded_operation_is_a_duplicate_and_nothing_is_appended
    c3_duplicates_are_looked_for_before_heads_are_compared
    c3_a_lost_acknowledgement_is_found_out_by_appending_again
    c3_one_duplicate_among_new_operations_holds_up_all
    c3_operations_without_a_commit_are_recorded
    c3_an_operation_without_a_commit_needs_the_expected_head
    c3_commits_and_refusals_go_together
    c3_one_operation_id_can_be_used_in_many_graphs
    c3_operations_answers_in_the_order_asked
    c3_an_unknown_operation_is_found_nowhere
    a1_refusals_are_found_where_they_were_judged
    a1_only_what_was_appended_is_listed
    a1_refusals_are_read_from_either_end_within_bounds
    a1_of_many_refusals_the_latest_are_kept
    a5_graphs_are_listed_by_name
    v7_a_read_is_bounded_at_both_ends
    v7_a_read_has_a_limit
    v7_a_read_has_a_bound_in_bytes
    v7_a_read_of_bodies_beyond_the_bound_gives_one
    v6_everything_is_there_after_a_restart
    c4_writers_that_race_make_one_history
    w4_who_listens_hears_what_others_append_and_not_itself
    w7_who_listens_hears_what_others_broadcast_and_not_itself
    w4_listening_ends_and_begins_again
}
