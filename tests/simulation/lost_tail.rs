//! A history that lost its end, as a fail-over can lose it, while a process still remembers it.

use std::sync::{Arc, Mutex};

use dao_api::write::{Effect, Ending, Graphs, GraphsConfig, Reply};
use dao_projections::{GraphId, OperationId};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{client::Ask, compare::head_of, durable::Shared, model::Asked, rng::Rng, store::SimStore};

fn create(number: u64) -> Ask {
    let payload = json!({"id": format!("n{number}")});
    Ask {
        id: OperationId::from(uuid::Uuid::from_u64_pair(9, number)),
        graph: 0,
        user: "ada".to_owned(),
        client: "ada".to_owned(),
        is_named: true,
        is_batch: false,
        members: vec![Asked {
            kind: "CREATE_NODE",
            payload,
            client_version: None,
            client_hash: None,
            on_conflict: "merge",
        }],
    }
}

fn start(shared: &Arc<Mutex<Shared>>) -> Arc<Graphs> {
    let store = SimStore::new(shared.clone(), Rng::new(1), CancellationToken::new(), 0);
    Graphs::new(Arc::new(store), GraphsConfig::default())
}

async fn send(to: &Graphs, graph: &GraphId, ask: &Ask) -> Reply {
    to.execute(graph, vec![ask.operation()]).await.expect("an answer").remove(0)
}

/// Forgets the last commit and its operation.
fn lose_the_last(shared: &Mutex<Shared>, graph: &GraphId, ask: &Ask) {
    let mut shared = shared.lock().unwrap();
    let log = shared.graphs.get_mut(graph).unwrap();
    log.commits.pop();
    log.records.remove(&ask.id);
}

/// Rule V4: the expected head is a version and a hash. What follows lands on the history that is
/// there, and what was lost is done again when it is sent again.
#[tokio::test(start_paused = true)]
async fn v4_what_was_remembered_of_a_lost_history_is_forgotten() {
    let graph: GraphId = "g".parse().unwrap();
    let shared = Arc::new(Mutex::new(Shared::default()));
    let (one, other) = (start(&shared), start(&shared));
    let (kept, lost, others, next) = (create(1), create(2), create(3), create(4));
    send(&one, &graph, &kept).await;
    send(&one, &graph, &lost).await;
    lose_the_last(&shared, &graph, &lost);
    send(&other, &graph, &others).await;

    let landed = send(&one, &graph, &next).await;
    assert_eq!(head_of(&landed.ending), shared.lock().unwrap().graphs[&graph].head());
    assert_eq!(head_of(&landed.ending).version.get(), 3);

    let again = send(&one, &graph, &lost).await;
    assert!(!again.duplicate, "it was remembered as done, and the log does not hold it");
    assert!(matches!(again.ending, Ending::Completed { effect: Effect::Committed(_), .. }));
    assert_eq!(head_of(&again.ending).version.get(), 4);
    let view = one.refresh(&graph).await.expect("a view");
    assert_eq!(view.graph.nodes().len(), 4);
    assert_eq!(view.graph.head(), shared.lock().unwrap().graphs[&graph].head());
}

/// Rules V4, C3: the same where nothing else is sent. Nothing is appended for a repeat, so nothing but a
/// look at the store tells that what it repeats is gone.
#[tokio::test(start_paused = true)]
async fn c3_what_a_fail_over_lost_is_not_acknowledged_from_memory() {
    for others_go_on in [false, true] {
        let graph: GraphId = "g".parse().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (one, other) = (start(&shared), start(&shared));
        let (kept, lost, others) = (create(1), create(2), create(3));
        send(&one, &graph, &kept).await;
        send(&one, &graph, &lost).await;
        lose_the_last(&shared, &graph, &lost);
        if others_go_on {
            send(&other, &graph, &others).await; // another commit under the same number
        }
        let again = send(&one, &graph, &lost).await;
        assert!(!again.duplicate, "it was remembered as done, and the log does not hold it");
        assert_eq!(head_of(&again.ending), shared.lock().unwrap().graphs[&graph].head());
        let repeated = send(&one, &graph, &lost).await;
        assert!(repeated.duplicate, "now it does");
        assert_eq!(head_of(&repeated.ending), head_of(&again.ending));
    }
}
