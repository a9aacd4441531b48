//! `SAVE_DOCUMENT` as clients send it (rules DS1, DS5 to DS8, DS14): as a command, and as the body of
//! `PUT /graphs/{graphId}/document`.

use std::collections::{BTreeSet, HashMap, HashSet};

use dao_projections::{ClientId, Node, NodeId, OperationId, Pointer, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::{
    BaseVersion, CommandParser, ParsedCommand, Policy, admit,
    batch::{BatchDefaults, alone},
};
use crate::{
    domain::{
        Absent, Base, Command, Document as Saved, ExpectedHead, Ignored, Operation, Reading, Save,
        WithoutBase,
    },
    http::{
        base_token::BaseToken,
        decode::Document,
        fingerprint::FingerprintHasher,
        json_path::Path,
        json_shape::{Fields, Malformed},
    },
};

/// Paths that a save ignores beside those that are always ignored: each is looked for in each entity.
const IGNORED_MAX: usize = 100;
/// The fields of a payload that are no part of the document.
const OPTIONS: [&str; 6] = ["base", "mode", "absent", "ignore", "deletes", "viewportMode"];

/// A save as `PUT` says it: what stands beside the document.
pub(in crate::http) struct SaveRequest {
    /// Options, under the names that they have in the payload of the command.
    pub(in crate::http) options: Vec<(&'static str, Value)>,
    pub(in crate::http) only_at: Option<ExpectedHead>,
    pub(in crate::http) id: Option<OperationId>,
    pub(in crate::http) client: Option<ClientId>,
    pub(in crate::http) on_conflict: Option<Policy>,
}

/// The body of `PUT /graphs/{graphId}/document`, read as the command that it is: a repeat may use either.
pub(in crate::http) fn read_save(
    mut document: Document,
    user: &UserId,
    request: SaveRequest,
) -> Result<Operation, Malformed> {
    let parser = CommandParser { repeated: &document.repeated };
    if let Value::Object(fields) = &mut document.value {
        if let Some(option) = OPTIONS.iter().find(|option| fields.contains_key(**option)) {
            return Err(Malformed::at(option, "is not a field of a document: send it in the query"));
        }
        fields.extend(request.options.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    let mut fingerprint = FingerprintHasher::of(user);
    let (mut command, base) = parser.save_document(document.value, &Path::Root, &mut fingerprint)?;
    if let Command::SaveDocument { save } = &mut command {
        save.only_at = request.only_at;
    }
    let id = request.id.unwrap_or_else(|| Uuid::now_v7().into());
    let parsed = ParsedCommand {
        id: Some(id),
        client: request.client,
        at: BaseVersion::default(),
        base,
        on_conflict: request.on_conflict,
        command,
    };
    let operation = alone(id, parsed, &BatchDefaults::default(), user, fingerprint)?;
    admit([&operation], document.size)?;
    Ok(operation)
}

impl CommandParser<'_> {
    /// The payload of a `SAVE_DOCUMENT`: the command, and the version that its base names. The base is left out of the
    /// fingerprint, as `clientVersion` is: it says where the save begins, not what is saved.
    pub(super) fn save_document(
        &self,
        mut payload: Value,
        path: &Path<'_>,
        fingerprint: &mut FingerprintHasher,
    ) -> Result<(Command, BaseVersion), Malformed> {
        let base = payload.as_object_mut().and_then(|fields| fields.shift_remove("base"));
        fingerprint.add("SAVE_DOCUMENT", &payload);
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let base = match base {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => {
                Some(text.parse::<BaseToken>().map_err(|e| fields.wrong("base", e.to_string()))?)
            }
            Some(_) => return Err(fields.wrong("base", "must be a string")),
        };
        let mode = match fields.text("mode")?.as_deref() {
            None => None,
            Some("merge") => Some(WithoutBase::Merge),
            Some("replace") => Some(WithoutBase::Replace),
            Some(_) => return Err(fields.wrong("mode", "must be merge or replace")),
        };
        let absent = match fields.text("absent")?.as_deref() {
            None | Some("delete") => Absent::Delete,
            Some("keep") => Absent::Keep,
            Some(_) => return Err(fields.wrong("absent", "must be delete or keep")),
        };
        // It deletes nothing.
        let absent = if mode == Some(WithoutBase::Merge) { Absent::Keep } else { absent };
        let saves_viewport = match fields.text("viewportMode")?.as_deref() {
            None | Some("ignore") => false,
            Some("save") => true,
            Some(_) => return Err(fields.wrong("viewportMode", "must be save or ignore")),
        };
        let ignore = match fields.list("ignore")? {
            Some(paths) => ignored(paths, &Path::Key(path, "ignore"))?,
            None => vec![],
        };
        let deletes = match fields.optional("deletes") {
            Some(value) => match value.as_i64().and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Some(count),
                None => return Err(fields.wrong("deletes", "must be a number of nodes")),
            },
            None => None,
        };
        let reading = Reading { absent, ignore, saves_viewport };
        let (document, ignored) = self.document(&mut fields, path, &reading)?;
        fields.finish()?;
        let at = base.as_ref().map_or_else(BaseVersion::default, |base| BaseVersion {
            version: Some(base.version),
            hash: base.hash.map(Some),
        });
        let base = match (base, mode) {
            (Some(base), None) => Base::Known { own: base.own },
            // A mode beside a base is refused where both are seen.
            (_, mode) => Base::Unknown(mode.unwrap_or(WithoutBase::Create)),
        };
        let save = Save { document, reading, base, keeps: false, deletes, ignored, only_at: None };
        Ok((Command::SaveDocument { save: Box::new(save) }, at))
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

fn ignored(paths: Vec<Value>, at: &Path<'_>) -> Result<Vec<Pointer>, Malformed> {
    if paths.len() > IGNORED_MAX {
        return Err(Malformed::at(at, format!("must hold at most {IGNORED_MAX} paths")));
    }
    let read = |(index, path): (usize, Value)| {
        let pointer = path.as_str().and_then(pointer_of);
        pointer.ok_or_else(|| {
            Malformed::at(Path::Index(at, index), "must be a JSON Pointer, such as /data/hover")
        })
    };
    paths.into_iter().enumerate().map(read).collect()
}

/// A path below an entity.
fn pointer_of(text: &str) -> Option<Pointer> {
    let keys = text.strip_prefix('/')?.split('/');
    Some(keys.fold(Pointer::root(), |above, key| above.child(&key.replace("~1", "/").replace("~0", "~"))))
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
