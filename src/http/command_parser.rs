//! Commands as clients send them: from a decoded body to operations that the write path takes.

mod batch;
mod document;
mod envelope;
mod graph_payloads;
mod payloads;
mod version_payloads;

use dao_projections::{ClientId, Edge, EdgeId, Hash, Node, NodeId, OperationId, UserId, Version};
use serde_json::Value;
use uuid::Uuid;

pub(super) use self::batch::{Batch, read_batch, read_batch_fields};
use self::{
    batch::{BatchDefaults, alone, common, refuse_two_bases},
    envelope::Envelope,
};
use super::{
    decode::{CommandBody, Document, Repeated, Size},
    fingerprint::FingerprintHasher,
    json_path::Path,
    json_shape::{Fields, Malformed},
    undo,
};
use crate::domain::{Claim, Command, OnConflict, Operation, memory::object_memory};
pub(super) use document::{SaveRequest, read_save};
pub(super) use version_payloads::read_label;

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

/// The body of `POST …/command`.
pub(super) fn read_command(document: Document, user: &UserId) -> Result<Operation, Malformed> {
    read_command_body(CommandBody::Document(document), user)
}

/// The same of a body that may have been recognised as a command.
pub(super) fn read_command_body(body: CommandBody, user: &UserId) -> Result<Operation, Malformed> {
    let mut fingerprint = FingerprintHasher::of(user);
    let (sent, size) = match body {
        CommandBody::Short(command, repeated, size) => {
            let reader = CommandParser { repeated: &repeated };
            (reader.command(command.into(), &Path::Root, &mut fingerprint)?, size)
        }
        CommandBody::Document(Document { value, repeated, size }) => {
            (CommandParser { repeated: &repeated }.sent(value, &Path::Root, &mut fingerprint)?, size)
        }
    };
    let id = sent.id.unwrap_or_else(|| Uuid::now_v7().into());
    let operation = alone(id, sent, &BatchDefaults::default(), user, fingerprint)?;
    admit([&operation], size)?;
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
        self.command(Envelope::of(Fields::of(value, path, self.repeated)?)?, path, fingerprint)
    }

    fn command(
        &self,
        envelope: Envelope,
        path: &Path<'_>,
        fingerprint: &mut FingerprintHasher,
    ) -> Result<ParsedCommand, Malformed> {
        let Envelope { name, id, client, at, on_conflict, payload } = envelope;
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
