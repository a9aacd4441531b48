//! Projector workers that die, stop and come back, and what must be true of rows in the end. What must
//! be true of them at every moment is checked where they change, in `rows.rs`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dao_api::project::{self, ProjectorConfig, Stores};
use dao_projections::{GraphId, PROJECTIONS, Version};
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    durable::{Log, Shared},
    rng::Rng,
    store::SimStore,
    upheaval,
    world::{HANG, World},
};

/// Both halves of the store, as a process sees them until it dies.
fn connect(world: &World, rng: &mut Rng, death: &CancellationToken) -> Stores {
    let store = SimStore::new(world.shared.clone(), rng.fork(), death.clone(), world.next_number());
    let store = Arc::new(store);
    Stores { events: store.clone(), rows: store }
}

/// One place where a worker runs, again and again, until the world is over.
pub async fn work(world: Arc<World>, slot: usize, mut rng: Rng) {
    let mut life = 0;
    while !world.over.is_cancelled() {
        life += 1;
        let (death, stop) = (CancellationToken::new(), CancellationToken::new());
        let config = ProjectorConfig {
            worker: format!("worker {slot}, life {life}"),
            interval: Duration::from_millis(20 + rng.below(150)),
            busy_interval: Duration::from_millis(700),
            // Whatever the load is.
            busy_load: 0.0..0.0,
            lease: Duration::from_millis(*rng.pick(&[100, 1_000, 5_000])),
            // By the wall clock all that happens here is older than that.
            feed_retention: Duration::from_secs(3_600),
            checkpoint_every: 2 + rng.below(12),
            memory: None,
        };
        let stores = connect(&world, &mut rng, &death);
        let working = tokio::spawn(project::run(stores.clone(), config, stop.clone()));
        let mut working = AbortOnDropHandle::new(working);
        let until = Duration::from_millis(rng.below(4_000));
        tokio::select! {
            biased;
            () = world.over.cancelled() => {}
            () = death.cancelled() => continue, // the handle aborts it wherever it is
            () = world.wait_unless_healed(until) => {}
        }
        if !world.over.is_cancelled() && rng.chance(40) {
            rebuild(&world, &stores, &mut rng).await;
        }
        stop.cancel();
        let stopped = tokio::select! {
            biased;
            () = death.cancelled() => continue,
            stopped = timeout(HANG, &mut working) => stopped,
        };
        if stopped.is_err() {
            world.shared.lock().unwrap().blame("a projector does not stop");
        }
        sleep(Duration::from_millis(rng.below(300))).await;
    }
}

/// As `dao-api rebuild` does it, beside the projectors.
async fn rebuild(world: &World, stores: &Stores, rng: &mut Rng) {
    let graph = rng.pick(&world.plan.graphs);
    let rebuilt = timeout(Duration::from_secs(20), project::rebuild(stores, graph, None, |_| {})).await;
    world.remark("a rebuild", format!("{rebuilt:?}"));
}

/// What is there before anybody comes is in the rows: so who begins with them does not remember it, and
/// the log is read for those who are further behind.
pub async fn project_the_past(world: &World, rng: &mut Rng) {
    let trouble = std::mem::take(&mut world.shared.lock().unwrap().trouble);
    let stores = connect(world, rng, &CancellationToken::new());
    for graph in &world.plan.graphs {
        let head = world.shared.lock().unwrap().graphs.get(graph).map(Log::head).unwrap_or_default();
        if head.version > Version::EMPTY {
            project::fold_graph(&stores, graph, head.version, 50).await.unwrap();
        }
    }
    world.shared.lock().unwrap().trouble = trouble;
}

/// What keeps rows from being level with the log.
pub fn behind(world: &World) -> Option<String> {
    let shared = world.shared.lock().unwrap();
    for (graph, log) in &shared.graphs {
        if let Some(parked) = shared.read_side.parked.get(graph) {
            return Some(format!("{graph} is parked: {parked:?}"));
        }
        for projection in PROJECTIONS {
            let rows = shared.read_side.rows.get(&(graph.clone(), projection.name.to_owned()));
            let at = rows.map(|rows| rows.at.head);
            if at.unwrap_or_default() != log.head() {
                return Some(format!(
                    "{} of {graph} is at {at:?}, the log at {:?}",
                    projection.name,
                    log.head()
                ));
            }
        }
    }
    for (number, part) in (0..).zip(&shared.read_side.feed) {
        let place = shared.read_side.places.get(&(project::READER.to_owned(), number)).copied();
        if part.entries.iter().any(|entry| entry.place > place.unwrap_or_default()) {
            return Some(format!("part {number} of the feed goes on after {place:?}"));
        }
    }
    None
}

/// With nobody projecting, lag is what was appended since, counted against the log's own end.
pub async fn check_lag(world: &World, expected: u64, rng: &mut Rng) {
    let stores = connect(world, rng, &CancellationToken::new());
    match project::health(&stores).await {
        Ok(health) if health.lag.commits == expected && health.parked.is_empty() => {}
        other => world.shared.lock().unwrap().blame(format!("{expected} behind, and it says {other:?}")),
    }
}

fn still_life() -> (Arc<Mutex<Shared>>, Stores) {
    let shared = Arc::new(Mutex::new(Shared::default()));
    let store = SimStore::new(shared.clone(), Rng::new(1), CancellationToken::new(), 0);
    let store = Arc::new(store);
    (shared, Stores { events: store.clone(), rows: store })
}

/// Seed 198 found it: two workers on a long history, each saving every few commits; the one that lost
/// eight races left the place behind as if the rows were level.
#[tokio::test(start_paused = true)]
async fn who_loses_every_race_does_not_say_that_the_rows_are_level() {
    let (shared, stores) = still_life();
    let graph: GraphId = "g".parse().unwrap();
    upheaval::write(&mut shared.lock().unwrap(), &graph, 40, &mut Rng::new(2));
    shared.lock().unwrap().lost_races = 20;
    let to = Version::new(40).unwrap();
    project::fold_graph(&stores, &graph, to, 5).await.expect_err("others were faster each time");
    shared.lock().unwrap().lost_races = 3;
    project::fold_graph(&stores, &graph, to, 5).await.unwrap();
    let shared = shared.lock().unwrap();
    assert!(shared.read_side.rows.values().all(|rows| rows.at.head == shared.graphs[&graph].head()));
}

/// The feed tells of more than a history has that lost its end: the rows are then not what is left of it.
#[tokio::test(start_paused = true)]
async fn v4_rows_of_a_lost_end_go_also_when_the_feed_tells_of_more_than_there_is() {
    let (shared, stores) = still_life();
    let (graph, mut rng): (GraphId, _) = ("g".parse().unwrap(), Rng::new(3));
    upheaval::write(&mut shared.lock().unwrap(), &graph, 10, &mut rng);
    let (ten, twelve) = (Version::new(10).unwrap(), Version::new(12).unwrap());
    project::fold_graph(&stores, &graph, ten, 100).await.unwrap();
    for (keep, anew) in [(7, 3), (0, 0)] {
        {
            let mut shared = shared.lock().unwrap();
            shared.graphs.get_mut(&graph).unwrap().cut(keep);
            upheaval::write(&mut shared, &graph, anew, &mut rng);
        }
        project::fold_graph(&stores, &graph, twelve, 100).await.unwrap();
        let shared = shared.lock().unwrap();
        assert!(shared.read_side.rows.values().all(|rows| rows.at.head == shared.graphs[&graph].head()));
        assert_eq!(shared.misuse, [""; 0]);
    }
}

/// Rows that are ahead of their log are not waited for: no commit may ever come.
#[tokio::test(start_paused = true)]
async fn v4_a_rebuild_of_rows_that_a_lost_history_left_behind_ends() {
    let (shared, stores) = still_life();
    let (graph, mut rng): (GraphId, _) = ("g".parse().unwrap(), Rng::new(4));
    upheaval::write(&mut shared.lock().unwrap(), &graph, 10, &mut rng);
    project::fold_graph(&stores, &graph, Version::new(10).unwrap(), 100).await.unwrap();
    for keep in [6, 0] {
        shared.lock().unwrap().graphs.get_mut(&graph).unwrap().cut(keep);
        let rebuilt = timeout(HANG, project::rebuild(&stores, &graph, None, |_| {})).await;
        rebuilt.expect("it ends").unwrap();
        let shared = shared.lock().unwrap();
        assert!(shared.read_side.rows.values().all(|rows| rows.at.head == shared.graphs[&graph].head()));
    }
}

/// Seed 12347 found it: the history is lost after it was folded, and before it is put in place.
#[tokio::test(start_paused = true)]
async fn v4_a_rebuild_does_not_bring_back_a_history_that_was_lost_meanwhile() {
    let (shared, stores) = still_life();
    let (graph, mut rng): (GraphId, _) = ("g".parse().unwrap(), Rng::new(5));
    upheaval::write(&mut shared.lock().unwrap(), &graph, 10, &mut rng);
    let lose = |_| {
        let mut shared = shared.lock().unwrap();
        let log = shared.graphs.get_mut(&graph).unwrap();
        if log.upheavals == 0 {
            log.cut(5);
            shared.read_side.rows.clear();
        }
    };
    project::rebuild(&stores, &graph, None, lose).await.unwrap();
    let shared = shared.lock().unwrap();
    assert!(shared.read_side.rows.values().all(|rows| rows.at.head == shared.graphs[&graph].head()));
}
