//! The rules D as the model sees them: what an operation must come to on a prefix of the log, found
//! by scanning every commit since the client's version.

mod fields;

use fields::{at, fields_of, is_so, overlap, paths, written};
use serde_json::{Value, json};

use crate::{
    decide::{batch_changes, batch_nodes, check_batch_update, decide},
    model::{Asked, Bounds, Graph, History, Problem, Refused, Verdict, id_of},
};

/// One commit as the model keeps it: its events in the words of the wire.
#[derive(Clone, Debug)]
pub struct Past {
    pub version: u64,
    pub user: String,
    pub client: String,
    /// Whether its author named the client (rule D1).
    pub is_named: bool,
    pub operation: String,
    pub events: Vec<Value>,
}

/// What an event or a command is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    Node(String),
    Edge(String),
    Viewport,
}

impl Subject {
    fn kind(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Edge(_) => "edge",
            Self::Viewport => "viewport",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Node(id) | Self::Edge(id) => id,
            Self::Viewport => "viewport",
        }
    }
}

pub fn about(event: &Value) -> Subject {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind = event["type"].as_str().unwrap();
    if kind.starts_with("Node") {
        Subject::Node(text(&event["nodeId"]).or_else(|| text(&event["node"]["id"])).unwrap())
    } else if kind.starts_with("Edge") {
        Subject::Edge(text(&event["edgeId"]).or_else(|| text(&event["edge"]["id"])).unwrap())
    } else {
        Subject::Viewport
    }
}

pub fn is_deletion(event: &Value) -> bool {
    event["type"].as_str().unwrap().ends_with("Deleted")
}

/// An operation being judged on the first commits of a history.
pub struct Judge<'a> {
    pub history: &'a History,
    /// How many of them there are: the version it is judged on.
    pub version: u64,
    pub bounds: &'a Bounds,
    pub user: &'a str,
    pub client: &'a str,
    pub is_named: bool,
    pub operation: &'a str,
}

impl Judge<'_> {
    /// What `members` must come to: one command, or an atomic batch.
    pub fn verdict(&self, members: &[Asked], is_batch: bool) -> Verdict {
        if let Some(index) = members.iter().position(|member| !self.is_of_this_history(member)) {
            let refused = Refused::conflict("HISTORY_REPLACED", vec![]);
            return Verdict::Refused { refused, index: is_batch.then_some(index) };
        }
        let mut graph = self.history.graphs[self.version as usize].clone();
        let (mut events, mut outcome) = (Vec::new(), "applied");
        for (index, member) in members.iter().enumerate() {
            match self.one(&graph, member) {
                Err(refused) => {
                    return Verdict::Refused { refused, index: is_batch.then_some(index) };
                }
                Ok((own, own_outcome)) => {
                    own.iter().for_each(|event| graph.fold(event));
                    events.extend(own);
                    outcome = if own_outcome == "merged" { own_outcome } else { outcome };
                }
            }
        }
        if events.is_empty() { Verdict::Unchanged } else { Verdict::Committed { events, outcome } }
    }

    /// Rule D8: the version that its author had seen has the hash that its author knows.
    fn is_of_this_history(&self, asked: &Asked) -> bool {
        let (Some(version), Some(hash)) = (asked.client_version, &asked.client_hash) else { return true };
        version <= self.version && self.history.hashes[version as usize] == *hash
    }

    fn one(&self, graph: &Graph, asked: &Asked) -> Result<(Vec<Value>, &'static str), Refused> {
        if asked.client_version.is_some_and(|version| version > self.version) {
            return Err(Refused::conflict("VERSION_AHEAD", vec![]));
        }
        let decided =
            || decide(graph, asked, self.bounds).map_err(|problem| self.explain(graph, asked, problem));
        let id = |field: &str| asked.payload[field].as_str().unwrap().to_owned();
        let target = match asked.kind {
            "CREATE_NODE" | "CREATE_EDGE" => return Ok((decided()?, "applied")),
            "BATCH_UPDATE" => return self.batch_update(graph, asked),
            "SET_VIEWPORT" => Subject::Viewport,
            "UPDATE_EDGE" | "DELETE_EDGE" => Subject::Edge(id("edgeId")),
            _ => Subject::Node(id("nodeId")),
        };
        let writes = self.writes(asked, &target);
        let is_there = graph.exists(&target);
        if let Some(past) = self.deletion(is_there, &writes) {
            return Err(self.deleted(&target, past));
        }
        if !is_there {
            return Ok((decided()?, "applied"));
        }
        let mut outcome = if writes.iter().all(|(past, _)| self.is_own(past)) { "applied" } else { "merged" };
        let mut conflicts = self.about_target(graph, asked, &target, &writes);
        if asked.kind == "DELETE_NODE" {
            let destroyed = self.destroyed(graph, asked, target.id());
            match asked.on_conflict {
                "overwrite" if !destroyed.is_empty() => outcome = "merged",
                "overwrite" => {}
                _ => conflicts.extend(destroyed),
            }
        }
        if conflicts.is_empty() {
            Ok((decided()?, outcome))
        } else {
            Err(Refused::conflict("CONFLICT", conflicts))
        }
    }

    /// What others wrote to the target itself that stands in the way (D3, D5).
    fn about_target(
        &self,
        graph: &Graph,
        asked: &Asked,
        target: &Subject,
        writes: &[(&Past, &Value)],
    ) -> Vec<Value> {
        let fields = fields_of(asked);
        match (asked.on_conflict, asked.kind) {
            ("reject", _) => self.touched(graph, target, &fields, &Value::Null, writes),
            ("overwrite", _) | (_, "UPDATE_NODE_POSITION" | "SET_VIEWPORT") => vec![],
            (_, "DELETE_NODE" | "DELETE_EDGE") => {
                self.overlapping(graph, target, &fields, writes, |write| self.is_work(write))
            }
            _ => self.overlapping(graph, target, &fields, writes, |(past, _)| !self.is_own(past)),
        }
    }

    /// What others made or changed that goes when the node `id` goes (D3); with `reject` whatever they did to
    /// anything that goes (D5).
    fn destroyed(&self, graph: &Graph, asked: &Asked, id: &str) -> Vec<Value> {
        let inside = |node: &Value| node["id"] != *id && graph.is_inside(node, id, graph.nodes.len());
        let mut going: Vec<Subject> = vec![];
        going.extend(
            graph.nodes.iter().filter(|(_, node)| inside(node)).map(|(id, _)| Subject::Node(id.clone())),
        );
        let is_reject = asked.on_conflict == "reject";
        if is_reject {
            let goes =
                |end: &Value| end == id || going.contains(&Subject::Node(end.as_str().unwrap().to_owned()));
            let edges = graph.edges.iter().filter(|(_, edge)| goes(&edge["source"]) || goes(&edge["target"]));
            let edges: Vec<Subject> = edges.map(|(id, _)| Subject::Edge(id.clone())).collect();
            going.extend(edges);
        }
        let whole = [(String::new(), Value::Null)];
        let told = going.iter().map(|subject| {
            let writes = self.writes(asked, subject);
            if is_reject {
                return self.touched(graph, subject, &whole, &Value::Null, &writes);
            }
            self.overlapping(graph, subject, &whole, &writes, |write| self.is_work(write))
        });
        told.flatten().collect()
    }

    /// Whether others did more than to move it.
    fn is_work(&self, (past, event): &(&Past, &Value)) -> bool {
        !self.is_own(past) && paths(event) != ["/position"]
    }

    /// The deletion that counts (D4): of what is not there by anybody, of what is there again by others.
    fn deletion<'p>(&self, is_there: bool, writes: &[(&'p Past, &Value)]) -> Option<&'p Past> {
        let mut deletions =
            writes.iter().rev().filter(|(_, event)| is_deletion(event)).map(|(past, _)| *past);
        deletions.find(|past| !is_there || !self.is_own(past))
    }

    /// Its targets are all it names and the edges it removes (D4, D5); what it writes are its events (D3).
    fn batch_update(&self, graph: &Graph, asked: &Asked) -> Result<(Vec<Value>, &'static str), Refused> {
        let events = batch_changes(graph, &asked.payload);
        let targets = targets_of(&asked.payload, &events);
        for (target, _) in &targets {
            let writes = self.writes(asked, target);
            if let Some(past) = self.deletion(graph.exists(target), &writes) {
                return Err(self.deleted(target, past));
            }
        }
        let (mut outcome, mut conflicts) = ("applied", Vec::new());
        for (target, named) in &targets {
            let writes = self.writes(asked, target);
            if writes.iter().all(|(past, _)| self.is_own(past)) {
                continue;
            }
            outcome = "merged";
            let own = events.iter().find(|event| about(event) == *target);
            // A position is one field (D2), though an event may write one coordinate of it.
            let asked_at = |event, path: &str| match target {
                Subject::Node(_) if path == "/position" => named["position"].clone(),
                _ => written(event, path),
            };
            let fields: Vec<(String, Value)> = own.map_or(vec![], |event| {
                paths(event).into_iter().map(|path| (path.clone(), asked_at(event, &path))).collect()
            });
            conflicts.extend(match asked.on_conflict {
                "overwrite" => vec![],
                "reject" => self.touched(graph, target, &fields, named, &writes),
                _ => self.overlapping(graph, target, &fields, &writes, |(past, _)| !self.is_own(past)),
            });
        }
        if !conflicts.is_empty() {
            return Err(Refused::conflict("CONFLICT", conflicts));
        }
        check_batch_update(graph, &asked.payload, self.bounds)
            .map_err(|problem| self.explain(graph, asked, problem))?;
        Ok((events, outcome))
    }

    /// Every event about `subject` in the commits after the client's version.
    fn writes(&self, asked: &Asked, subject: &Subject) -> Vec<(&Past, &Value)> {
        let Some(since) = asked.client_version else { return vec![] };
        let commits = &self.history.commits[..self.version as usize];
        let since = commits.iter().filter(|past| past.version > since);
        since
            .flat_map(|past| past.events.iter().map(move |event| (past, event)))
            .filter(|(_, event)| about(event) == *subject)
            .collect()
    }

    fn is_own(&self, past: &Past) -> bool {
        self.is_named && past.is_named && past.user == self.user && past.client == self.client
    }

    /// An entry for each field that somebody whose write `counts` wrote too (D3), with the latest commit
    /// that wrote it, whoever made it (D7).
    fn overlapping(
        &self,
        graph: &Graph,
        subject: &Subject,
        fields: &[(String, Value)],
        writes: &[(&Past, &Value)],
        counts: impl Fn(&(&Past, &Value)) -> bool,
    ) -> Vec<Value> {
        let standing = graph.current(subject);
        // What was written before it was last deleted is gone with it.
        let gone = writes.iter().rposition(|(_, event)| is_deletion(event)).map_or(0, |last| last + 1);
        let mut conflicts = Vec::new();
        for (path, yours) in fields {
            let mut overlapping = writes[gone..].to_vec();
            overlapping.retain(|(_, event)| paths(event).iter().any(|p| overlap(p, path)));
            if overlapping.iter().any(&counts) && !is_so(&standing, path, yours) {
                let (past, _) = overlapping[overlapping.len() - 1];
                conflicts.push(entry(subject, path, past, Some((yours, &at(&standing, path)))));
            }
        }
        conflicts
    }

    /// An entry for each field that others wrote (D5); what is not asked for by a path of its own is as
    /// the entity is `named`.
    fn touched(
        &self,
        graph: &Graph,
        subject: &Subject,
        fields: &[(String, Value)],
        named: &Value,
        writes: &[(&Past, &Value)],
    ) -> Vec<Value> {
        let standing = graph.current(subject);
        let mut seen: Vec<String> = Vec::new();
        let mut conflicts = Vec::new();
        for (_, event) in writes.iter().filter(|(past, _)| !self.is_own(past)).rev() {
            for path in paths(event) {
                let own = fields.iter().find(|(own, _)| overlap(own, &path));
                let (path, yours) = own.cloned().unwrap_or_else(|| (path.clone(), at(named, &path)));
                if !seen.contains(&path) {
                    let wrote =
                        |(_, event): &&(&Past, &Value)| paths(event).iter().any(|p| overlap(p, &path));
                    let (past, _) = writes.iter().rev().find(wrote).unwrap();
                    conflicts.push(entry(subject, &path, past, Some((&yours, &at(&standing, &path)))));
                    seen.push(path);
                }
            }
        }
        conflicts
    }

    fn deleted(&self, subject: &Subject, past: &Past) -> Refused {
        Refused::conflict("TARGET_DELETED", vec![entry(subject, "", past, None)])
    }

    /// Rule D4: what was deleted since is a conflict, what never was there is a mistake.
    fn explain(&self, graph: &Graph, asked: &Asked, problem: Problem) -> Refused {
        let is_edge = problem.entity.get("source").is_some();
        let subject =
            |id: &str| if is_edge { Subject::Edge(id.to_owned()) } else { Subject::Node(id.to_owned()) };
        match problem.code {
            "ID_TAKEN" => {
                let subject = subject(id_of(&problem.entity));
                let commits = &self.history.commits[..self.version as usize];
                let writers = commits.iter().rev().filter(|p| p.events.iter().any(|e| about(e) == subject));
                let is_pending = !self.history.graphs[self.version as usize].exists(&subject);
                let taken = match writers.into_iter().next().filter(|_| !is_pending) {
                    Some(past) => {
                        vec![entry(&subject, "", past, Some((&problem.entity, &graph.current(&subject))))]
                    }
                    None => {
                        vec![json!({"id": subject.id(), "operationId": self.operation, "userId": self.user})]
                    }
                };
                Refused::conflict("ID_TAKEN", taken)
            }
            code @ ("DANGLING_EDGE" | "PARENT_NOT_FOUND") => {
                let missing = problem.entity[problem.field].as_str().unwrap();
                let writes = self.writes(asked, &Subject::Node(missing.to_owned()));
                match writes.iter().rev().find(|(_, event)| is_deletion(event)) {
                    Some((past, _)) => {
                        let path = format!("/{}", problem.field);
                        Refused::conflict(
                            code,
                            vec![entry(&subject(id_of(&problem.entity)), &path, past, None)],
                        )
                    }
                    None => Refused::plain(code),
                }
            }
            code => Refused::plain(code),
        }
    }
}

fn entry(subject: &Subject, path: &str, past: &Past, values: Option<(&Value, &Value)>) -> Value {
    let mut entry = json!({"entity": subject.kind(), "id": subject.id(), "path": path, "version": past.version,
        "userId": past.user, "operationId": past.operation});
    if let Some((yours, current)) = values {
        (entry["yours"], entry["current"]) = (yours.clone(), current.clone());
    }
    entry
}

/// All that a `BATCH_UPDATE` names, as it is to be, and the edges that it removes, which are to be null.
fn targets_of(payload: &Value, events: &[Value]) -> Vec<(Subject, Value)> {
    let mut targets = Vec::new();
    for node in batch_nodes(payload) {
        targets.push((Subject::Node(id_of(&node).to_owned()), node));
    }
    for edge in payload["edges"].as_array().into_iter().flatten() {
        targets.push((Subject::Edge(id_of(edge).to_owned()), edge.clone()));
    }
    if let Some(viewport) = payload.get("viewport") {
        targets.push((Subject::Viewport, viewport.clone()));
    }
    targets.extend(events.iter().filter(|event| is_deletion(event)).map(|event| (about(event), Value::Null)));
    targets
}
