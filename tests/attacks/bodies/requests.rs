//! Where large values stand in requests, and what is there before them.

use serde_json::{Value, json};

use super::shapes::{MATTERS, Matter, Rng, Tree, matter};
use crate::support::http::Client;

/// What a request does with a large value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The data of one node.
    Node,
    /// The data of many nodes, each within what an entity may be.
    Nodes,
    /// The same as attributes of edges.
    Edges,
    /// Nodes that are nothing but their ids.
    BareNodes,
    /// Nodes without even those.
    NamelessNodes,
    /// What a node is updated with.
    Update,
    /// What a node that others changed is updated with.
    StaleUpdate,
    /// A node put in place of one that is there.
    Replacement,
    /// The id of something.
    Id,
    /// A field of the envelope that is not known.
    Unknown,
    /// Where an object of fixed shape should be.
    Viewport,
    /// In place of the envelope.
    Everything,
    /// Members of a batch.
    Members,
    /// Many members that are refused because of one large node.
    Refused,
}

pub(crate) const PLACES: [Place; 14] = [
    Place::Node,
    Place::Nodes,
    Place::Edges,
    Place::BareNodes,
    Place::NamelessNodes,
    Place::Update,
    Place::StaleUpdate,
    Place::Replacement,
    Place::Id,
    Place::Unknown,
    Place::Viewport,
    Place::Everything,
    Place::Members,
    Place::Refused,
];

/// Bytes of an entity that may be.
const ENTITY_BYTES: usize = 200 << 10;

/// A request, and of what it is made.
pub(crate) struct Attack {
    pub(crate) place: Place,
    pub(crate) of: Matter,
    pub(crate) path: &'static str,
    pub(crate) body: Tree,
}

fn command(name: &str, payload: Tree) -> Tree {
    Tree::fields([("type", Tree::text(name)), ("payload", payload)])
}

fn batch_of(members: impl Iterator<Item = Tree>) -> Tree {
    Tree::fields([("operations", Tree::List(members.collect()))])
}

/// Entities that hold so many bytes together.
fn entities(of: Matter, bytes: usize, rng: &mut Rng, entity: impl Fn(usize, Tree) -> Tree) -> Tree {
    let each = rng.of(&[40, 2_000, ENTITY_BYTES]).min(bytes);
    let all = (0..bytes / (each + 30) + 1).map(|index| entity(index, matter(of, each, rng)));
    Tree::List(all.collect())
}

impl Attack {
    pub(crate) fn new(bytes: usize, rng: &mut Rng) -> Self {
        let (place, of) = (rng.of(&PLACES), rng.of(&MATTERS));
        Self::of(place, of, bytes, rng)
    }

    pub(crate) fn of(place: Place, of: Matter, bytes: usize, rng: &mut Rng) -> Self {
        let named = |index: usize| ("id", Tree::text(format!("n{index}")));
        let update = |data: Tree| {
            let updates = Tree::fields([("data", data)]);
            Tree::fields([("nodeId", Tree::text("there")), ("updates", updates)])
        };
        let body = match place {
            Place::Node => command("CREATE_NODE", Tree::fields([named(0), ("data", matter(of, bytes, rng))])),
            Place::Nodes => {
                let nodes =
                    entities(of, bytes, rng, |index, data| Tree::fields([named(index), ("data", data)]));
                command("BATCH_UPDATE", Tree::fields([("nodes", nodes)]))
            }
            Place::Edges => {
                let edges = entities(of, bytes, rng, |index, data| {
                    let end = Tree::text("there");
                    Tree::fields([named(index), ("source", end.clone()), ("target", end), ("data", data)])
                });
                command("BATCH_UPDATE", Tree::fields([("edges", edges)]))
            }
            Place::BareNodes => {
                let nodes = (0..bytes / 9).map(|index| (format!("{index:x}"), Tree::Fields(vec![])));
                command("BATCH_UPDATE", Tree::fields([("nodes", Tree::Fields(nodes.collect()))]))
            }
            Place::NamelessNodes => {
                let nodes = Tree::List(vec![Tree::Fields(vec![]); bytes / 3]);
                command("BATCH_UPDATE", Tree::fields([("nodes", nodes)]))
            }
            Place::Update => command("UPDATE_NODE", update(matter(of, bytes, rng))),
            Place::StaleUpdate => Tree::fields([
                ("type", Tree::text("UPDATE_NODE")),
                ("clientVersion", Tree::Int(1)),
                ("onConflict", Tree::text(rng.of(&["merge", "reject"]))),
                ("payload", update(matter(of, bytes, rng))),
            ]),
            Place::Replacement => {
                let node = Tree::fields([("data", matter(of, bytes, rng)), ("other", Tree::Int(1))]);
                let nodes = Tree::fields([("there", node)]);
                command("BATCH_UPDATE", Tree::fields([("nodes", nodes)]))
            }
            Place::Id => command("DELETE_NODE", Tree::fields([("nodeId", matter(of, bytes, rng))])),
            Place::Unknown => Tree::fields([
                ("type", Tree::text("DELETE_NODE")),
                ("payload", Tree::fields([("nodeId", Tree::text("there"))])),
                ("unknown", matter(of, bytes, rng)),
            ]),
            Place::Viewport => command("SET_VIEWPORT", matter(of, bytes, rng)),
            Place::Everything => matter(of, bytes, rng),
            Place::Members => batch_of((0..200).map(|index| {
                command("CREATE_NODE", Tree::fields([named(index), ("data", matter(of, bytes / 200, rng))]))
            })),
            Place::Refused => batch_of((0..500).map(|_| {
                let node = Tree::fields([("id", Tree::text("there"))]);
                command("CREATE_NODE", node)
            })),
        };
        let is_batch = matches!(place, Place::Members | Place::Refused);
        let path = if is_batch { "/graphs/g/batch" } else { "/graphs/g/command" };
        Self { place, of, path, body }
    }

    /// What is in the graph before: a node, of the same matter, that others have written to.
    pub(crate) async fn prepare(&self, client: &Client) {
        let accept = |envelope: Value| async move { client.as_user("other").accept("g", &envelope).await };
        let node = json!({"id": "there", "data": {"k": 0}});
        accept(json!({"type": "CREATE_NODE", "payload": node})).await;
        if matches!(self.place, Place::StaleUpdate | Place::Replacement | Place::Refused) {
            let mut rng = Rng(1);
            let data = matter(self.of, ENTITY_BYTES / 4, &mut rng);
            let data: Value = serde_json::from_slice(&data.encode(dao_api::http::Format::Json)).unwrap();
            let update = json!({"nodeId": "there", "updates": {"data": data}});
            // It may be too much of one entity for this server; then the node stays small.
            client.as_user("other").command("g", &json!({"type": "UPDATE_NODE", "payload": update})).await;
        }
    }
}
