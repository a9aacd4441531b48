//! What a seed's world is like, before anything happens in it.

use std::time::Duration;

use dao_projections::GraphId;

use crate::{durable::Trouble, model::Bounds, rng::Rng};

/// A seed's parameters.
#[derive(Clone, Debug)]
pub struct Plan {
    pub graphs: Vec<GraphId>,
    pub bounds: Bounds,
    pub padding: usize,
    /// Histories that begin with more commits than a server keeps in memory.
    pub is_heavy: bool,
    pub trouble: Trouble,
    pub clients: usize,
    pub steps: usize,
    pub instances: usize,
    pub idle: Duration,
    pub hot_max: usize,
    pub subscribers: usize,
    /// Projector workers; where there are any, cold starts begin with their snapshots.
    pub workers: usize,
    /// Commits that are there before anybody comes, at most.
    pub prehistory: u64,
    /// Whether histories lose their ends and are replaced. Then no answer is final, and only those who
    /// follow are checked.
    pub has_upheavals: bool,
    /// Whether there is a graph that can't be read.
    pub has_poison: bool,
    /// How often an instance compares heads unasked; so rarely only where no hint is lost in silence.
    pub heads_every: Duration,
    pub loses_silently: bool,
    /// How often, in percent, a read of the log gives a few commits only.
    pub pieces: u64,
    /// How long subscribers that have everything are left alone.
    pub pause: Duration,
}

impl Plan {
    /// Whether all that the log holds was asked for here, and stays: then every answer is checked.
    pub fn is_whole(&self) -> bool {
        self.prehistory == 0 && !self.has_upheavals
    }

    pub fn draw(rng: &mut Rng) -> Self {
        let is_heavy = rng.chance(2);
        let graphs = if rng.chance(80) { 1 } else { 2 };
        let storm = *rng.pick(&[0, 1, 1, 4]);
        let follows = rng.chance(60);
        let has_upheavals = follows && !is_heavy && rng.chance(30);
        let workers = if rng.chance(45) { 1 + rng.index(2) } else { 0 };
        let heads_every = *rng.pick(&[1, 10, 3_600]);
        let nodes = 4 + rng.index(3);
        Self {
            graphs: (0..graphs).map(|n| GraphId::parse(&format!("g{n}")).unwrap()).collect(),
            bounds: Bounds {
                nodes,
                edges: 3 + rng.index(3),
                entity_bytes: if is_heavy { 256 << 10 } else { 260 },
            },
            padding: if is_heavy { 270_000 } else { 200 },
            is_heavy,
            trouble: Trouble {
                fail: storm * rng.below(7),
                unknown: storm * rng.below(9),
                slow: storm * rng.below(6),
                crash: storm * rng.below(6),
                lost: if rng.chance(50) { rng.below(60) } else { 0 },
            },
            clients: 2 + rng.index(4),
            steps: if is_heavy { 10 } else { 4 + rng.index(14) },
            instances: 1 + rng.index(3),
            idle: Duration::from_millis(*rng.pick(if is_heavy {
                &[5_000]
            } else {
                &[3, 40, 5_000, 300_000]
            })),
            hot_max: 1 + rng.index(2),
            subscribers: if follows { 1 + rng.index(5) } else { 0 },
            workers,
            prehistory: if follows && !is_heavy && rng.chance(20) { 20 + rng.below(300) } else { 0 },
            has_upheavals,
            has_poison: workers > 0 && rng.chance(6),
            heads_every: Duration::from_secs(heads_every),
            loses_silently: heads_every < 3_600,
            pieces: *rng.pick(&[0, 50, 50, 100]),
            // Without a draw of its own: seeds stay the worlds that they were.
            pause: Duration::from_millis([0, 25, 300][nodes - 4]),
        }
    }
}
