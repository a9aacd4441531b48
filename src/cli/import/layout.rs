//! Lays out nodes without positions: layers from left to right, each node after its predecessors.
//!
//! Linear in nodes and edges, and the same at every run. It does not minimise crossings beyond placing a node near its
//! predecessors (decision 0095).

use std::collections::{HashMap, VecDeque};

use dao_projections::NodeId;

/// The distance between the left sides of two layers.
const COLUMN: i64 = 280;
/// The distance between the tops of two nodes in a layer.
const ROW: i64 = 120;
/// The most nodes in a column; a larger layer takes several columns.
const ROWS_MAX: usize = 40;

/// Positions from the origin on, one for each of `nodes`, in their order. Edges to other nodes are ignored.
pub(super) fn layered(nodes: &[&NodeId], edges: &[(&NodeId, &NodeId)]) -> Vec<(i64, i64)> {
    let index: HashMap<&NodeId, usize> = nodes.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let mut leads_to = vec![Vec::new(); nodes.len()];
    let mut led_by = vec![Vec::new(); nodes.len()];
    for (source, target) in edges {
        if let (Some(&source), Some(&target)) = (index.get(*source), index.get(*target))
            && source != target
        {
            leads_to[source].push(target);
            led_by[target].push(source);
        }
    }
    place(&layers(&leads_to, &led_by), &led_by)
}

/// The layer of each node: one after the last of its predecessors. In a cycle, the first node of the list begins.
fn layers(leads_to: &[Vec<usize>], led_by: &[Vec<usize>]) -> Vec<usize> {
    let count = leads_to.len();
    let mut layer = vec![0; count];
    let mut waits_for: Vec<usize> = led_by.iter().map(Vec::len).collect();
    let mut is_done = vec![false; count];
    let mut ready: VecDeque<usize> = (0..count).filter(|node| waits_for[*node] == 0).collect();
    let mut first_left = 0;
    loop {
        let node = match ready.pop_front() {
            Some(node) => node,
            None => match (first_left..count).find(|node| !is_done[*node]) {
                Some(node) => {
                    first_left = node;
                    node
                }
                None => return layer,
            },
        };
        if std::mem::replace(&mut is_done[node], true) {
            continue;
        }
        for &next in leads_to[node].iter().filter(|next| !is_done[**next]) {
            layer[next] = layer[next].max(layer[node] + 1);
            waits_for[next] = waits_for[next].saturating_sub(1);
            if waits_for[next] == 0 {
                ready.push_back(next);
            }
        }
    }
}

fn place(layer: &[usize], led_by: &[Vec<usize>]) -> Vec<(i64, i64)> {
    let mut members = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (node, layer) in layer.iter().enumerate() {
        members[*layer].push(node);
    }
    let mut at = vec![(0, 0); layer.len()];
    let mut column = 0;
    for nodes in &mut members {
        // Near the middle of its predecessors, otherwise in the order of the list.
        let middle = |node: &usize| {
            let above = &led_by[*node];
            let sum: i64 = above.iter().map(|source| at[*source].1).sum();
            if above.is_empty() { 0 } else { sum / above.len() as i64 }
        };
        nodes.sort_by_cached_key(middle);
        for (nth, node) in nodes.iter().enumerate() {
            let (across, down) = (nth / ROWS_MAX, nth % ROWS_MAX);
            at[*node] = ((column + across as i64) * COLUMN, down as i64 * ROW);
        }
        column += nodes.len().div_ceil(ROWS_MAX) as i64;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(nodes: &[&str], edges: &[(&str, &str)]) -> Vec<(i64, i64)> {
        let ids: HashMap<&str, NodeId> =
            nodes.iter().map(|id| (*id, NodeId::parse(id).expect("an id"))).collect();
        let nodes: Vec<&NodeId> = nodes.iter().map(|id| &ids[id]).collect();
        let edges: Vec<_> = edges.iter().map(|(from, to)| (&ids[from], &ids[to])).collect();
        layered(&nodes, &edges)
    }

    #[test]
    fn a_node_stands_after_all_that_lead_to_it() {
        let at = laid_out(&["c", "a", "b"], &[("a", "b"), ("b", "c"), ("a", "c")]);
        assert_eq!(at, [(2 * COLUMN, 0), (0, 0), (COLUMN, 0)]);
    }

    #[test]
    fn circles_loops_and_strangers_are_laid_out_too() {
        assert_eq!(laid_out(&["a", "b"], &[("a", "b"), ("b", "a"), ("a", "a")]), [(0, 0), (COLUMN, 0)]);
        assert_eq!(laid_out(&[], &[]), []);
    }

    #[test]
    fn no_two_nodes_stand_at_one_place() {
        let names: Vec<String> = (0..1_000).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let edges: Vec<_> = (1..1_000).map(|n| (names[n / 7], names[n])).collect();
        for edges in [&edges[..], &[]] {
            let at = laid_out(&names, edges);
            let distinct: std::collections::HashSet<_> = at.iter().collect();
            assert_eq!(distinct.len(), names.len());
        }
    }

    #[test]
    fn a_long_chain_takes_no_more_stack_than_a_short_one() {
        let names: Vec<String> = (0..50_000).map(|n| format!("n{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let edges: Vec<_> = names.windows(2).map(|pair| (pair[0], pair[1])).collect();
        assert_eq!(laid_out(&names, &edges).last(), Some(&(49_999 * COLUMN, 0)));
    }
}
