//! What operations did, found by walking the commits backwards: of each entity that they touched the value before
//! and the value after.
//!
//! Invariants:
//! - Commits are given from the newest to the oldest without a gap, and no more of them than needed: the walk ends
//!   where all that the operations wrote is known as it was before them. It never looks at the graph as a whole.
//! - What is not needed stays unknown. Of a node that was only moved, only the position is sought.
//!
//! Not here: where commits come from.

use std::collections::HashMap;

use dao_projections::{
    Commit, Event, Graph, Map, MergePatch, NodeId, OperationId, Ordinal, Pointer, UserId, Version,
};
use serde_json::Value;

use super::{
    past::{Past, Place, Step, Transition},
    state::{Key, State},
};

/// What has to be known of an entity as it was before the operations.
#[derive(Clone, Debug)]
enum Needs {
    Paths(Vec<Pointer>),
    Whole,
    /// Also its place in creation order: it was deleted.
    Place,
}

/// One entity on the way back.
#[derive(Debug)]
struct Trail {
    needs: Needs,
    /// The oldest of the operations that touched it.
    since: Version,
    is_known: bool,
    /// What it was where the walk ended.
    base: Option<(State, Option<Place>)>,
    /// What happened to it, the newest first; with the place of what was created.
    events: Vec<Touch>,
}

#[derive(Debug)]
struct Touch {
    version: Version,
    /// Among the events of its commit.
    index: usize,
    event: Event,
    place: Option<Place>,
}

/// A walk.
#[derive(Debug)]
pub struct Tracing {
    /// The commits of the operations, the oldest first.
    named: Vec<(OperationId, Version, UserId)>,
    trails: HashMap<Key, Trail>,
    /// Nodes that are looked for beside.
    around: Vec<NodeId>,
    /// The place that the next entity created gets, seen from where the walk is.
    next_ordinal: Ordinal,
    from: Version,
    unknown: usize,
}

impl Tracing {
    /// A walk to what these commits found, the oldest first, and for these nodes as they were before the first of
    /// them. `graph` is the head's.
    pub fn new(commits: &[Commit], around: &[NodeId], graph: &Graph) -> Self {
        let mut trails: HashMap<Key, Trail> = HashMap::new();
        for commit in commits {
            for event in &commit.body.events {
                let key = Key::of(event.entity());
                let is_new = !trails.contains_key(&key);
                let trail = trails.entry(key).or_insert_with(|| Trail::new(commit.version));
                trail.needs.add(event);
                if is_new && event.is_creation() {
                    trail.is_known = true;
                }
            }
        }
        for node in around {
            // It is there no more: all of its history lies behind. The operations may have changed it before it went.
            let trail = trails
                .entry(Key::Node(node.clone()))
                .or_insert_with(|| Trail::new(graph.head().version.next()));
            if matches!(trail.needs, Needs::Paths(_)) {
                trail.needs = Needs::Whole;
            }
        }
        for trail in trails.values_mut() {
            trail.is_known |= matches!(&trail.needs, Needs::Paths(paths) if paths.is_empty());
        }
        let has_places = trails.values().any(|trail| matches!(trail.needs, Needs::Place));
        let last = commits.last().map_or(Version::EMPTY, |commit| commit.version);
        let named = commits.iter();
        let named = named.map(|c| (c.body.operation_id, c.version, c.body.user_id.clone())).collect();
        Self {
            named,
            unknown: trails.values().filter(|trail| !trail.is_known).count(),
            trails,
            around: around.to_vec(),
            next_ordinal: graph.next_ordinal(),
            from: if has_places { graph.head().version } else { last },
        }
    }

    /// The commit that is wanted first.
    pub fn from(&self) -> Version {
        self.from
    }

    /// The version of the oldest operation.
    pub fn oldest(&self) -> Version {
        self.named.first().map_or(Version::EMPTY, |(_, version, _)| *version)
    }

    /// Whether the walk needs the commit of this version.
    pub fn wants(&self, version: Version) -> bool {
        version >= self.oldest() || self.unknown > 0
    }

    /// What of a commit matters here: what was created, which has a place, and what happened to the entities sought.
    pub fn part_of(&self, mut commit: Commit) -> Commit {
        commit
            .body
            .events
            .retain(|event| event.is_creation() || self.trails.contains_key(&Key::of(event.entity())));
        commit
    }

    /// Takes the next commit backwards.
    pub fn back(&mut self, commit: &Commit) {
        for (index, event) in commit.body.events.iter().enumerate().rev() {
            let mut place = None;
            match event {
                Event::NodeCreated { .. } | Event::EdgeCreated { .. } => {
                    self.next_ordinal = self.next_ordinal.saturating_sub(1);
                    place = Some((self.next_ordinal, commit.body.timestamp));
                }
                Event::NodeRestored { ordinal, created_at, .. }
                | Event::EdgeRestored { ordinal, created_at, .. } => place = Some((*ordinal, *created_at)),
                _ => {}
            }
            let Some(trail) = self.trails.get_mut(&Key::of(event.entity())) else { continue };
            if trail.is_known && commit.version < trail.since {
                continue;
            }
            let touch = Touch { version: commit.version, index, event: event.clone(), place };
            trail.events.push(touch);
            if !trail.is_known && commit.version < trail.since && trail.needs.are_met_by(event) {
                trail.is_known = true;
                self.unknown -= 1;
            }
        }
    }

    /// Ends the walk at a graph that stood after the last commit that was not given; the empty one where none is left.
    pub fn end_at(&mut self, graph: &Graph) {
        for (key, trail) in self.trails.iter_mut().filter(|(_, trail)| !trail.is_known) {
            trail.base = standing(graph, key);
            trail.is_known = true;
        }
        self.unknown = 0;
    }

    /// What the operations did.
    pub fn finish(self) -> Past {
        let mut gone = HashMap::new();
        for id in &self.around {
            let key = Key::Node(id.clone());
            if let Some(State::Node(node)) = self.trails.get(&key).and_then(|trail| trail.last_alive(&key)) {
                gone.insert(id.clone(), node);
            }
        }
        let step = |(operation, version, user): &(OperationId, Version, UserId)| Step {
            operation: *operation,
            version: *version,
            user: user.clone(),
            changes: vec![],
        };
        let mut steps: Vec<Step> = self.named.iter().map(step).collect();
        let mut changes: Vec<(Version, usize, Transition)> = Vec::new();
        for (key, trail) in self.trails {
            let is_named = |version| self.named.binary_search_by_key(&version, |(_, at, _)| *at).is_ok();
            trail.replay(&key, is_named, &mut changes);
        }
        changes.sort_unstable_by_key(|(version, index, _)| (*version, *index));
        for (version, _, change) in changes {
            if let Ok(at) = steps.binary_search_by_key(&version, |step| step.version) {
                steps[at].changes.push(change);
            }
        }
        // Of one that was deleted twice the last is kept.
        for change in steps.iter().flat_map(|step| &step.changes).filter(|change| change.after.is_none()) {
            if let Some(State::Node(node)) = &change.before {
                gone.insert(node.id().clone(), node.clone());
            }
        }
        steps.reverse();
        Past { steps, gone, ..Past::default() }
    }
}

impl Needs {
    fn add(&mut self, event: &Event) {
        match event {
            _ if matches!(self, Self::Place) => {}
            Event::NodeDeleted { .. } | Event::EdgeDeleted { .. } => *self = Self::Place,
            Event::NodeUpdated { .. }
            | Event::NodeMoved { .. }
            | Event::EdgeUpdated { .. }
            | Event::GraphUpdated { .. } => {
                if let Self::Paths(paths) = self {
                    paths.extend(event.paths());
                }
            }
            Event::NodeCreated { .. }
            | Event::NodeReplaced { .. }
            | Event::NodeRestored { .. }
            | Event::EdgeCreated { .. }
            | Event::EdgeReplaced { .. }
            | Event::EdgeRestored { .. }
            | Event::ViewportSet { .. }
            | Event::GraphCreated { .. } => *self = Self::Whole,
            Event::GraphTrashed { .. }
            | Event::GraphRecovered {}
            | Event::GraphForked { .. }
            | Event::VersionLabelled { .. } => {}
        }
    }

    /// Whether nothing is needed any more that is older than this event, which happened before the operations.
    fn are_met_by(&mut self, event: &Event) -> bool {
        let is_whole = matches!(
            event,
            Event::NodeReplaced { .. }
                | Event::EdgeReplaced { .. }
                | Event::ViewportSet { .. }
                | Event::GraphCreated { .. }
        );
        match self {
            _ if event.is_creation() => true,
            Self::Place => false,
            Self::Whole => is_whole,
            Self::Paths(paths) => {
                paths.retain(|path| !is_whole && !says(event, path));
                paths.is_empty()
            }
        }
    }
}

/// Whether all that stands at this path after the event is in the event.
fn says(event: &Event, path: &Pointer) -> bool {
    match event {
        Event::NodeMoved { .. } => path.is_within_position(),
        Event::NodeUpdated { patch, .. } if path.is_within_position() => {
            let position = patch.fields().get("position").and_then(Value::as_object);
            position.is_some_and(|position| position.contains_key("x") && position.contains_key("y"))
        }
        Event::NodeUpdated { patch, .. }
        | Event::EdgeUpdated { patch, .. }
        | Event::GraphUpdated { patch } => is_settled_by(patch, path),
        _ => false,
    }
}

/// Whether a patch writes a value that is no object at this path or above it: what was there before is gone.
fn is_settled_by(patch: &MergePatch, path: &Pointer) -> bool {
    let mut fields: &Map = patch.fields();
    for key in path.keys() {
        match fields.get(key.as_ref()) {
            None => return false,
            Some(Value::Object(below)) => fields = below,
            Some(_) => return true,
        }
    }
    false
}

impl Trail {
    fn new(since: Version) -> Self {
        Self { needs: Needs::Paths(vec![]), since, is_known: false, base: None, events: vec![] }
    }

    /// What stood there where the walk ended, and its place.
    fn beginning(&self, key: &Key) -> (Option<State>, Option<Place>) {
        match self.base.clone() {
            Some((state, place)) => (Some(state), place),
            None if self.events.last().is_some_and(|touch| touch.event.is_creation()) => (None, None),
            None => (State::unknown(key), None),
        }
    }

    /// What each of the named commits made of it.
    fn replay(
        self,
        key: &Key,
        is_named: impl Fn(Version) -> bool,
        into: &mut Vec<(Version, usize, Transition)>,
    ) {
        let (mut now, mut place) = self.beginning(key);
        let oldest_first: Vec<Touch> = self.events.into_iter().rev().collect();
        for of_commit in oldest_first.chunk_by(|one, next| one.version == next.version) {
            let (before, before_place) = (now.clone(), place);
            for touch in of_commit {
                now = State::after(now, &touch.event);
                place = touch.place.or(place).filter(|_| now.is_some());
            }
            let Some(first) = of_commit.first().filter(|touch| is_named(touch.version)) else { continue };
            let is_exchange =
                before.is_some() && now.is_some() && of_commit.iter().any(|touch| touch.event.is_deletion());
            let place = before_place.filter(|_| now.is_none() || is_exchange);
            let change = Transition { key: key.clone(), before, after: now.clone(), place, is_exchange };
            into.push((first.version, first.index, change));
        }
    }

    /// What it was at last, while it was there.
    fn last_alive(&self, key: &Key) -> Option<State> {
        let (mut now, _) = self.beginning(key);
        let mut last = now.clone();
        for touch in self.events.iter().rev() {
            now = State::after(now, &touch.event);
            if now.is_some() {
                last.clone_from(&now);
            }
        }
        last
    }
}

/// The entity in a graph, and its place.
fn standing(graph: &Graph, key: &Key) -> Option<(State, Option<Place>)> {
    match key {
        Key::Node(id) => graph
            .nodes()
            .get(id)
            .map(|node| (State::Node(node.entity.clone()), Some((node.ordinal, node.created_at)))),
        Key::Edge(id) => graph
            .edges()
            .get(id)
            .map(|edge| (State::Edge(edge.entity.clone()), Some((edge.ordinal, edge.created_at)))),
        Key::Viewport => Some((State::Viewport(graph.viewport().clone()), None)),
        Key::Graph => Some((State::Attributes(graph.metadata().attributes.clone()), None)),
    }
}
