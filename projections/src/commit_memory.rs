//! The size of a commit in memory, estimated.

use std::mem::size_of;

use crate::{
    commit::Commit,
    event::Event,
    memory::{ALLOCATION, object},
};

impl Commit {
    /// About how much memory it takes, beyond its stored bytes.
    pub fn held_bytes(&self) -> usize {
        let undoes = size_of_val(self.body.undoes.as_slice());
        size_of::<Self>() + undoes + self.body.events.iter().map(held_by).sum::<usize>()
    }
}

fn held_by(event: &Event) -> usize {
    let own = match event {
        Event::NodeCreated { node } | Event::NodeReplaced { node } | Event::NodeRestored { node, .. } => {
            object(node.attributes()).held
        }
        Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } | Event::EdgeRestored { edge, .. } => {
            object(edge.attributes()).held
        }
        Event::NodeUpdated { patch, .. }
        | Event::EdgeUpdated { patch, .. }
        | Event::GraphUpdated { patch } => object(patch.fields()).held,
        Event::GraphCreated { attributes, .. } => object(attributes.fields()).held,
        Event::GraphTrashed { reason: text, .. } | Event::VersionLabelled { note: text, .. } => {
            text.as_ref().map_or(0, |text| text.len())
        }
        Event::NodeMoved { .. }
        | Event::NodeDeleted { .. }
        | Event::EdgeDeleted { .. }
        | Event::ViewportSet { .. }
        | Event::GraphRecovered {}
        | Event::GraphForked { .. } => 0,
    };
    // Its ids: at most three, and most are short.
    size_of::<Event>() + 3 * ALLOCATION + own
}
