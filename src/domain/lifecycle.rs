//! What happens to a graph as a whole: it is created, described, put into the trash and recovered (rules L).
//!
//! Not here: whether a command may be done to a graph in the trash ([`check_state`] is asked by
//! [`super::conflict`] before everything else), and when a graph may be purged, which depends on the time of the commit.

use dao_projections::{
    Attributes, Edge, Event, Graph, GraphId, Head, MergePatch, Node, Origin, Timestamp, Viewport,
};
use serde_json::Value;

use super::{
    batch_update::{batch_update, check_batch_update},
    command::Command,
    limits::{AutoCreate, Limits, SETTINGS},
    refusal::{Details, Reason, Refusal},
    rejection::Rejection,
    size::json_bytes,
};

/// Bytes of all attributes of a graph as JSON, at most (rule L1).
pub const ATTRIBUTES_BYTES_MAX: usize = 16 << 10;

/// The refusal of a command that the state of the graph does not allow (rules L4, L8, L14).
pub(super) fn check_state(graph: &Graph, command: &Command, limits: &Limits) -> Option<Refusal> {
    let touches = Touches::of(command);
    if graph.head() == Head::EMPTY {
        let is_missing = match touches {
            Touches::Beginning => false,
            Touches::Trash | Touches::Versions => true,
            Touches::Attributes | Touches::Contents => limits.auto_create == AutoCreate::Off,
        };
        return is_missing.then(|| Refusal::new(Reason::GraphNotFound, "This graph does not exist"));
    }
    let metadata = graph.metadata();
    if let Some(trashed) = metadata.trashed.as_ref().filter(|_| touches != Touches::Trash) {
        let refusal = Refusal::new(Reason::GraphTrashed, "This graph is in the trash");
        return Some(Refusal { details: Some(Box::new(Details::Trashed(trashed.clone()))), ..refusal });
    }
    let is_closed = matches!(touches, Touches::Contents | Touches::Versions);
    (is_closed && is_read_only(&metadata.attributes)).then(|| {
        Refusal::new(Reason::GraphReadOnly, "This graph is read-only: its setting `readOnly` is true")
    })
}

/// What a command changes of a graph.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touches {
    Beginning,
    Attributes,
    Trash,
    Contents,
    /// Versions that there are: labels on them, or the way back to one.
    Versions,
}

impl Touches {
    fn of(command: &Command) -> Self {
        match command {
            Command::CreateGraph { .. } | Command::CopyGraph { .. } => Self::Beginning,
            Command::UpdateGraph { .. } => Self::Attributes,
            Command::DeleteGraph { .. } | Command::RecoverGraph => Self::Trash,
            Command::CreateNode { .. }
            | Command::UpdateNode { .. }
            | Command::UpdateNodePosition { .. }
            | Command::DeleteNode { .. }
            | Command::CreateEdge { .. }
            | Command::UpdateEdge { .. }
            | Command::DeleteEdge { .. }
            | Command::SetViewport { .. }
            | Command::BatchUpdate { .. }
            | Command::SaveDocument { .. }
            | Command::Undo { .. } => Self::Contents,
            Command::LabelVersion { .. } | Command::RestoreVersion { .. } => Self::Versions,
        }
    }
}

fn setting<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a Value> {
    attributes.fields().get(SETTINGS)?.as_object()?.get(name)
}

fn is_read_only(attributes: &Attributes) -> bool {
    setting(attributes, "readOnly").and_then(Value::as_bool).unwrap_or(false)
}

impl Limits {
    /// The limits of a graph with these attributes: its settings may lower them, and never raise them (rule L14).
    #[must_use]
    pub fn lowered_by(&self, attributes: &Attributes) -> Self {
        let Some(own) = setting(attributes, "limits") else { return *self };
        let lower = |name: &str, limit: usize| {
            let own = own.get(name).and_then(Value::as_u64);
            own.map_or(limit, |own| limit.min(usize::try_from(own).unwrap_or(usize::MAX)))
        };
        Self {
            entity_bytes_max: lower("entityBytes", self.entity_bytes_max),
            nodes_max: lower("nodes", self.nodes_max),
            edges_max: lower("edges", self.edges_max),
            ..*self
        }
    }
}

/// The graph is created, then everything that it holds at first.
pub(super) fn create_graph(
    graph: &Graph,
    (attributes, from): (&Attributes, Option<&Origin>),
    (nodes, edges, viewport): (&[Node], &[Edge], Option<&Viewport>),
    limits: &Limits,
) -> Result<Vec<Event>, Rejection> {
    if graph.head() != Head::EMPTY {
        return Err(Rejection::GraphExists);
    }
    check_size(attributes)?;
    let limits = &limits.lowered_by(attributes);
    let contents = batch_update(graph, nodes, Some(edges), viewport, limits);
    check_batch_update(graph, &contents, Some(edges), limits)?;
    let created = Event::GraphCreated { attributes: attributes.clone(), from: from.cloned() };
    Ok(std::iter::once(created).chain(contents).collect())
}

pub(super) fn update_graph(graph: &Graph, patch: &MergePatch) -> Result<Vec<Event>, Rejection> {
    let old = &graph.metadata().attributes;
    let new = old.patched(patch);
    if new == *old {
        return Ok(vec![]);
    }
    check_size(&new)?;
    Ok(vec![Event::GraphUpdated { patch: patch.clone() }])
}

/// Putting a graph into the trash twice decides nothing.
pub(super) fn trash_graph(graph: &Graph, reason: Option<&str>, moved_to: Option<&GraphId>) -> Vec<Event> {
    if graph.metadata().trashed.is_some() {
        return vec![];
    }
    let (reason, moved_to) = (reason.map(Box::from), moved_to.cloned());
    vec![Event::GraphTrashed { reason, moved_to, purge_after: None }]
}

pub(super) fn recover_graph(graph: &Graph) -> Vec<Event> {
    if graph.metadata().trashed.is_none() {
        return vec![];
    }
    vec![Event::GraphRecovered {}]
}

/// The events with the times at which the graph may be purged. They count from the commit, whose time a decision doesn't
/// know.
pub fn with_purge_times(mut events: Vec<Event>, at: Timestamp, limits: &Limits) -> Vec<Event> {
    for event in &mut events {
        if let Event::GraphTrashed { purge_after, .. } = event {
            *purge_after = limits.trash_retention_ms.map(|ms| Timestamp(at.0.saturating_add(ms)));
        }
    }
    events
}

fn check_size(attributes: &Attributes) -> Result<(), Rejection> {
    if json_bytes(attributes) > ATTRIBUTES_BYTES_MAX {
        return Err(Rejection::AttributesTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dao_projections::{NodeId, Position};

    use super::*;

    #[test]
    fn l14_settings_lower_the_limits_and_never_raise_them() {
        let limits = Limits { nodes_max: 10, edges_max: 20, entity_bytes_max: 30, ..Limits::default() };
        let with = |settings: serde_json::Value| {
            let mut fields = dao_projections::Map::new();
            fields.insert(SETTINGS.to_owned(), settings);
            limits.lowered_by(&Attributes::default().patched(&MergePatch::new(fields)))
        };
        assert_eq!(limits.lowered_by(&Attributes::default()), limits);
        assert_eq!(with(serde_json::json!({"readOnly": true})), limits);
        let lowered = with(serde_json::json!({"limits": {"nodes": 3, "edges": 21, "entityBytes": 0}}));
        assert_eq!(lowered, Limits { nodes_max: 3, entity_bytes_max: 0, ..limits });
    }

    #[test]
    fn l4_without_auto_create_only_create_graph_creates_a_graph() {
        let limits = Limits { auto_create: AutoCreate::Off, ..Limits::default() };
        let id = NodeId::parse("a").expect("an id");
        let node = Node::new(id, Position::default(), Default::default()).expect("a node");
        let (attributes, nodes, edges, viewport) = (Attributes::default(), vec![], vec![], None);
        for (command, with_it, without_it) in [
            (Command::CreateNode { node }, None, Some(Reason::GraphNotFound)),
            (
                Command::UpdateGraph { patch: MergePatch::new(Default::default()) },
                None,
                Some(Reason::GraphNotFound),
            ),
            (Command::CreateGraph { attributes, nodes, edges, viewport }, None, None),
            (Command::RecoverGraph, Some(Reason::GraphNotFound), Some(Reason::GraphNotFound)),
        ] {
            let reason = |limits: &Limits| check_state(&Graph::empty(), &command, limits).map(|r| r.reason);
            assert_eq!((reason(&Limits::default()), reason(&limits)), (with_it, without_it), "{command:?}");
        }
        assert!(!Reason::GraphNotFound.is_final());
    }
}
