//! The id of a delivery: a number and the graph.

use std::collections::{BTreeMap, BTreeSet};

use dao_projections::GraphId;

pub(super) fn delivery_id(number: u64, graph: &GraphId) -> String {
    format!("{number}.{graph}")
}

/// The number in a delivery's id.
pub(super) fn number_of(text: &str) -> Option<u64> {
    read_delivery_id(text).map(|(number, _)| number)
}

pub(super) fn read_delivery_id(text: &str) -> Option<(u64, GraphId)> {
    let (number, graph) = text.split_once('.')?;
    Some((number.parse().ok()?, GraphId::parse(graph).ok()?))
}

/// The numbers of deliveries, by their graphs.
pub(super) fn by_graph(ids: &[String]) -> BTreeMap<GraphId, BTreeSet<u64>> {
    let mut all: BTreeMap<GraphId, BTreeSet<u64>> = BTreeMap::new();
    for (number, graph) in ids.iter().filter_map(|id| read_delivery_id(id)) {
        all.entry(graph).or_default().insert(number);
    }
    all
}
