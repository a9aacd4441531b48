//! Commands as clients send them: from a decoded body to operations that the write path takes.

use dao_projections::{
    ClientId, Edge, EdgeId, Hash, Map, MergePatch, Node, NodeId, OperationId, Position, TraceParent, UserId,
    Version, Viewport,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    decode::{Document, Path, Repeated, Size},
    fingerprint::Printing,
    shape::{Fields, Malformed, refuse_repeated},
    undo,
};
use crate::domain::{Action, Claim, Command, Member, OnConflict, Operation, memory::object_memory};

/// What the server writes on entities; on input it is ignored (rule G2).
const SERVER_FIELDS: [&str; 3] = ["createdAt", "updatedAt", "version"];
/// What a client whose command is none of them is told.
const COMMAND_TYPES: [&str; 10] = [
    "CREATE_NODE",
    "UPDATE_NODE",
    "UPDATE_NODE_POSITION",
    "DELETE_NODE",
    "CREATE_EDGE",
    "UPDATE_EDGE",
    "DELETE_EDGE",
    "SET_VIEWPORT",
    "BATCH_UPDATE",
    "UNDO",
];

/// A batch, checked as a whole.
pub(super) struct Batch {
    pub(super) id: OperationId,
    pub(super) is_atomic: bool,
    /// One, if the batch is atomic.
    pub(super) operations: Vec<Operation>,
}

impl Batch {
    /// All of it was asked for there in a trace.
    pub(super) fn caused_by(mut self, traceparent: Option<TraceParent>) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.traceparent = traceparent);
        self
    }
}

/// The body of `POST …/command`.
pub(super) fn read_command(document: Document, user: &UserId) -> Result<Operation, Malformed> {
    let reader = Reader { repeated: &document.repeated };
    let mut printing = Printing::of(user);
    let sent = reader.sent(document.value, &Path::Root, &mut printing)?;
    let id = sent.id.unwrap_or_else(|| Uuid::now_v7().into());
    let operation = alone(id, sent, &Common::default(), user, printing);
    admit([&operation], document.size)?;
    Ok(operation)
}

/// What is left of a `COMMAND` frame: `{operationId, clientVersion?, clientHash?, clientId?, onConflict?,
/// command: {type, payload}}`.
pub(super) fn read_command_fields(
    mut fields: Fields<'_>,
    repeated: &Repeated,
    user: &UserId,
    client: &Sending,
) -> Result<Operation, Malformed> {
    let id = fields.operation_id("operationId")?.ok_or_else(|| fields.wrong("operationId", "is required"))?;
    let common = common(&mut fields, client)?;
    let command = fields.required("command")?;
    fields.finish()?;
    let path = Path::Key(&Path::Root, "command");
    let mut printing = Printing::of(user);
    let sent = Reader { repeated }.sent(command, &path, &mut printing)?;
    let own = [
        ("operationId", sent.id.is_some()),
        ("clientId", sent.client.is_some()),
        ("clientVersion", sent.at.version.is_some()),
        ("clientHash", sent.at.hash.is_some()),
        ("onConflict", sent.on_conflict.is_some()),
    ];
    if let Some((field, _)) = own.iter().find(|(_, is_given)| *is_given) {
        return Err(Malformed::at(Path::Key(&path, field), "stands beside the command, not in it"));
    }
    Ok(alone(id, sent, &common, user, printing))
}

/// The body of `POST …/batch`, of at most so many operations.
pub(super) fn read_batch(
    document: Document,
    user: &UserId,
    operations_max: usize,
) -> Result<Batch, Malformed> {
    let root = Path::Root;
    let fields = Fields::of(document.value, &root, &document.repeated)?;
    let batch = read_batch_fields(fields, &document.repeated, user, &Sending::default(), operations_max)?;
    admit(&batch.operations, document.size)?;
    Ok(batch)
}

/// Refuses what is short for what is made of it (rule O3): a body of this size.
pub(super) fn admit<'o>(
    operations: impl IntoIterator<Item = &'o Operation>,
    size: Size,
) -> Result<(), Malformed> {
    let (mut entities, mut attributes) = (0, 0);
    for member in operations.into_iter().flat_map(|operation| operation.action.members()) {
        let Command::BatchUpdate { nodes, edges, .. } = &member.command else { continue };
        entities += nodes.len() + edges.as_ref().map_or(0, Vec::len);
        attributes += nodes.iter().map(|node| object_memory(node.attributes())).sum::<usize>();
        attributes += edges.iter().flatten().map(|edge| object_memory(edge.attributes())).sum::<usize>();
    }
    size.admit(entities, attributes)
}

/// A batch, of a body or of a frame whose other fields are taken out.
pub(super) fn read_batch_fields(
    mut fields: Fields<'_>,
    repeated: &Repeated,
    user: &UserId,
    client: &Sending,
    operations_max: usize,
) -> Result<Batch, Malformed> {
    let is_atomic = fields.boolean("atomic")?.unwrap_or(false);
    let id = fields.operation_id("batchId")?.unwrap_or_else(|| Uuid::now_v7().into());
    let common = common(&mut fields, client)?;
    let members = members(&mut fields, operations_max)?;
    fields.finish()?;
    let list = Path::Key(&Path::Root, "operations");
    let reader = Reader { repeated };
    let read = |(index, member): (usize, Value), printing: &mut Printing| {
        let path = Path::Index(&list, index);
        let sent = reader.sent(member, &path, printing);
        let sent = sent.and_then(|sent| refuse_own_identity(sent, is_atomic, &path));
        let sent = sent.and_then(|sent| undo::refuse_in_batch(&sent.command, &path).map(|()| sent));
        sent.map_err(|malformed| Malformed { index: Some(index), ..malformed })
    };
    let members = members.into_iter().enumerate();
    let operations = if is_atomic {
        let mut printing = Printing::of_batch(user);
        let sent = members.map(|member| read(member, &mut printing)).collect::<Result<Vec<_>, _>>()?;
        vec![atomic(id, sent, &common, user, printing)]
    } else {
        let alone = |(index, member)| {
            let mut printing = Printing::of(user);
            let sent = read((index, member), &mut printing)?;
            Ok(alone(id.member(index), sent, &common, user, printing))
        };
        members.map(alone).collect::<Result<_, Malformed>>()?
    };
    Ok(Batch { id, is_atomic, operations })
}

fn members(fields: &mut Fields<'_>, max: usize) -> Result<Vec<Value>, Malformed> {
    let members = fields.list("operations")?.ok_or_else(|| fields.wrong("operations", "is required"))?;
    if members.is_empty() {
        return Err(fields.wrong("operations", "must hold at least one operation"));
    }
    if members.len() > max {
        let problem = format!("holds more than {max} operations (MAX_BATCH_OPERATIONS)");
        return Err(Malformed::too_many("operations", problem));
    }
    Ok(members)
}

fn common(fields: &mut Fields<'_>, sending: &Sending) -> Result<Common, Malformed> {
    let named = fields.client_id()?;
    Ok(Common {
        sending: named.map_or_else(|| sending.clone(), Sending::Named),
        at: SeenAt::read(fields)?,
        on_conflict: on_conflict(fields)?,
    })
}

/// What is said for all members of a batch.
#[derive(Default)]
struct Common {
    sending: Sending,
    at: SeenAt,
    on_conflict: Option<OnConflict>,
}

/// Which client sends, where a command does not name it.
#[derive(Clone, Debug, Default)]
pub(super) enum Sending {
    /// None that can be told from the user's others: a request over HTTP.
    #[default]
    Unnamed,
    /// This connection, which named no client (rule D1).
    Connection(ClientId),
    /// The client that was named.
    Named(ClientId),
}

impl Sending {
    /// The client that is stored, and whether it was named.
    fn client_of(&self, user: &UserId) -> (ClientId, bool) {
        match self {
            Self::Unnamed => (ClientId::from(user), false),
            Self::Connection(client) => (client.clone(), false),
            Self::Named(client) => (client.clone(), true),
        }
    }
}

/// What a client had applied when it made a command: `clientVersion`, and `clientHash` where it says which
/// history that version is of (rule D8).
#[derive(Clone, Copy, Default)]
struct SeenAt {
    version: Option<Version>,
    /// `Some(None)`: a text that is the hash of nothing.
    hash: Option<Option<Hash>>,
}

impl SeenAt {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let version = fields.version("clientVersion")?;
        let hash = fields.text("clientHash")?.map(|text| Hash::from_hex(&text).ok());
        if hash.is_some() && version.is_none() {
            return Err(
                fields.wrong("clientHash", "needs clientVersion beside it: the version that has this hash")
            );
        }
        Ok(Self { version, hash })
    }

    fn claim(self, index: Option<usize>) -> Option<Claim> {
        Some(Claim { version: self.version?, hash: self.hash?, index })
    }
}

/// A member of an atomic batch is no operation of its own.
fn refuse_own_identity(sent: Sent, is_atomic: bool, path: &Path<'_>) -> Result<Sent, Malformed> {
    if is_atomic && sent.id.is_some() {
        let problem = "a member of an atomic batch has no operationId of its own: the batch has the batchId";
        return Err(Malformed::at(Path::Key(path, "operationId"), problem));
    }
    if is_atomic && sent.client.is_some() {
        let problem = "an atomic batch is one commit of one client: name it beside operations";
        return Err(Malformed::at(Path::Key(path, "clientId"), problem));
    }
    Ok(sent)
}

fn member(command: Command, at: SeenAt, on_conflict: Option<OnConflict>, common: &Common) -> Member {
    Member {
        command,
        client_version: at.version.or(common.at.version),
        on_conflict: on_conflict.or(common.on_conflict).unwrap_or_default(),
    }
}

fn atomic(id: OperationId, sent: Vec<Sent>, common: &Common, user: &UserId, printing: Printing) -> Operation {
    let mut claims: Vec<Claim> = common.at.claim(None).into_iter().collect();
    claims.extend(sent.iter().enumerate().filter_map(|(index, sent)| sent.at.claim(Some(index))));
    let (client, is_client_named) = common.sending.client_of(user);
    let members = sent.into_iter().map(|sent| member(sent.command, sent.at, sent.on_conflict, common));
    Operation {
        id,
        fingerprint: printing.finish(),
        user: user.clone(),
        traceparent: None,
        client,
        is_client_named,
        claims,
        action: Action::Atomic(members.collect()),
    }
}

fn alone(id: OperationId, sent: Sent, common: &Common, user: &UserId, printing: Printing) -> Operation {
    let sending = sent.client.map_or_else(|| common.sending.clone(), Sending::Named);
    let (client, is_client_named) = sending.client_of(user);
    let claims = [common.at, sent.at].into_iter().filter_map(|at| at.claim(None)).collect();
    Operation {
        id: sent.id.unwrap_or(id),
        fingerprint: printing.finish(),
        user: user.clone(),
        traceparent: None,
        client,
        is_client_named,
        claims,
        action: Action::Single(member(sent.command, sent.at, sent.on_conflict, common)),
    }
}

/// One command as it was sent.
struct Sent {
    id: Option<OperationId>,
    client: Option<ClientId>,
    at: SeenAt,
    on_conflict: Option<OnConflict>,
    command: Command,
}

/// Reads commands of a document whose repeated keys are these.
struct Reader<'a> {
    repeated: &'a Repeated,
}

impl Reader<'_> {
    /// What it says, in `printing` too.
    fn sent(&self, value: Value, path: &Path<'_>, printing: &mut Printing) -> Result<Sent, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let name = fields.text("type")?.ok_or_else(|| fields.wrong("type", "is required"))?;
        let id = fields.operation_id("operationId")?;
        let client = fields.client_id()?;
        let at = SeenAt::read(&mut fields)?;
        let on_conflict = on_conflict(&mut fields)?;
        let payload = fields.required("payload")?;
        fields.finish()?;
        printing.add(&name, &payload);
        let place = Path::Key(path, "payload");
        let command = match name.as_str() {
            "CREATE_NODE" => Command::CreateNode { node: self.node(payload, &place, None)? },
            "UPDATE_NODE" => self.update_node(payload, &place)?,
            "UPDATE_NODE_POSITION" => self.move_node(payload, &place)?,
            "DELETE_NODE" => {
                Command::DeleteNode { node_id: self.only_id(payload, &place, "nodeId", NodeId::parse)? }
            }
            "CREATE_EDGE" => Command::CreateEdge { edge: self.edge(payload, &place)? },
            "UPDATE_EDGE" => self.update_edge(payload, &place)?,
            "DELETE_EDGE" => {
                Command::DeleteEdge { edge_id: self.only_id(payload, &place, "edgeId", EdgeId::parse)? }
            }
            "SET_VIEWPORT" => Command::SetViewport { viewport: self.viewport(payload, &place)? },
            "BATCH_UPDATE" => self.batch_update(payload, &place)?,
            "UNDO" => undo::read_undo(payload, &place, self.repeated)?,
            unknown => {
                let shown: String = unknown.chars().take(40).collect();
                let problem =
                    format!("unknown command type {shown:?}: use one of {}", COMMAND_TYPES.join(", "));
                return Err(Malformed::at(Path::Key(path, "type"), problem));
            }
        };
        Ok(Sent { id, client, at, on_conflict, command })
    }

    /// A node; `key` is the id that a `BATCH_UPDATE` names it by.
    fn node(&self, value: Value, path: &Path<'_>, key: Option<&str>) -> Result<Node, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let inner = fields.id("id", NodeId::parse)?;
        let id = match (key, inner) {
            (None, inner) => inner.unwrap_or_else(|| fresh_id(NodeId::parse)),
            (Some(key), inner) => {
                let id = NodeId::parse(key).map_err(|e| Malformed::at(path, format!("its key {e}")))?;
                if inner.is_some_and(|inner| inner != id) {
                    return Err(fields.wrong("id", "differs from the key that the node stands under"));
                }
                id
            }
        };
        let position = match fields.optional("position") {
            Some(value) => self.position(&value, &Path::Key(path, "position"))?,
            None => Position::default(),
        };
        Node::new(id, position, fields.rest()).map_err(|e| Malformed::shape(path, e))
    }

    fn edge(&self, value: Value, path: &Path<'_>) -> Result<Edge, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let id = fields.id("id", EdgeId::parse)?.unwrap_or_else(|| fresh_id(EdgeId::parse));
        let source = fields.required_id("source", NodeId::parse)?;
        let target = fields.required_id("target", NodeId::parse)?;
        Edge::new(id, source, target, fields.rest()).map_err(|e| Malformed::shape(path, e))
    }

    fn position(&self, value: &Value, path: &Path<'_>) -> Result<Position, Malformed> {
        self.refuse_repeated(value, path)?;
        Position::from_json(value).map_err(|e| Malformed::shape(path, e))
    }

    fn viewport(&self, value: Value, path: &Path<'_>) -> Result<Viewport, Malformed> {
        self.refuse_repeated(&value, path)?;
        Viewport::from_json(&value).map_err(|e| Malformed::shape(path, e))
    }

    /// In what is read without its fields being taken out.
    fn refuse_repeated(&self, value: &Value, path: &Path<'_>) -> Result<(), Malformed> {
        value.as_object().map_or(Ok(()), |fields| refuse_repeated(fields, path, self.repeated))
    }

    fn update_node(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let (node_id, patch) = self.update(payload, path, "nodeId", NodeId::parse, NodeId::as_str)?;
        let updates = Path::Key(path, "updates");
        Node::check_patch(&patch).map_err(|e| Malformed::shape(&updates, e))?;
        Ok(Command::UpdateNode { node_id, patch })
    }

    fn update_edge(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let (edge_id, patch) = self.update(payload, path, "edgeId", EdgeId::parse, EdgeId::as_str)?;
        let updates = Path::Key(path, "updates");
        Edge::check_patch(&patch).map_err(|e| Malformed::shape(&updates, e))?;
        Ok(Command::UpdateEdge { edge_id, patch })
    }

    /// `{<key>, updates}`. In the updates an equal `id` and what the server writes are ignored.
    fn update<T>(
        &self,
        payload: Value,
        path: &Path<'_>,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
        text: fn(&T) -> &str,
    ) -> Result<(T, MergePatch), Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let id = fields.required_id(key, parse)?;
        let updates = fields.required("updates")?;
        fields.finish()?;
        let at = Path::Key(path, "updates");
        let updates = Fields::of(updates, &at, self.repeated)?;
        if let Some(position) = updates.peek("position").filter(|position| position.is_object()) {
            self.refuse_repeated(position, &Path::Key(&at, "position"))?;
        }
        if updates.peek("id").is_some_and(|inner| inner.as_str() != Some(text(&id))) {
            return Err(updates.wrong("id", "an id can't be changed"));
        }
        let mut updates: Map = updates.rest();
        for ignored in SERVER_FIELDS.iter().chain(&["id"]) {
            updates.shift_remove(*ignored);
        }
        Ok((id, MergePatch::new(updates)))
    }

    fn move_node(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let node_id = fields.required_id("nodeId", NodeId::parse)?;
        let position = self.position(&fields.required("position")?, &Path::Key(path, "position"))?;
        fields.finish()?;
        Ok(Command::UpdateNodePosition { node_id, position })
    }

    fn only_id<T>(
        &self,
        payload: Value,
        path: &Path<'_>,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
    ) -> Result<T, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let id = fields.required_id(key, parse)?;
        fields.finish()?;
        Ok(id)
    }

    fn batch_update(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let nodes = match fields.optional("nodes") {
            Some(nodes) => self.nodes(nodes, &Path::Key(path, "nodes"))?,
            None => vec![],
        };
        let edges = match fields.list("edges")? {
            Some(edges) => Some(self.edges(edges, &Path::Key(path, "edges"))?),
            None => None,
        };
        let viewport = match fields.optional("viewport") {
            Some(viewport) => Some(self.viewport(viewport, &Path::Key(path, "viewport"))?),
            None => None,
        };
        fields.finish()?;
        Ok(Command::BatchUpdate { nodes, edges, viewport })
    }

    /// `{id: node}` or `[node]`, in the order received.
    fn nodes(&self, value: Value, path: &Path<'_>) -> Result<Vec<Node>, Malformed> {
        if let Value::Array(items) = value {
            let items = items.into_iter().enumerate();
            let nodes: Result<Vec<_>, _> =
                items.map(|(index, item)| self.node(item, &Path::Index(path, index), None)).collect();
            let nodes = nodes?;
            return refuse_twice(&nodes, |node| node.id().as_str(), path).map(|()| nodes);
        }
        let by_id = Fields::of(value, path, self.repeated)?.rest();
        by_id.into_iter().map(|(key, node)| self.node(node, &Path::Key(path, &key), Some(&key))).collect()
    }

    fn edges(&self, items: Vec<Value>, path: &Path<'_>) -> Result<Vec<Edge>, Malformed> {
        let items = items.into_iter().enumerate();
        let edges: Result<Vec<_>, _> =
            items.map(|(index, item)| self.edge(item, &Path::Index(path, index))).collect();
        let edges = edges?;
        refuse_twice(&edges, |edge| edge.id().as_str(), path).map(|()| edges)
    }
}

fn refuse_twice<T>(items: &[T], id: fn(&T) -> &str, path: &Path<'_>) -> Result<(), Malformed> {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if !seen.insert(id(item)) {
            let at = Path::Index(path, index);
            return Err(Malformed::at(Path::Key(&at, "id"), "stands in the list more than once"));
        }
    }
    Ok(())
}

fn on_conflict(fields: &mut Fields<'_>) -> Result<Option<OnConflict>, Malformed> {
    match fields.text("onConflict")?.as_deref() {
        None => Ok(None),
        Some("merge") => Ok(Some(OnConflict::Merge)),
        Some("overwrite") => Ok(Some(OnConflict::Overwrite)),
        Some("reject") => Ok(Some(OnConflict::Reject)),
        Some(_) => Err(fields.wrong("onConflict", "must be merge, overwrite or reject")),
    }
}

/// The UUIDv7 that the server makes where an id is left out (rule G3).
fn fresh_id<T>(parse: fn(&str) -> Result<T, dao_projections::InvalidId>) -> T {
    match parse(&Uuid::now_v7().to_string()) {
        Ok(id) => id,
        Err(e) => unreachable!("a UUID is an id: {e}"),
    }
}
