//! Requests, ready to send but for a few bytes of fixed width: ids and coordinates.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use uuid::Uuid;

use crate::{
    Outcome,
    http::{Answer, Connection, find},
};

/// An endless supply of requests of one client.
pub(crate) trait Requests: Send {
    /// The next one.
    fn next(&mut self) -> &[u8];
    /// How many operations each stands for.
    fn operations(&self) -> u64 {
        1
    }
    /// Whether this is the answer that was hoped for.
    fn accepts(&self, answer: &Answer<'_>) -> bool {
        answer.head.status == 200
    }
}

/// Sends the next of `requests` and reads its answer, which has to be the one hoped for.
pub(crate) fn ask<'a>(connection: &'a mut Connection, requests: &mut impl Requests) -> Outcome<Answer<'a>> {
    let answer = connection.exchange(requests.next())?;
    if requests.accepts(&answer) {
        return Ok(answer);
    }
    Err(format!("an unexpected answer: {}", answer.shown()).into())
}

/// A graph by its number.
pub(crate) fn graph(number: usize) -> String {
    format!("g{number:05}")
}

/// How a client says who it is.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// By a number, which nobody asks it to prove.
    Claimed(usize),
    /// By a token.
    Token(String),
}

/// A `POST` of JSON as one client sends it.
pub(crate) fn post(path: &str, caller: &Caller, body: &str) -> Vec<u8> {
    let who = match caller {
        Caller::Claimed(client) => format!("x-user-id: user-{client:03}"),
        Caller::Token(token) => format!("authorization: Bearer {token}"),
    };
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\n{who}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The same `GET` again and again.
pub(crate) struct Get {
    bytes: Vec<u8>,
    status: u16,
}

impl Get {
    pub(crate) fn new(path: &str) -> Self {
        Self { bytes: format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes(), status: 200 }
    }

    /// What a client sends that has `tag` already: it hopes for a 304.
    pub(crate) fn unless_changed(path: &str, tag: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nif-none-match: {tag}\r\n\r\n");
        Self { bytes: bytes.into_bytes(), status: 304 }
    }
}

impl Requests for Get {
    fn next(&mut self) -> &[u8] {
        &self.bytes
    }

    fn accepts(&self, answer: &Answer<'_>) -> bool {
        answer.head.status == self.status
    }
}

const OPERATION: &str = "00000000-0000-0000-0000-000000000000";
const NODE: &str = "n99999";
const X: &str = "999999";

/// Where the changing bytes of one command are.
struct Slots {
    operation: Option<usize>,
    node: usize,
    x: usize,
}

/// How commands travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// `POST …/command`.
    Single,
    /// `POST …/batch` with this many members, as one commit.
    Atomic(usize),
    /// `POST …/batch` with this many members, each by itself with an id of its own.
    Members(usize),
}

/// Which ids operations get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// UUIDv4, as browsers make them: each falls anywhere among those that are stored.
    Random,
    /// UUIDv7: each falls behind those that are stored.
    Ordered,
}

/// Random numbers, good enough for ids (SplitMix64): a call of the system for each would cost the load generator more
/// than the rest of a request.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        Self(Uuid::now_v7().as_u64_pair().1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn uuid(&mut self) -> Uuid {
        let bytes = (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Moves of nodes: each a real change, each under a fresh id, over these graphs in turn.
pub(crate) struct Moves {
    ids: Ids,
    random: Random,
    bytes: Vec<u8>,
    graph: usize,
    batch: Option<usize>,
    members: Vec<Slots>,
    packing: Packing,
    graphs: Range<usize>,
    nodes: usize,
    turn: usize,
}

impl Moves {
    /// Those of `client`, which begins at a graph of its own.
    pub(crate) fn new(client: usize, graphs: Range<usize>, nodes: usize, packing: Packing) -> Self {
        Self::by(&Caller::Claimed(client), client, graphs, nodes, packing)
    }

    /// The same, of somebody who says so.
    pub(crate) fn by(
        caller: &Caller,
        client: usize,
        graphs: Range<usize>,
        nodes: usize,
        packing: Packing,
    ) -> Self {
        // No two supplies move a node to the same place: no command finds that it is already so.
        static SUPPLIES: AtomicUsize = AtomicUsize::new(0);
        let y = SUPPLIES.fetch_add(1, Ordering::Relaxed);
        let payload = format!(r#""payload":{{"nodeId":"{NODE}","position":{{"x":{X},"y":{y}}}}}"#);
        let named = format!(r#"{{"type":"UPDATE_NODE_POSITION","operationId":"{OPERATION}",{payload}}}"#);
        let nameless = format!(r#"{{"type":"UPDATE_NODE_POSITION",{payload}}}"#);
        let (route, body) = match packing {
            Packing::Single => ("command", named.clone()),
            Packing::Atomic(n) => {
                let list = vec![nameless; n].join(",");
                ("batch", format!(r#"{{"batchId":"{OPERATION}","atomic":true,"operations":[{list}]}}"#))
            }
            Packing::Members(n) => {
                ("batch", format!(r#"{{"operations":[{}]}}"#, vec![named.clone(); n].join(",")))
            }
        };
        let bytes = post(&format!("/graphs/{}/{route}", graph(0)), caller, &body);
        let mut members = Vec::new();
        let mut from = 0;
        let has_own_ids = !matches!(packing, Packing::Atomic(_));
        while let Some(at) = find(&bytes[from..], b"UPDATE_NODE_POSITION") {
            let after = |text: &str, from: usize| find(&bytes[from..], text.as_bytes()).map(|at| from + at);
            let start = from + at;
            let (Some(node), Some(x)) = (after(NODE, start), after(X, start)) else { break };
            members.push(Slots { operation: after(OPERATION, start).filter(|_| has_own_ids), node, x });
            from = x;
        }
        let batch = find(&bytes, OPERATION.as_bytes()).filter(|_| !has_own_ids);
        let graph = find(&bytes, graph(0).as_bytes()).unwrap_or_default() + 1;
        let turn = client * graphs.len() / crate::CONNECTIONS;
        let (ids, random) = (Ids::Random, Random::seeded());
        Self { ids, random, bytes, graph, batch, members, packing, graphs, nodes, turn }
    }

    /// The same moves under ids of this kind.
    pub(crate) fn with(mut self, ids: Ids) -> Self {
        self.ids = ids;
        self
    }

    fn id(&mut self) -> Uuid {
        match self.ids {
            Ids::Random => self.random.uuid(),
            Ids::Ordered => Uuid::now_v7(),
        }
    }

    /// One for each connection of a closed loop.
    pub(crate) fn clients(graphs: Range<usize>, nodes: usize, packing: Packing) -> Vec<Self> {
        (0..crate::CONNECTIONS).map(|client| Self::new(client, graphs.clone(), nodes, packing)).collect()
    }
}

impl Requests for Moves {
    fn next(&mut self) -> &[u8] {
        self.turn += 1;
        if let Some(at) = self.batch {
            let id = self.id();
            id.as_hyphenated().encode_lower(&mut self.bytes[at..at + 36]);
        }
        write_number(&mut self.bytes, self.graph, self.graphs.start + self.turn % self.graphs.len(), 5);
        let count = self.members.len();
        for index in 0..count {
            if let Some(at) = self.members[index].operation {
                let id = self.id();
                id.as_hyphenated().encode_lower(&mut self.bytes[at..at + 36]);
            }
            let (bytes, slots) = (&mut self.bytes[..], &self.members[index]);
            let number = self.turn * count + index;
            write_number(bytes, slots.node + 1, number % self.nodes, 5);
            // No leading zero, which would not be JSON; and never twice the same soon.
            write_number(bytes, slots.x, 100_000 + number % 900_000, 6);
        }
        &self.bytes
    }

    fn operations(&self) -> u64 {
        self.members.len() as u64
    }

    fn accepts(&self, answer: &Answer<'_>) -> bool {
        let body = answer.body();
        let start = &body[..body.len().min(400)];
        // A refused member's answer is longer than this for its problem document, or far shorter.
        let is_whole = match self.packing {
            Packing::Single => true,
            Packing::Atomic(n) | Packing::Members(n) => answer.head.body_bytes > n * 100,
        };
        answer.head.status == 200 && is_whole && find(start, br#""outcome":"applied""#).is_some()
    }
}

fn write_number(bytes: &mut [u8], at: usize, mut number: usize, width: usize) {
    for place in bytes[at..at + width].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
