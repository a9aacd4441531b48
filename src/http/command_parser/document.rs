//! `SAVE_DOCUMENT` as clients send it (rules DS1, DS5 to DS8, DS14): as a command, and as the body of
//! `PUT /graphs/{graphId}/document`.

use std::collections::{BTreeSet, HashMap, HashSet};

use dao_projections::{ClientId, Node, NodeId, OperationId, Pointer, UserId, Version};
use serde_json::Value;
use uuid::Uuid;

use super::{BaseVersion, BatchDefaults, CommandParser, ParsedCommand, Policy, admit, alone};
use crate::{
    domain::{Absent, Base, Command, Document as Saved, Ignored, Operation, Reading, Save, WithoutBase},
    http::{
        base_token::BaseToken,
        decode::{Document, Path},
        fingerprint::FingerprintHasher,
        json_shape::{Fields, Malformed},
    },
};

/// Paths that a save ignores beside those that are always ignored.
const IGNORED_MAX: usize = 100;

/// The options of a save beside its document.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct SaveOptions {
    pub(in crate::http) base: Option<BaseToken>,
    pub(in crate::http) without_base: Option<WithoutBase>,
    pub(in crate::http) reading: Reading,
    pub(in crate::http) deletes: Option<usize>,
    /// The version that must be the graph's latest (`If-Match`).
    pub(in crate::http) only_at: Option<Version>,
}

/// Who saves, and how conflicts are treated.
pub(in crate::http) struct SaveContext {
    pub(in crate::http) id: Option<OperationId>,
    pub(in crate::http) client: Option<ClientId>,
    pub(in crate::http) on_conflict: Option<Policy>,
}

/// The body of `PUT /graphs/{graphId}/document`.
pub(in crate::http) fn read_save(
    document: Document,
    user: &UserId,
    options: SaveOptions,
    context: SaveContext,
) -> Result<Operation, Malformed> {
    let parser = CommandParser { repeated: &document.repeated };
    let mut fingerprint = FingerprintHasher::of(user);
    fingerprint.add("SAVE_DOCUMENT", &document.value);
    let mut fields = Fields::of(document.value, &Path::Root, &document.repeated)?;
    let saved = parser.document(&mut fields, &Path::Root, &options.reading)?;
    fields.finish()?;
    let SaveContext { id, client, on_conflict } = context;
    let (command, at) = save_command(saved, options);
    let id = id.unwrap_or_else(|| Uuid::now_v7().into());
    let parsed = ParsedCommand { id: Some(id), client, at, on_conflict, command };
    let operation = alone(id, parsed, &BatchDefaults::default(), user, fingerprint)?;
    admit([&operation], document.size)?;
    Ok(operation)
}

impl CommandParser<'_> {
    /// The payload of a `SAVE_DOCUMENT`: the command, and the version that its base names.
    pub(super) fn save_document(
        &self,
        payload: Value,
        path: &Path<'_>,
    ) -> Result<(Command, BaseVersion), Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let base = match fields.text("base")? {
            Some(text) => Some(text.parse::<BaseToken>().map_err(|e| fields.wrong("base", e.to_string()))?),
            None => None,
        };
        let mode = fields.text("mode")?;
        let without_base =
            mode.map(|mode| mode_of(&mode).ok_or_else(|| fields.wrong("mode", MODES))).transpose()?;
        let absent = fields.text("absent")?;
        let absent =
            absent.map(|text| absent_of(&text).ok_or_else(|| fields.wrong("absent", ABSENT))).transpose()?;
        let saves_viewport = match fields.text("viewportMode")?.as_deref() {
            None | Some("ignore") => false,
            Some("save") => true,
            Some(_) => return Err(fields.wrong("viewportMode", "must be save or ignore")),
        };
        let ignore = match fields.list("ignore")? {
            Some(paths) => self.ignored(paths, &Path::Key(path, "ignore"))?,
            None => vec![],
        };
        let deletes = match fields.optional("deletes") {
            Some(value) => match value.as_i64().and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Some(count),
                None => return Err(fields.wrong("deletes", "must be a number of nodes")),
            },
            None => None,
        };
        let reading = Reading { absent: absent.unwrap_or_default(), ignore, saves_viewport };
        let saved = self.document(&mut fields, path, &reading)?;
        fields.finish()?;
        Ok(save_command(saved, SaveOptions { base, without_base, reading, deletes, only_at: None }))
    }

    fn ignored(&self, paths: Vec<Value>, at: &Path<'_>) -> Result<Vec<Pointer>, Malformed> {
        if paths.len() > IGNORED_MAX {
            return Err(Malformed::at(at, format!("must hold at most {IGNORED_MAX} paths")));
        }
        let read = |(index, path): (usize, Value)| {
            let pointer = path.as_str().and_then(pointer_of);
            pointer.ok_or_else(|| Malformed::at(Path::Index(at, index), POINTER))
        };
        paths.into_iter().enumerate().map(read).collect()
    }

    /// `{nodes, edges, viewport?}`: every entity has an id, once, and no node is inside of itself (rule DS14).
    /// What is ignored is taken out, and its paths are told.
    fn document(
        &self,
        fields: &mut Fields<'_>,
        path: &Path<'_>,
        reading: &Reading,
    ) -> Result<(Saved, Vec<Pointer>), Malformed> {
        let mut found = BTreeSet::new();
        let at = Path::Key(path, "nodes");
        let mut nodes = fields.list("nodes")?.ok_or_else(|| fields.wrong("nodes", "is required"))?;
        let of_nodes = Ignored::of_nodes(reading);
        nodes.iter_mut().filter_map(Value::as_object_mut).for_each(|node| of_nodes.strip(node, &mut found));
        for (index, node) in nodes.iter().enumerate() {
            refuse_missing(node, &Path::Index(&at, index))?;
        }
        let nodes = self.nodes(Value::Array(nodes), &at)?;
        refuse_cycle(&nodes, &at)?;
        let at = Path::Key(path, "edges");
        let mut edges = fields.list("edges")?.ok_or_else(|| fields.wrong("edges", "is required"))?;
        let of_edges = Ignored::of_edges(reading);
        edges.iter_mut().filter_map(Value::as_object_mut).for_each(|edge| of_edges.strip(edge, &mut found));
        for (index, edge) in edges.iter().enumerate() {
            refuse_missing(edge, &Path::Index(&at, index))?;
        }
        let edges = self.edges(edges, &at)?;
        let viewport = match fields.optional("viewport") {
            Some(viewport) => Some(self.viewport(viewport, &Path::Key(path, "viewport"))?),
            None => None,
        };
        Ok((Saved { nodes, edges, viewport }, found.into_iter().collect()))
    }
}

pub(in crate::http) const MODES: &str = "must be merge or replace";
pub(in crate::http) const ABSENT: &str = "must be delete or keep";
pub(in crate::http) const POINTER: &str = "must be a JSON Pointer, such as /data/hover";

pub(in crate::http) fn mode_of(text: &str) -> Option<WithoutBase> {
    match text {
        "merge" => Some(WithoutBase::Merge),
        "replace" => Some(WithoutBase::Replace),
        _ => None,
    }
}

pub(in crate::http) fn absent_of(text: &str) -> Option<Absent> {
    match text {
        "delete" => Some(Absent::Delete),
        "keep" => Some(Absent::Keep),
        _ => None,
    }
}

/// A path below an entity.
pub(in crate::http) fn pointer_of(text: &str) -> Option<Pointer> {
    let keys = text.strip_prefix('/')?.split('/');
    Some(keys.fold(Pointer::root(), |above, key| above.child(&key.replace("~1", "/").replace("~0", "~"))))
}

fn save_command((document, ignored): (Saved, Vec<Pointer>), options: SaveOptions) -> (Command, BaseVersion) {
    let SaveOptions { base, without_base, mut reading, deletes, only_at } = options;
    let at = base.as_ref().map_or_else(BaseVersion::default, |base| BaseVersion {
        version: Some(base.version),
        hash: base.hash.map(Some),
    });
    if without_base == Some(WithoutBase::Merge) {
        reading.absent = Absent::Keep;
    }
    let base = match (base, without_base) {
        (Some(base), None) => Base::Known { own: base.own },
        // A mode beside a base is refused where both are seen.
        (_, mode) => Base::Unknown(mode.unwrap_or(WithoutBase::Create)),
    };
    let save = Save { document, reading, base, keeps: false, deletes, ignored, only_at };
    (Command::SaveDocument { save: Box::new(save) }, at)
}

/// In a document an entity without an id would be another one with each save.
fn refuse_missing(entity: &Value, at: &Path<'_>) -> Result<(), Malformed> {
    let is_missing = |fields: &dao_projections::Map| fields.get("id").is_none_or(Value::is_null);
    match entity.as_object().is_some_and(is_missing) {
        true => Err(Malformed::at(Path::Key(at, "id"), "is required in a document")),
        false => Ok(()),
    }
}

/// Refuses a node that is inside of itself by way of nodes of the document.
fn refuse_cycle(nodes: &[Node], at: &Path<'_>) -> Result<(), Malformed> {
    let by_id: HashMap<&NodeId, &Node> = nodes.iter().map(|node| (node.id(), node)).collect();
    let mut done: HashSet<&NodeId> = HashSet::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut way: Vec<(&Node, Vec<NodeId>)> = vec![(node, parents_of(node))];
        let mut open: HashSet<&NodeId> = HashSet::from([node.id()]);
        while let Some((last, parents)) = way.last_mut() {
            let Some(parent) = parents.pop() else {
                open.remove(last.id());
                done.insert(last.id());
                way.pop();
                continue;
            };
            if open.contains(&parent) {
                let problem = format!("node {} is inside of itself", parent.as_str());
                let place = Path::Index(at, index);
                return Err(Malformed::at(Path::Key(&place, "parentId"), problem));
            }
            if let Some(parent) = by_id.get(&parent).filter(|parent| !done.contains(parent.id())) {
                open.insert(parent.id());
                way.push((parent, parents_of(parent)));
            }
        }
    }
    Ok(())
}

fn parents_of(node: &Node) -> Vec<NodeId> {
    node.parents().map(|(_, parent)| parent).collect()
}
