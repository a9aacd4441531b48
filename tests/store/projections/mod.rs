//! What every store promises to the read side: one suite, run on each adapter.

mod rules;

on_every_store! {
    an_empty_feed_has_no_entries_and_no_bounds
    every_append_with_commits_has_one_entry_in_its_graphs_part_in_order
    the_feed_is_read_in_chunks_that_continue_each_other
    what_is_trimmed_is_gone_and_the_rest_stays
    after_everything_was_trimmed_later_places_are_later
    trimming_back_changes_nothing
    readers_have_places_of_their_own
    a_lease_belongs_to_one_worker_until_it_lets_go
    rows_of_a_graph_that_was_never_projected_are_none
    rows_and_their_head_change_together
    rows_change_only_from_the_exact_version_hash_and_format
    rows_are_replaced_removed_and_kept
    projections_and_graphs_have_nothing_to_do_with_each_other
    thousands_of_rows_change_at_once
    keys_and_rows_are_any_text_and_any_bytes
    writers_that_race_change_rows_one_after_the_other
    all_rows_are_of_one_moment
    l2_graphs_are_listed_by_each_key_in_both_directions_and_in_pieces
    l2_a_graph_that_changes_moves_in_its_lists
    graphs_are_parked_with_a_reason_and_released
    documents_change_only_from_what_the_writer_saw
    documents_of_a_kind_are_listed_by_name
    a_change_of_a_document_is_never_taken_for_another
    writers_that_race_change_a_document_one_after_the_other
    everything_is_there_after_a_restart
}
