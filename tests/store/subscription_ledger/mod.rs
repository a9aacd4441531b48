//! What a subscription's ledger promises, whatever consumers do (rules S5 to S8).

mod any_order;

use dao_api::{
    live::{DeliveryLedger, DeliverySettings, VersionSpan},
    read::FilterLists,
};
use dao_projections::{GraphId, Version};

const LEASE_MS: u64 = 100;

const ATTEMPTS: u32 = 3;

fn graph(number: u8) -> GraphId {
    GraphId::parse(&format!("g{number}")).unwrap()
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn span(from: u64, to: u64) -> VersionSpan {
    VersionSpan { from: version(from), to: version(to) }
}

fn ledger() -> DeliveryLedger {
    let filter = FilterLists::default();
    let settings =
        DeliverySettings { filter, start: "beginning".into(), lease_ms: LEASE_MS, attempts_max: ATTEMPTS };
    DeliveryLedger::new(settings, "0".into(), 0)
}

/// The only thing that is due, given.
fn give_next(ledger: &mut DeliveryLedger, now_ms: u64) -> (String, u64, u32) {
    let due = ledger.due(now_ms, 10);
    assert_eq!(due.len(), 1, "{due:?}");
    let version = due[0].span.from;
    let given = ledger.give(&due[0].graph, version, now_ms);
    (given.delivery_id, version.get(), given.attempt)
}

#[test]
fn s6_a_graph_gives_out_one_commit_after_the_other() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    let (first, version, _) = give_next(&mut ledger, 0);
    assert_eq!(version, 1);
    assert_eq!(ledger.due(50, 10), [], "the first is not settled");
    assert_eq!(ledger.ack(std::slice::from_ref(&first), 0), 1);
    assert_eq!(ledger.ack(&[first, "nonsense".into(), "7.g1".into()], 0), 0);
    assert_eq!(give_next(&mut ledger, 50).1, 2);
}

#[test]
fn s7_a_lease_that_ends_is_followed_by_the_same_commit() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    let (late, _, _) = give_next(&mut ledger, 0);
    ledger.expire(LEASE_MS);
    let (second, version, attempt) = give_next(&mut ledger, LEASE_MS);
    assert_eq!((version, attempt), (1, 2));
    assert_eq!(ledger.ack(&[late], 0), 0, "somebody else has it");
    assert_eq!(ledger.ack(&[second], 0), 1);
}

#[test]
fn s7_who_is_late_may_still_acknowledge_what_nobody_else_was_given() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 1), "0", "1");
    let (late, _, _) = give_next(&mut ledger, 0);
    assert_eq!(ledger.ack(&[late], 0), 1);
    assert_eq!(ledger.due(10 * LEASE_MS, 10), []);
}

#[test]
fn s8_what_is_given_back_too_often_is_parked_with_the_last_reason() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 2), "0", "1");
    for attempt in 1..=ATTEMPTS {
        let (id, version, given) = give_next(&mut ledger, 0);
        assert_eq!((version, given), (1, attempt));
        assert_eq!(ledger.nack(&[id], Some(&format!("reason {attempt}")), 0), 1);
    }
    let [parked] = ledger.parked() else { panic!("{:?}", ledger.parked()) };
    assert_eq!((parked.reason.as_str(), parked.span, parked.attempts), ("reason 3", span(1, 1), ATTEMPTS));
    let id = parked.delivery_id();
    assert_eq!(give_next(&mut ledger, 0).1, 2, "the graph goes on");
    // Tried again it comes next, with all its attempts.
    ledger.take(&graph(1), span(3, 3), "1", "2");
    assert_eq!(ledger.retry(std::slice::from_ref(&id)), 1);
    assert_eq!(ledger.retry(&[id]), 0);
    assert_eq!(ledger.due(0, 10), [], "the second is in flight");
    ledger.expire(LEASE_MS);
    let (second, _, _) = give_next(&mut ledger, LEASE_MS);
    assert_eq!(ledger.ack(&[second], 0), 1);
    let (_, version, attempt) = give_next(&mut ledger, LEASE_MS);
    assert_eq!((version, attempt), (1, 1));
}

#[test]
fn s8_a_lease_that_ends_for_the_last_time_parks() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 1), "0", "1");
    for attempt in 0..u64::from(ATTEMPTS) {
        ledger.expire(attempt * LEASE_MS);
        give_next(&mut ledger, attempt * LEASE_MS);
    }
    ledger.expire(u64::from(ATTEMPTS) * LEASE_MS);
    let [parked] = ledger.parked() else { panic!("{:?}", ledger.parked()) };
    assert_eq!(parked.reason, "the lease ended");
    let id = parked.delivery_id();
    assert_eq!(ledger.drop_parked(&[id]), 1);
    assert_eq!((ledger.parked(), ledger.due(u64::MAX, 10)), (&[][..], vec![]));
}

#[test]
fn s6_the_rest_of_an_append_is_taken_once_after_the_first_part_was_settled() {
    let mut ledger = ledger();
    assert_eq!(ledger.take(&graph(1), span(1, 2), "0", "0"), Some(span(1, 2)), "the position has not moved");
    for expected in [1, 2] {
        let (id, version, _) = give_next(&mut ledger, 0);
        assert_eq!((version, ledger.ack(&[id], 0)), (expected, 1));
    }
    // The next look begins with the same append.
    assert_eq!(ledger.take(&graph(1), span(1, 2), "0", "0"), None);
    assert_eq!(ledger.take(&graph(1), span(3, 4), "0", "1"), Some(span(3, 4)));
    assert_eq!(give_next(&mut ledger, 0).1, 3);
}

#[test]
fn s6_no_more_graphs_are_taken_than_there_is_room_for() {
    let mut ledger = ledger();
    let mut count = 0;
    while ledger.has_room() {
        count += 1;
        ledger.take(&GraphId::parse(&format!("g{count}")).unwrap(), span(1, 2), "", &count.to_string());
    }
    assert_eq!(count, 1_000);
    assert!(ledger.has_room_for(&graph(1)) && !ledger.has_room_for(&GraphId::parse("new").unwrap()));
    let due = ledger.due(0, 2_000);
    assert_eq!(due.len(), 1_000);
    due.iter().for_each(|due| drop(ledger.give(&due.graph, due.span.from, 0)));
    assert_eq!((ledger.in_flight(), ledger.waiting()), (1_000, 1_000));
}

#[test]
fn s6_graphs_have_their_turns() {
    let mut ledger = ledger();
    for number in 1..=3 {
        ledger.take(&graph(number), span(1, 9), "", &number.to_string());
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let due = ledger.due(0, 1).remove(0);
        let given = ledger.give(&due.graph, due.span.from, 0);
        ledger.ack(&[given.delivery_id], 0);
        order.push(due.graph.to_string());
    }
    assert_eq!(order, ["g1", "g2", "g3", "g1", "g2", "g3"]);
}

#[test]
fn what_is_kept_of_a_ledger_is_all_of_it() {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 5), "0", "0");
    give_next(&mut ledger, 0);
    ledger.park_damage(&graph(2), VersionSpan { from: version(3), to: Version::MAX }, "a hole");
    let bytes = rmp_serde::to_vec_named(&ledger).unwrap();
    assert_eq!(rmp_serde::from_slice::<DeliveryLedger>(&bytes).unwrap(), ledger);
}

/// The commits of a graph that go out in one look: versions and ids.
fn give_run(ledger: &mut DeliveryLedger, limit: usize, now_ms: u64) -> Vec<(u64, u32, String)> {
    let due = ledger.due(now_ms, 1).remove(0);
    let first = ledger.give(&due.graph, due.span.from, now_ms);
    let mut run = vec![(due.span.from.get(), first.attempt, first.delivery_id)];
    if let Some(more) = ledger.more(&due.graph, limit - 1) {
        for number in (more.span.from.get()..=more.span.to.get()).take(more.count) {
            let given = ledger.extend(&due.graph, version(number)).expect("it can go out");
            run.push((number, given.attempt, given.delivery_id));
        }
    }
    run
}

fn versions(run: &[(u64, u32, String)]) -> Vec<u64> {
    run.iter().map(|(version, ..)| *version).collect()
}

/// A graph of a hundred commits, all waiting.
fn far_behind() -> DeliveryLedger {
    let mut ledger = ledger();
    ledger.take(&graph(1), span(1, 100), "0", "1");
    ledger
}

#[test]
fn s6_a_graph_that_is_far_behind_goes_out_in_runs_until_it_has_caught_up() {
    let mut ledger = far_behind();
    for (limit, expected) in [(60, 1..=60), (30, 61..=90), (30, 91..=100)] {
        let run = give_run(&mut ledger, limit, 0);
        assert_eq!(versions(&run), expected.collect::<Vec<_>>());
        assert_eq!(ledger.in_flight(), run.len());
        assert_eq!(ledger.due(50, 10), [], "all of a run is settled before the next");
        let ids: Vec<String> = run.into_iter().map(|(.., id)| id).collect();
        assert_eq!(ledger.ack(&ids, 0), ids.len(), "each of them is known");
    }
    // It has: what comes now goes one by one.
    ledger.take(&graph(1), span(101, 103), "1", "2");
    assert_eq!(versions(&give_run(&mut ledger, 10, 0)), [101]);
}

#[test]
fn s6_acknowledging_one_acknowledges_those_before_it_in_its_run() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[6].2.clone()], 0), 1);
    assert_eq!(ledger.ack(&[run[3].2.clone()], 0), 0, "it is done with");
    assert_eq!((ledger.in_flight(), ledger.due(0, 10)), (3, vec![]));
    assert_eq!(ledger.ack(&[run[9].2.clone()], 0), 1);
    assert_eq!(give_run(&mut ledger, 3, 0)[0].0, 11);
}

#[test]
fn s6_a_run_that_is_given_back_comes_again_from_its_first_commit_that_is_not_settled() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[1].2.clone()], 0), 1);
    assert_eq!(ledger.nack(&[run[5].2.clone()], Some("no"), 0), 1);
    let again = give_run(&mut ledger, 100, 0);
    assert_eq!(versions(&again), [3, 4, 5, 6, 7, 8, 9, 10]);
    assert!(again.iter().all(|(_, attempt, _)| *attempt == 2));
    assert_eq!(ledger.ack(&[run[9].2.clone()], 0), 0, "the old ids are unknown");
}

#[test]
fn s7_a_run_whose_lease_ends_comes_again_and_its_rest_is_leased_from_an_acknowledgement_on() {
    let mut ledger = far_behind();
    let run = give_run(&mut ledger, 10, 0);
    assert_eq!(ledger.ack(&[run[1].2.clone()], LEASE_MS / 2), 1);
    assert_eq!(ledger.due(LEASE_MS, 10), [], "its consumer is at work");
    let later = LEASE_MS / 2 + LEASE_MS;
    assert_eq!(versions(&give_run(&mut ledger, 4, later)), [3, 4, 5, 6], "no longer than there is room");
    assert_eq!(ledger.due(later, 10), [], "and the rest after that");
}

#[test]
fn s8_the_last_attempt_is_made_alone_so_that_what_fails_is_parked_and_nothing_beside_it() {
    let mut ledger = far_behind();
    for attempt in 1..ATTEMPTS {
        let run = give_run(&mut ledger, 5, 0);
        assert_eq!((run.len(), run[0].1), (5, attempt));
        ledger.nack(&[run[2].2.clone()], Some("poison"), 0);
    }
    // The third fails, and the others don't.
    for expected in 1..=5 {
        let run = give_run(&mut ledger, 5, 0);
        assert_eq!(run[..1].iter().map(|(v, a, _)| (*v, *a)).collect::<Vec<_>>(), [(expected, ATTEMPTS)]);
        assert_eq!(run.len(), 1);
        let id = [run[0].2.clone()];
        let known = if expected == 3 { ledger.nack(&id, Some("poison"), 0) } else { ledger.ack(&id, 0) };
        assert_eq!(known, 1);
    }
    let parked: Vec<_> = ledger.parked().iter().map(|p| (p.span, p.attempts, p.reason.as_str())).collect();
    assert_eq!(parked, [(span(3, 3), ATTEMPTS, "poison")]);
    assert_eq!(versions(&give_run(&mut ledger, 2, 0)), [6, 7]);
}

#[test]
fn s8_what_may_be_tried_once_goes_alone() {
    let filter = FilterLists::default();
    let settings =
        DeliverySettings { filter, start: "beginning".into(), lease_ms: LEASE_MS, attempts_max: 1 };
    let mut ledger = DeliveryLedger::new(settings, "0".into(), 0);
    ledger.take(&graph(1), span(1, 100), "0", "1");
    assert_eq!(versions(&give_run(&mut ledger, 50, 0)), [1]);
}

#[test]
fn s6_runs_leave_room_for_other_graphs() {
    let mut ledger = ledger();
    for number in 1..=3 {
        ledger.take(&graph(number), span(1, 2_000), "", &number.to_string());
    }
    let mut lengths = Vec::new();
    for _ in 1..=3 {
        lengths.push(give_run(&mut ledger, 5_000, 0).len());
    }
    assert_eq!(lengths, [500, 500, 1], "a thousand are out, and the first of each graph all the same");
}

/// What release 0.1 wrote of a subscription: one commit of a graph at most.
#[test]
fn s6_what_an_older_release_kept_is_read_and_what_it_can_read_is_written_as_it_was() {
    let mut ledger = far_behind();
    let (first, _, _) = give_next(&mut ledger, 0);
    let mut kept: serde_json::Value =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    let lane = kept["lanes"]["g1"].as_object_mut().unwrap();
    lane.remove("is_in_runs");
    let flight = lane["flight"].as_object_mut().expect("one commit, and no list");
    flight.remove("run");
    assert_eq!(flight.len(), 5, "{flight:?}");
    let old = rmp_serde::to_vec_named(&kept).unwrap();
    let mut ledger: DeliveryLedger = rmp_serde::from_slice(&old).unwrap();
    assert_eq!((ledger.in_flight(), ledger.waiting()), (1, 99));
    assert_eq!(ledger.ack(&[first], 0), 1);
    // Of a graph with nothing out.
    let mut kept: serde_json::Value =
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    assert_eq!(kept["lanes"]["g1"]["flight"], serde_json::Value::Null);
    kept["lanes"]["g1"].as_object_mut().unwrap().remove("is_in_runs");
    let mut ledger: DeliveryLedger = rmp_serde::from_slice(&rmp_serde::to_vec_named(&kept).unwrap()).unwrap();
    // What it can't read, a run, is not taken for none.
    assert_eq!(give_run(&mut ledger, 3, 0).len(), 3);
    let kept: serde_json::Value = rmp_serde::from_slice(&rmp_serde::to_vec_named(&ledger).unwrap()).unwrap();
    assert!(kept["lanes"]["g1"]["flight"].is_array(), "{kept}");
    let bytes = rmp_serde::to_vec_named(&ledger).unwrap();
    assert_eq!(rmp_serde::from_slice::<DeliveryLedger>(&bytes).unwrap(), ledger);
}
