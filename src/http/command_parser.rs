//! Commands as clients send them: from a decoded body to operations that the write path takes.

mod document;
mod graph_payloads;
mod payloads;
mod version_payloads;

pub(super) use document::{SaveRequest, read_save};
pub(super) use version_payloads::read_label;

use dao_projections::{
    ClientId, Edge, EdgeId, Hash, Node, NodeId, OperationId, TraceParent, UserId, Version,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    decode::{Document, Path, Repeated, Size},
    fingerprint::FingerprintHasher,
    json_shape::{Fields, Malformed},
    undo,
};
use crate::domain::{
    Action, Base, Claim, Command, IfMissing, Member, OnConflict, Operation, WithoutBase,
    memory::object_memory,
};

/// What a client whose command is none of them is told.
const COMMAND_TYPES: [&str; 17] = [
    "CREATE_NODE",
    "UPDATE_NODE",
    "UPDATE_NODE_POSITION",
    "DELETE_NODE",
    "CREATE_EDGE",
    "UPDATE_EDGE",
    "DELETE_EDGE",
    "SET_VIEWPORT",
    "BATCH_UPDATE",
    "SAVE_DOCUMENT",
    "UNDO",
    "CREATE_GRAPH",
    "UPDATE_GRAPH",
    "DELETE_GRAPH",
    "RECOVER_GRAPH",
    "LABEL_VERSION",
    "RESTORE_VERSION",
];

/// A batch, checked as a whole.
pub(super) struct Batch {
    pub(super) id: OperationId,
    pub(super) is_atomic: bool,
    /// One, if the batch is atomic.
    pub(super) operations: Vec<Operation>,
}

impl Batch {
    /// All of it builds on that operation. False if that is the batch itself or one of its members.
    pub(super) fn waits_for(&mut self, after: Option<OperationId>) -> bool {
        self.operations.iter_mut().for_each(|operation| operation.after = after);
        let own = self.operations.iter().map(|operation| operation.id).chain([self.id]);
        !own.into_iter().any(|id| Some(id) == after)
    }

    /// All of it was asked for there in a trace.
    pub(super) fn caused_by(mut self, traceparent: Option<TraceParent>) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.traceparent = traceparent);
        self
    }
}

/// The body of `POST …/command`.
pub(super) fn read_command(document: Document, user: &UserId) -> Result<Operation, Malformed> {
    let reader = CommandParser { repeated: &document.repeated };
    let mut fingerprint = FingerprintHasher::of(user);
    let sent = reader.sent(document.value, &Path::Root, &mut fingerprint)?;
    let id = sent.id.unwrap_or_else(|| Uuid::now_v7().into());
    let operation = alone(id, sent, &BatchDefaults::default(), user, fingerprint)?;
    admit([&operation], document.size)?;
    Ok(operation)
}

/// What is left of a `COMMAND` frame: `{operationId, clientVersion?, clientHash?, clientId?, onConflict?,
/// command: {type, payload}}`.
pub(super) fn read_command_fields(
    mut fields: Fields<'_>,
    repeated: &Repeated,
    user: &UserId,
    client: &ClientIdentity,
) -> Result<Operation, Malformed> {
    let id = fields.operation_id("operationId")?.ok_or_else(|| fields.wrong("operationId", "is required"))?;
    let common = common(&mut fields, client)?;
    let command = fields.required("command")?;
    fields.finish()?;
    let path = Path::Key(&Path::Root, "command");
    let mut fingerprint = FingerprintHasher::of(user);
    let sent = CommandParser { repeated }.sent(command, &path, &mut fingerprint)?;
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
    refuse_keep(common.on_conflict, &sent.command, &Path::Root)?;
    refuse_two_bases(&sent.base, &common.at, &path)?;
    alone(id, sent, &common, user, fingerprint)
}

/// The body of `POST …/batch`, of at most so many operations.
pub(super) fn read_batch(
    document: Document,
    user: &UserId,
    operations_max: usize,
) -> Result<Batch, Malformed> {
    let root = Path::Root;
    let fields = Fields::of(document.value, &root, &document.repeated)?;
    let batch =
        read_batch_fields(fields, &document.repeated, user, &ClientIdentity::default(), operations_max)?;
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
        let (nodes, edges): (&[Node], &[Edge]) = match &member.command {
            Command::BatchUpdate { nodes, edges, .. } => (nodes, edges.as_deref().unwrap_or_default()),
            Command::SaveDocument { save } => (&save.document.nodes, &save.document.edges),
            Command::CreateGraph { nodes, edges, .. } => (nodes, edges.as_slice()),
            _ => continue,
        };
        entities += nodes.len() + edges.len();
        attributes += nodes.iter().map(|node| object_memory(node.attributes())).sum::<usize>();
        attributes += edges.iter().map(|edge| object_memory(edge.attributes())).sum::<usize>();
    }
    size.admit(entities, attributes)
}

/// A batch, of a body or of a frame whose other fields are taken out.
pub(super) fn read_batch_fields(
    mut fields: Fields<'_>,
    repeated: &Repeated,
    user: &UserId,
    client: &ClientIdentity,
    operations_max: usize,
) -> Result<Batch, Malformed> {
    let is_atomic = fields.boolean("atomic")?.unwrap_or(false);
    let id = fields.operation_id("batchId")?.unwrap_or_else(|| Uuid::now_v7().into());
    let common = common(&mut fields, client)?;
    if common.on_conflict == Some(Policy::Keep) {
        return Err(fields.wrong("onConflict", "keep is a policy of SAVE_DOCUMENT alone"));
    }
    let if_missing = if_missing(&mut fields, is_atomic)?;
    let members = members(&mut fields, operations_max)?;
    fields.finish()?;
    let list = Path::Key(&Path::Root, "operations");
    let reader = CommandParser { repeated };
    let read = |(index, member): (usize, Value), fingerprint: &mut FingerprintHasher| {
        let path = Path::Index(&list, index);
        let sent = reader.sent(member, &path, fingerprint);
        let sent = sent.and_then(|sent| refuse_own_identity(sent, is_atomic, &path));
        let sent = sent.and_then(|sent| refuse_alone(sent, &path));
        sent.map_err(|malformed| Malformed { index: Some(index), ..malformed })
    };
    let members = members.into_iter().enumerate();
    let operations = if is_atomic {
        let mut fingerprint = FingerprintHasher::of_batch(user, if_missing);
        let sent = members.map(|member| read(member, &mut fingerprint)).collect::<Result<Vec<_>, _>>()?;
        vec![atomic(id, (sent, if_missing), &common, user, fingerprint)]
    } else {
        let alone = |(index, member)| {
            let mut fingerprint = FingerprintHasher::of(user);
            let sent = read((index, member), &mut fingerprint)?;
            alone(id.member(index), sent, &common, user, fingerprint)
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

fn common(fields: &mut Fields<'_>, client: &ClientIdentity) -> Result<BatchDefaults, Malformed> {
    let named = fields.client_id()?;
    Ok(BatchDefaults {
        client: named.map_or_else(|| client.clone(), ClientIdentity::Named),
        at: BaseVersion::read(fields)?,
        on_conflict: on_conflict(fields)?,
    })
}

/// What is said for all members of a batch.
#[derive(Default)]
struct BatchDefaults {
    client: ClientIdentity,
    at: BaseVersion,
    on_conflict: Option<Policy>,
}

/// Which client sends, where a command does not name it.
#[derive(Clone, Debug, Default)]
pub(super) enum ClientIdentity {
    /// None that can be told from the user's others: a request over HTTP.
    #[default]
    Unnamed,
    /// This connection, which named no client (rule D1).
    Connection(ClientId),
    /// The client that was named.
    Named(ClientId),
}

impl ClientIdentity {
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
struct BaseVersion {
    version: Option<Version>,
    /// `Some(None)`: a text that is the hash of nothing.
    hash: Option<Option<Hash>>,
}

impl BaseVersion {
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

/// A member of an atomic batch is not an operation of its own: it has no id and no client.
fn refuse_own_identity(
    sent: ParsedCommand,
    is_atomic: bool,
    path: &Path<'_>,
) -> Result<ParsedCommand, Malformed> {
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

/// These make one commit by themselves (rules DS1, L8, L11, L12, U1).
fn refuse_alone(sent: ParsedCommand, path: &Path<'_>) -> Result<ParsedCommand, Malformed> {
    match &sent.command {
        Command::SaveDocument { .. }
        | Command::CreateGraph { .. }
        | Command::CopyGraph { .. }
        | Command::DeleteGraph { .. }
        | Command::RecoverGraph
        | Command::LabelVersion { .. }
        | Command::RestoreVersion { .. }
        | Command::Undo { .. } => {
            let name = sent.command.command_type().as_str();
            let problem = format!("{name} is not allowed in a batch: send it by itself");
            Err(Malformed::at(Path::Key(path, "type"), problem))
        }
        _ => Ok(sent),
    }
}

fn member(
    mut command: Command,
    at: BaseVersion,
    on_conflict: Option<Policy>,
    common: &BatchDefaults,
) -> Member {
    let client_version = at.version.or(common.at.version);
    let policy = on_conflict.or(common.on_conflict);
    if let Command::SaveDocument { save } = &mut command {
        save.keeps = policy == Some(Policy::Keep);
        if client_version.is_some() && save.base == Base::Unknown(WithoutBase::Create) {
            save.base = Base::Known { own: vec![] };
        }
    }
    let on_conflict = match policy {
        Some(Policy::Of(policy)) => policy,
        Some(Policy::Keep) | None => OnConflict::default(),
    };
    Member { command, client_version, on_conflict }
}

fn atomic(
    id: OperationId,
    (sent, if_missing): (Vec<ParsedCommand>, IfMissing),
    common: &BatchDefaults,
    user: &UserId,
    fingerprint: FingerprintHasher,
) -> Operation {
    let mut claims: Vec<Claim> = common.at.claim(None).into_iter().collect();
    claims.extend(sent.iter().enumerate().filter_map(|(index, sent)| sent.at.claim(Some(index))));
    let (client, is_client_named) = common.client.client_of(user);
    let members = sent.into_iter().map(|sent| member(sent.command, sent.at, sent.on_conflict, common));
    Operation {
        id,
        fingerprint: fingerprint.finish(),
        user: user.clone(),
        after: None,
        traceparent: None,
        client,
        is_client_named,
        claims,
        action: Action::Atomic { members: members.collect(), if_missing },
    }
}

fn alone(
    id: OperationId,
    sent: ParsedCommand,
    common: &BatchDefaults,
    user: &UserId,
    fingerprint: FingerprintHasher,
) -> Result<Operation, Malformed> {
    refuse_mode_with_base(&sent, common)?;
    let client = sent.client.map_or_else(|| common.client.clone(), ClientIdentity::Named);
    let (client, is_client_named) = client.client_of(user);
    let claims = [common.at, sent.at, sent.base].into_iter().filter_map(|at| at.claim(None)).collect();
    let at = if sent.base.version.is_some() { sent.base } else { sent.at };
    Ok(Operation {
        id: sent.id.unwrap_or(id),
        fingerprint: fingerprint.finish(),
        user: user.clone(),
        after: None,
        traceparent: None,
        client,
        is_client_named,
        claims,
        action: Action::Single(member(sent.command, at, sent.on_conflict, common)),
    })
}

/// `mode` says what to do without a base: beside one it says nothing (rule DS7).
fn refuse_mode_with_base(sent: &ParsedCommand, common: &BatchDefaults) -> Result<(), Malformed> {
    let Command::SaveDocument { save } = &sent.command else { return Ok(()) };
    let has_mode = matches!(save.base, Base::Unknown(WithoutBase::Merge | WithoutBase::Replace));
    let bases = [&sent.at, &sent.base, &common.at];
    match has_mode && bases.into_iter().any(|at| at.version.is_some()) {
        true => Err(Malformed::at("mode", "is for a save without a base: leave one of them out")),
        false => Ok(()),
    }
}

/// `base` of a document says what `clientVersion` says.
fn refuse_two_bases(base: &BaseVersion, at: &BaseVersion, path: &Path<'_>) -> Result<(), Malformed> {
    match base.version.is_some() && at.version.is_some() {
        true => {
            let payload = Path::Key(path, "payload");
            let problem = "says what clientVersion says: send one of them";
            Err(Malformed::at(Path::Key(&payload, "base"), problem))
        }
        false => Ok(()),
    }
}

/// One command as it was sent.
struct ParsedCommand {
    id: Option<OperationId>,
    client: Option<ClientId>,
    at: BaseVersion,
    /// What the `base` of a document names, in place of `at`.
    base: BaseVersion,
    on_conflict: Option<Policy>,
    command: Command,
}

/// Reads commands of a document whose repeated keys are these.
struct CommandParser<'a> {
    repeated: &'a Repeated,
}

impl CommandParser<'_> {
    /// What it says, which `fingerprint` takes up too.
    fn sent(
        &self,
        value: Value,
        path: &Path<'_>,
        fingerprint: &mut FingerprintHasher,
    ) -> Result<ParsedCommand, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let name = fields.text("type")?.ok_or_else(|| fields.wrong("type", "is required"))?;
        let id = fields.operation_id("operationId")?;
        let client = fields.client_id()?;
        let at = BaseVersion::read(&mut fields)?;
        let on_conflict = on_conflict(&mut fields)?;
        let payload = fields.required("payload")?;
        fields.finish()?;
        let place = Path::Key(path, "payload");
        if name == "SAVE_DOCUMENT" {
            let (command, base) = self.save_document(payload, &place, fingerprint)?;
            refuse_two_bases(&base, &at, path)?;
            return Ok(ParsedCommand { id, client, at, base, on_conflict, command });
        }
        fingerprint.add(&name, &payload);
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
            "CREATE_GRAPH" => self.create_graph(payload, &place)?,
            "UPDATE_GRAPH" => self.update_graph(payload, &place)?,
            "DELETE_GRAPH" => self.delete_graph(payload, &place)?,
            "RECOVER_GRAPH" => self.recover_graph(payload, &place)?,
            "LABEL_VERSION" => self.label_version(payload, &place)?,
            "RESTORE_VERSION" => self.restore_version(payload, &place)?,
            unknown => {
                let shown: String = unknown.chars().take(40).collect();
                let problem =
                    format!("unknown command type {shown:?}: use one of {}", COMMAND_TYPES.join(", "));
                return Err(Malformed::at(Path::Key(path, "type"), problem));
            }
        };
        refuse_keep(on_conflict, &command, path)?;
        Ok(ParsedCommand { id, client, at, base: BaseVersion::default(), on_conflict, command })
    }
}

/// A conflict policy as clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Of any command.
    Of(OnConflict),
    /// Of a document save: apply the rest, keep what stands (rule DS9).
    Keep,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "merge" => Some(Self::Of(OnConflict::Merge)),
            "overwrite" => Some(Self::Of(OnConflict::Overwrite)),
            "reject" => Some(Self::Of(OnConflict::Reject)),
            "keep" => Some(Self::Keep),
            _ => None,
        }
    }
}

fn on_conflict(fields: &mut Fields<'_>) -> Result<Option<Policy>, Malformed> {
    let Some(text) = fields.text("onConflict")? else { return Ok(None) };
    let policy = Policy::parse(&text);
    policy.map(Some).ok_or_else(|| fields.wrong("onConflict", "must be merge, overwrite, reject or keep"))
}

fn refuse_keep(policy: Option<Policy>, command: &Command, path: &Path<'_>) -> Result<(), Malformed> {
    match (policy, command) {
        (Some(Policy::Keep), Command::SaveDocument { .. }) => Ok(()),
        (Some(Policy::Keep), _) => {
            Err(Malformed::at(Path::Key(path, "onConflict"), "keep is a policy of SAVE_DOCUMENT alone"))
        }
        (Some(Policy::Of(_)) | None, _) => Ok(()),
    }
}

fn if_missing(fields: &mut Fields<'_>, is_atomic: bool) -> Result<IfMissing, Malformed> {
    let policy = match fields.text("ifMissing")?.as_deref() {
        None => return Ok(IfMissing::Refuse),
        Some("refuse") => IfMissing::Refuse,
        Some("skip") => IfMissing::Skip,
        Some(_) => return Err(fields.wrong("ifMissing", "must be refuse or skip")),
    };
    if !is_atomic {
        let problem = "needs atomic: true. The members of another batch are refused one by one";
        return Err(fields.wrong("ifMissing", problem));
    }
    Ok(policy)
}
