//! What a seed's world is like, before anything happens in it.

use std::time::Duration;

use dao_projections::GraphId;

use crate::{model::Bounds, rng::Rng, store::Trouble};

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
}

impl Plan {
    pub fn draw(rng: &mut Rng) -> Self {
        let is_heavy = rng.chance(2);
        let graphs = if rng.chance(80) { 1 } else { 2 };
        let storm = *rng.pick(&[0, 1, 1, 4]);
        Self {
            graphs: (0..graphs).map(|n| GraphId::parse(&format!("g{n}")).unwrap()).collect(),
            bounds: Bounds {
                nodes: 4 + rng.index(3),
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
        }
    }
}
