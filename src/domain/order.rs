//! An order in which nodes refer only to what stands before them.

use std::collections::HashMap;

use dao_projections::{Node, NodeId};

/// Each after those of its parents that are among them; the others in the order given.
pub(super) fn parents_first<T: Copy>(items: Vec<T>, node: impl Fn(&T) -> &Node) -> Vec<T> {
    let by_id: HashMap<NodeId, usize> =
        items.iter().enumerate().map(|(index, item)| (node(item).id().clone(), index)).collect();
    let (mut is_reached, mut order) = (vec![false; items.len()], Vec::with_capacity(items.len()));
    for first in 0..items.len() {
        let mut way = vec![(first, false)];
        while let Some((index, are_parents_done)) = way.pop() {
            if are_parents_done {
                order.push(items[index]);
            } else if !is_reached[index] {
                is_reached[index] = true;
                way.push((index, true));
                way.extend(
                    node(&items[index]).parents().filter_map(|(_, id)| Some((*by_id.get(&id)?, false))),
                );
            }
        }
    }
    order
}
