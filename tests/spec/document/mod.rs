//! Rules DS2 to DS14: a document saved over what others did. Ada saves; what Bob did is somebody else's.

mod changes;
mod others;

use dao_api::domain::{
    Absent, Action, Base, Command, Document, Fingerprint, Limits, Member, OnConflict, Operation, Reading,
    Reason, Refusal, Save, Saved, Verdict, WithoutBase, judge_save,
};
use dao_projections::{ClientId, Event, Graph, Node, OperationId, Outcome, UserId, Version};
use serde_json::json;
use uuid::Uuid;

use super::given::*;

/// Nodes a and b, and an edge from a to b: version 3.
fn abab() -> Given {
    given([
        node_created("a", json!({"data": {"label": "a", "n": 1}})),
        node_created("b", json!({"data": {"label": "b"}})),
        edge_created("ab", "a", "b"),
    ])
}

/// The graph as its editor has it.
pub fn document(graph: &Graph) -> Document {
    Document {
        nodes: graph.nodes_in_order().map(|node| node.entity.clone()).collect(),
        edges: graph.edges().iter().map(|edge| edge.entity.clone()).collect(),
        viewport: None,
    }
}

fn with_node(mut document: Document, node: Node) -> Document {
    document.nodes.retain(|old| old.id() != node.id());
    document.nodes.push(node);
    document
}

fn without(mut document: Document, ids: &[&str]) -> Document {
    document.nodes.retain(|node| !ids.contains(&node.id().as_str()));
    document.edges.retain(|edge| !ids.contains(&edge.id().as_str()));
    document
}

fn labelled(document: Document, id: &str, label: &str) -> Document {
    let old = document.nodes.iter().find(|node| node.id().as_str() == id).expect("a node");
    let new = old.patched(&patch(json!({"data": {"label": label}})));
    let nodes =
        document.nodes.iter().map(|node| if node.id().as_str() == id { new.clone() } else { node.clone() });
    Document { nodes: nodes.collect(), ..document }
}

/// A save on its way, by Ada.
pub struct Saving {
    given: Given,
    document: Document,
    base: Option<u64>,
    own: Vec<u64>,
    without_base: WithoutBase,
    is_client_named: bool,
    reading: Reading,
    on_conflict: OnConflict,
    keeps: bool,
    deletes: Option<usize>,
}

impl Given {
    /// Ada's document, which started from version `base`.
    pub fn saves(self, base: u64, document: Document) -> Saving {
        Saving {
            given: self,
            document,
            base: Some(base),
            own: vec![],
            without_base: WithoutBase::Create,
            is_client_named: false,
            reading: Reading::default(),
            on_conflict: OnConflict::Merge,
            keeps: false,
            deletes: None,
        }
    }
}

impl Saving {
    pub fn own(mut self, versions: &[u64]) -> Self {
        self.own = versions.to_vec();
        self
    }

    pub fn named(mut self) -> Self {
        self.is_client_named = true;
        self
    }

    fn without_base(mut self, mode: WithoutBase) -> Self {
        (self.base, self.without_base) = (None, mode);
        if mode == WithoutBase::Merge {
            self.reading.absent = Absent::Keep;
        }
        self
    }

    pub fn policy(mut self, policy: OnConflict) -> Self {
        self.on_conflict = policy;
        self
    }

    pub fn keeping(mut self) -> Self {
        self.keeps = true;
        self
    }

    pub fn saying(mut self, deletes: usize) -> Self {
        self.deletes = Some(deletes);
        self
    }

    fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    pub fn saved(&self) -> Saved {
        let version = |number: u64| Version::new(number).expect("a version");
        let (user, client): (UserId, ClientId) =
            ("ada".parse().expect("a user"), "ada".parse().expect("a client"));
        let base = match self.base {
            None => Base::Unknown(self.without_base),
            Some(_) => Base::Known { own: self.own.iter().copied().map(version).collect() },
        };
        let save = Save {
            document: self.document.clone(),
            reading: self.reading.clone(),
            base,
            keeps: self.keeps,
            deletes: self.deletes,
            ignored: vec![],
            only_at: None,
        };
        let member = Member {
            command: Command::SaveDocument { save: Box::new(save.clone()) },
            client_version: self.base.map(version),
            on_conflict: self.on_conflict,
        };
        let operation = Operation {
            id: OperationId::from(Uuid::from_u128(u128::MAX)),
            fingerprint: Fingerprint([0; 8]),
            user,
            traceparent: None,
            after: None,
            client,
            is_client_named: self.is_client_named,
            claims: vec![],
            action: Action::Single(member.clone()),
        };
        let limits = Limits { entity_bytes_max: 4_096, nodes_max: 60, edges_max: 60, ..Limits::default() };
        judge_save(&self.given.graph, &operation, (&save, &member), &self.given, &limits)
            .expect("history at hand")
    }

    #[track_caller]
    fn then(self, expected: Outcome, events: impl IntoIterator<Item = Event>) {
        match self.saved().verdict {
            Verdict::Accepted { events: found, outcome, .. } => {
                assert_eq!((outcome, found), (expected, events.into_iter().collect::<Vec<_>>()));
            }
            other => panic!("{other:#?}"),
        }
    }

    #[track_caller]
    fn then_applied(self, events: impl IntoIterator<Item = Event>) {
        self.then(Outcome::Applied, events);
    }

    #[track_caller]
    fn then_merged(self, events: impl IntoIterator<Item = Event>) {
        self.then(Outcome::Merged, events);
    }

    #[track_caller]
    fn then_unchanged(self) {
        let saved = self.saved();
        assert_eq!(
            (saved.verdict, saved.report.kept),
            (Verdict::Unchanged { skipped: vec![], restored: None }, vec![])
        );
    }

    #[track_caller]
    fn then_refused(self, reason: Reason) -> Refusal {
        match self.saved().verdict {
            Verdict::Refused(refusal) if refusal.reason == reason => refusal,
            other => panic!("expected {reason:?}, got {other:#?}"),
        }
    }
}

fn label(id: &str, label: &str) -> Event {
    node_updated(id, json!({"data": {"label": label}}))
}
