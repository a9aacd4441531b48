//! Random graphs and commands that are the same in every run. Ids are few, so that commands meet, and some are names
//! that objects in JavaScript have by themselves, or keys that JavaScript puts in another order.

use serde_json::{Map, Value, json};

pub const NODES: [&str; 9] = ["a", "b", "c", "d", "10", "2", "é🙂", "__proto__", "constructor"];
pub const EDGES: [&str; 7] = ["x", "y", "z", "1", "0", "toString", "__proto__"];
const KEYS: [&str; 8] = ["x", "y", "z/~", "__proto__", "constructor", "10", "2", ""];

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn node_id(&mut self) -> &'static str {
        // The first ones more often than the others.
        let end = 1 + self.below(NODES.len());
        NODES[self.below(end)]
    }

    pub fn edge_id(&mut self) -> &'static str {
        let end = 1 + self.below(EDGES.len());
        EDGES[self.below(end)]
    }

    /// A number that JavaScript writes as JSON does.
    fn number(&mut self) -> Value {
        match self.below(6) {
            0 => json!(0.5),
            1 => json!(-3),
            2 => json!(9_007_199_254_740_991_u64),
            _ => json!(self.below(4)),
        }
    }

    pub fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.once_in(2)),
            2 | 3 => self.number(),
            4 => json!(*self.pick(&["", "text", "ünï\u{2028}🙂", "\u{0}\"\\/"])),
            5 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    pub fn object(&mut self, depth: usize) -> Value {
        let fields: Map<String, Value> =
            (0..self.below(4)).map(|_| ((*self.pick(&KEYS)).to_owned(), self.value(depth))).collect();
        Value::Object(fields)
    }

    fn position(&mut self) -> Value {
        json!({"x": self.below(3), "y": self.below(2)})
    }

    fn attributes(&mut self, into: &mut Map<String, Value>) {
        if self.once_in(2) {
            into.insert("data".to_owned(), self.object(2));
        }
        if self.once_in(3) {
            into.insert("type".to_owned(), self.pick(&[json!("task"), json!("group"), Value::Null]).clone());
        }
        if self.once_in(5) {
            into.insert((*self.pick(&KEYS)).to_owned(), self.value(2));
        }
        if self.once_in(30) {
            into.insert("text".to_owned(), json!("long ".repeat(900)));
        }
        if self.once_in(12) {
            into.insert((*self.pick(&["version", "createdAt", "updatedAt"])).to_owned(), json!(7));
        }
    }

    fn parents(&mut self, into: &mut Map<String, Value>) {
        if self.once_in(3) {
            let parent = if self.once_in(3) { Value::Null } else { json!(self.node_id()) };
            into.insert("parentId".to_owned(), parent);
        }
        if self.once_in(12) {
            into.insert("parentNode".to_owned(), json!(self.node_id()));
        }
    }

    pub fn node(&mut self, id: &str) -> Value {
        let mut node = Map::from_iter([("id".to_owned(), json!(id))]);
        if !self.once_in(4) {
            node.insert("position".to_owned(), self.position());
        }
        self.attributes(&mut node);
        self.parents(&mut node);
        Value::Object(node)
    }

    pub fn edge(&mut self, id: &str) -> Value {
        let ends = [("id", id), ("source", self.node_id()), ("target", self.node_id())];
        let mut edge: Map<String, Value> =
            ends.map(|(key, id)| (key.to_owned(), json!(id))).into_iter().collect();
        self.attributes(&mut edge);
        Value::Object(edge)
    }

    fn node_updates(&mut self, id: &str) -> Value {
        let mut updates = Map::new();
        self.attributes(&mut updates);
        self.parents(&mut updates);
        if self.once_in(4) {
            updates.insert(
                "position".to_owned(),
                self.pick(&[json!({"x": 2}), json!({}), json!({"x": 1, "y": 1})]).clone(),
            );
        }
        if self.once_in(10) {
            updates.insert("id".to_owned(), json!(id));
        }
        Value::Object(updates)
    }

    fn edge_updates(&mut self) -> Value {
        let mut updates = Map::new();
        self.attributes(&mut updates);
        for end in ["source", "target"] {
            if self.once_in(3) {
                updates.insert(end.to_owned(), json!(self.node_id()));
            }
        }
        Value::Object(updates)
    }

    fn batch_update(&mut self) -> Value {
        let mut payload = Map::new();
        let mut ids = Vec::new();
        for _ in 0..self.below(4) {
            let id = self.node_id();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        payload.insert("nodes".to_owned(), ids.iter().map(|id| self.node(id)).collect());
        if self.once_in(2) {
            let mut ids = Vec::new();
            for _ in 0..self.below(4) {
                let id = self.edge_id();
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            payload.insert("edges".to_owned(), ids.iter().map(|id| self.edge(id)).collect());
        }
        if self.once_in(4) {
            payload.insert("viewport".to_owned(), self.viewport());
        }
        Value::Object(payload)
    }

    fn viewport(&mut self) -> Value {
        json!({"x": self.below(2), "y": 0, "zoom": 1})
    }

    /// A command as it is sent.
    pub fn command(&mut self) -> Value {
        let (node, edge) = (self.node_id(), self.edge_id());
        let (name, payload) = match self.below(22) {
            0..=4 => ("CREATE_NODE", self.node(node)),
            5..=8 => ("UPDATE_NODE", json!({"nodeId": node, "updates": self.node_updates(node)})),
            9..=10 => ("UPDATE_NODE_POSITION", json!({"nodeId": node, "position": self.position()})),
            11..=12 => ("DELETE_NODE", json!({"nodeId": node})),
            13..=15 => ("CREATE_EDGE", self.edge(edge)),
            16..=17 => ("UPDATE_EDGE", json!({"edgeId": edge, "updates": self.edge_updates()})),
            18 => ("DELETE_EDGE", json!({"edgeId": edge})),
            19 => ("SET_VIEWPORT", self.viewport()),
            20 => ("UPDATE_GRAPH", json!({"updates": {"title": self.value(1)}})),
            _ => ("BATCH_UPDATE", self.batch_update()),
        };
        json!({"type": name, "payload": payload})
    }
}
