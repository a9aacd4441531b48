//! Formats commits as text for a terminal.

use dao_projections::{Commit, Event, Outcome, Pointer, Position, Timestamp, Viewport};

/// The most entities of one commit that are listed; of more, only the count is shown.
const LISTED_MAX: usize = 3;

/// Whether lines have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    On,
    Off,
}

/// The ANSI styles that are used.
#[derive(Clone, Copy)]
enum Style {
    Dim,
    Bold,
    Cyan,
    Yellow,
}

impl Colour {
    fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Dim => 2,
            Style::Bold => 1,
            Style::Cyan => 36,
            Style::Yellow => 33,
        };
        match self {
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Off => text.to_owned(),
        }
    }
}

/// Formats a commit: time, version, user, changes.
pub(super) fn line(commit: &Commit, colour: Colour) -> String {
    let body = &commit.body;
    let merged = match body.outcome {
        Outcome::Applied => String::new(),
        Outcome::Merged => format!(" {}", colour.paint(Style::Yellow, "(merged)")),
    };
    format!(
        "{}  {}  {}  {}{merged}",
        colour.paint(Style::Dim, &clock(body.timestamp)),
        colour.paint(Style::Bold, &format!("{:>5}", commit.version.get())),
        colour.paint(Style::Cyan, &format!("{:<10}", plain(body.user_id.as_str()))),
        plain(&what_happened(&body.events)),
    )
}

/// Formats a note that is not a commit.
pub(super) fn notice(text: &str, colour: Colour) -> String {
    colour.paint(Style::Dim, &format!("-- {}", plain(text)))
}

/// The time of day in UTC.
fn clock(at: Timestamp) -> String {
    let seconds = at.0 / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Removes control characters: user data could move the cursor or change the title of the terminal.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn what_happened(events: &[Event]) -> String {
    let deletions = deletions(events);
    let others: Vec<&Event> = events.iter().filter(|event| !event.is_deletion()).collect();
    let listed = match others.len() <= LISTED_MAX {
        true => others.into_iter().map(what).collect(),
        false => counted(&others),
    };
    listed.into_iter().chain(deletions).collect::<Vec<_>>().join(", ")
}

/// Describes deletions together: a node and its edges.
fn deletions(events: &[Event]) -> Option<String> {
    let nodes: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::NodeDeleted { .. })).collect();
    let edges: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::EdgeDeleted { .. })).collect();
    let named = |kind: &str, events: &[&Event]| match events {
        [] => None,
        [one] => Some(format!("{kind} {}", one.entity())),
        more => Some(format!("{} {kind}s", more.len())),
    };
    match (named("node", &nodes), named("edge", &edges)) {
        (None, None) => None,
        (Some(nodes), Some(_)) => Some(format!("deleted {nodes} and {}", plural(edges.len(), "edge"))),
        (Some(one), None) | (None, Some(one)) => Some(format!("deleted {one}")),
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn what(event: &Event) -> String {
    match event {
        Event::NodeCreated { node } => format!("created node {} at {}", node.id(), place(node.position())),
        Event::NodeUpdated { node_id, .. } => format!("changed {} of node {node_id}", fields(event)),
        Event::NodeMoved { node_id, position } => format!("moved node {node_id} to {}", place(position)),
        Event::NodeReplaced { node } => format!("replaced node {}", node.id()),
        Event::EdgeCreated { edge } => {
            format!("connected {} → {} ({})", edge.source(), edge.target(), edge.id())
        }
        Event::EdgeUpdated { edge_id, .. } => format!("changed {} of edge {edge_id}", fields(event)),
        Event::EdgeReplaced { edge } => {
            format!("replaced edge {} ({} → {})", edge.id(), edge.source(), edge.target())
        }
        Event::ViewportSet { viewport } => format!("set the viewport to {}", view(viewport)),
        Event::NodeRestored { node, .. } => {
            format!("brought back node {} at {}", node.id(), place(node.position()))
        }
        Event::EdgeRestored { edge, .. } => {
            format!("brought back {} → {} ({})", edge.source(), edge.target(), edge.id())
        }
        Event::GraphCreated { .. } => "created the graph".to_owned(),
        Event::GraphUpdated { .. } => format!("changed {} of the graph", fields(event)),
        Event::GraphTrashed { .. } => "put the graph into the trash".to_owned(),
        Event::GraphRecovered {} => "recovered the graph".to_owned(),
        Event::GraphForked { graph_id, version, .. } => format!("copied version {version} of {graph_id}"),
        Event::VersionLabelled { name, version: Some(version), .. } => {
            format!("labelled version {version} {name}")
        }
        Event::VersionLabelled { name, version: None, .. } => format!("removed label {name}"),
        Event::NodeDeleted { .. } => format!("deleted node {}", event.entity()),
        Event::EdgeDeleted { .. } => format!("deleted edge {}", event.entity()),
    }
}

/// Counts events by kind, in order of first appearance.
fn counted(events: &[&Event]) -> Vec<String> {
    let mut counts: Vec<(&str, &str, usize)> = Vec::new();
    for event in events {
        let (verb, kind) = verb_and_kind(event);
        match counts.iter_mut().find(|(v, k, _)| (*v, *k) == (verb, kind)) {
            Some((_, _, count)) => *count += 1,
            None => counts.push((verb, kind, 1)),
        }
    }
    let said = |(verb, kind, count)| match kind {
        "viewport" | "graph" => format!("{verb} the {kind}"), // there is one
        _ => format!("{verb} {}", plural(count, kind)),
    };
    counts.into_iter().map(said).collect()
}

fn verb_and_kind(event: &Event) -> (&'static str, &'static str) {
    match event {
        Event::NodeCreated { .. } => ("created", "node"),
        Event::NodeUpdated { .. } => ("changed", "node"),
        Event::NodeMoved { .. } => ("moved", "node"),
        Event::NodeReplaced { .. } => ("replaced", "node"),
        Event::NodeDeleted { .. } => ("deleted", "node"),
        Event::EdgeCreated { .. } => ("connected", "edge"),
        Event::EdgeUpdated { .. } => ("changed", "edge"),
        Event::EdgeReplaced { .. } => ("replaced", "edge"),
        Event::EdgeDeleted { .. } => ("deleted", "edge"),
        Event::ViewportSet { .. } => ("set", "viewport"),
        Event::NodeRestored { .. } => ("brought back", "node"),
        Event::EdgeRestored { .. } => ("brought back", "edge"),
        Event::GraphCreated { .. } => ("created", "graph"),
        Event::GraphUpdated { .. } => ("changed", "graph"),
        Event::GraphTrashed { .. } => ("trashed", "graph"),
        Event::GraphRecovered {} => ("recovered", "graph"),
        Event::GraphForked { .. } => ("copied", "graph"),
        Event::VersionLabelled { .. } => ("labelled", "version"),
    }
}

/// The fields of a patch, as JSON Pointers.
fn fields(event: &Event) -> String {
    let paths = event.paths();
    match paths.len() {
        0 => "nothing".to_owned(),
        1..=LISTED_MAX => paths.iter().map(Pointer::as_str).collect::<Vec<_>>().join(" "),
        more => format!("{more} fields"),
    }
}

fn place(position: &Position) -> String {
    let position = position.to_json();
    format!("{},{}", position["x"], position["y"])
}

fn view(viewport: &Viewport) -> String {
    let viewport = viewport.to_json();
    format!("{},{} at zoom {}", viewport["x"], viewport["y"], viewport["zoom"])
}

#[cfg(test)]
mod tests {
    use dao_projections::{CommandType, CommitBody, Hash, OperationId, Version};
    use serde_json::json;

    use super::*;

    fn events(json: serde_json::Value) -> Vec<Event> {
        serde_json::from_value(json).expect("events")
    }

    fn commit(events: Vec<Event>, outcome: Outcome) -> Commit {
        let body = CommitBody {
            operation_id: OperationId::from(uuid::Uuid::nil()),
            user_id: "ada".parse().expect("a user"),
            client_id: "tab".parse().expect("a client"),
            is_client_named: true,
            traceparent: None,
            timestamp: Timestamp(1_763_800_000_999),
            command_type: CommandType::Batch,
            outcome,
            undoes: vec![],
            restores: None,
            is_erased: false,
            events,
        };
        Commit { version: Version::EMPTY.plus(42), hash: Hash::EMPTY, body }
    }

    #[test]
    fn every_event_has_its_words() {
        for (event, words) in [
            (
                json!({"type": "NodeCreated", "node": {"id": "a", "position": {"x": 1, "y": 2.5}}}),
                "created node a at 1,2.5",
            ),
            (
                json!({"type": "NodeMoved", "nodeId": "a", "position": {"x": 10, "y": -20}}),
                "moved node a to 10,-20",
            ),
            (
                json!({"type": "NodeUpdated", "nodeId": "a", "patch": {"data": {"label": "x", "c": 1}}}),
                "changed /data/label /data/c of node a",
            ),
            (
                json!({"type": "NodeReplaced", "node": {"id": "a", "position": {"x": 1, "y": 2}}}),
                "replaced node a",
            ),
            (
                json!({"type": "EdgeCreated", "edge": {"id": "e1", "source": "a", "target": "b"}}),
                "connected a → b (e1)",
            ),
            (
                json!({"type": "EdgeUpdated", "edgeId": "e1", "patch": {"label": null}}),
                "changed /label of edge e1",
            ),
            (
                json!({"type": "EdgeReplaced", "edge": {"id": "e1", "source": "a", "target": "b"}}),
                "replaced edge e1 (a → b)",
            ),
            (json!({"type": "EdgeDeleted", "edgeId": "e1"}), "deleted edge e1"),
            (json!({"type": "NodeDeleted", "nodeId": "a"}), "deleted node a"),
            (
                json!({"type": "ViewportSet", "viewport": {"x": 0, "y": 1, "zoom": 0.5}}),
                "set the viewport to 0,1 at zoom 0.5",
            ),
        ] {
            assert_eq!(what_happened(&events(json!([event]))), words);
        }
    }

    #[test]
    fn a_node_goes_with_its_edges() {
        let deleted = |edges: usize| {
            let edges = (0..edges).map(|n| json!({"type": "EdgeDeleted", "edgeId": format!("e{n}")}));
            let all = edges.chain([json!({"type": "NodeDeleted", "nodeId": "x"})]);
            what_happened(&events(all.collect::<Vec<_>>().into()))
        };
        assert_eq!(deleted(3), "deleted node x and 3 edges");
        assert_eq!(deleted(1), "deleted node x and 1 edge");
    }

    #[test]
    fn many_things_are_counted() {
        let created = (0..12).map(
            |n| json!({"type": "NodeCreated", "node": {"id": format!("n{n}"), "position": {"x": 0, "y": 0}}}),
        );
        let set = json!({"type": "ViewportSet", "viewport": {"x": 0, "y": 0, "zoom": 1}});
        let gone = json!({"type": "EdgeDeleted", "edgeId": "e"});
        let all: Vec<_> = created.chain([set, gone]).collect();
        assert_eq!(what_happened(&events(all.into())), "created 12 nodes, set the viewport, deleted edge e");
    }

    #[test]
    fn a_line_says_when_which_who_and_what() {
        let moved = || events(json!([{"type": "NodeMoved", "nodeId": "a", "position": {"x": 1, "y": 2}}]));
        let applied = line(&commit(moved(), Outcome::Applied), Colour::Off);
        assert_eq!(applied, "08:26:40     42  ada         moved node a to 1,2");
        let merged = line(&commit(moved(), Outcome::Merged), Colour::Off);
        assert_eq!(merged, format!("{applied} (merged)"));
        let coloured = line(&commit(moved(), Outcome::Merged), Colour::On);
        assert!(coloured.starts_with("\x1b[2m08:26:40\x1b[0m"), "{coloured:?}");
    }

    #[test]
    fn nothing_in_a_graph_can_play_with_the_terminal() {
        let patched =
            events(json!([{"type": "NodeUpdated", "nodeId": "a", "patch": {"\u{1b}]0;x\u{7}": 1}}]));
        let line = line(&commit(patched, Outcome::Applied), Colour::Off);
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}
