//! A batch, and what its members have in common.

use dao_projections::{OperationId, TraceParent, UserId};
use serde_json::Value;
use uuid::Uuid;

use super::{
    BaseVersion, ClientIdentity, CommandParser, ParsedCommand, Policy, admit, on_conflict, refuse_alone,
    refuse_own_identity,
};
use crate::{
    domain::{Action, Base, Claim, Command, IfMissing, Member, OnConflict, Operation, WithoutBase},
    http::{
        decode::{Document, Repeated},
        fingerprint::FingerprintHasher,
        json_path::Path,
        json_shape::{Fields, Malformed},
    },
};

/// A batch, checked as a whole.
pub(in crate::http) struct Batch {
    pub(in crate::http) id: OperationId,
    pub(in crate::http) is_atomic: bool,
    /// One, if the batch is atomic.
    pub(in crate::http) operations: Vec<Operation>,
}

impl Batch {
    /// All of it builds on that operation. False if that is the batch itself or one of its members.
    pub(in crate::http) fn waits_for(&mut self, after: Option<OperationId>) -> bool {
        self.operations.iter_mut().for_each(|operation| operation.after = after);
        let own = self.operations.iter().map(|operation| operation.id).chain([self.id]);
        !own.into_iter().any(|id| Some(id) == after)
    }

    /// All of it was asked for there in a trace.
    pub(in crate::http) fn caused_by(mut self, traceparent: Option<TraceParent>) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.traceparent = traceparent);
        self
    }
}

/// The body of `POST …/batch`, of at most so many operations.
pub(in crate::http) fn read_batch(
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

/// A batch, of a body or of a frame whose other fields are taken out.
pub(in crate::http) fn read_batch_fields(
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

pub(super) fn common(fields: &mut Fields<'_>, client: &ClientIdentity) -> Result<BatchDefaults, Malformed> {
    let named = fields.client_id()?;
    Ok(BatchDefaults {
        client: named.map_or_else(|| client.clone(), ClientIdentity::Named),
        at: BaseVersion::read(fields)?,
        on_conflict: on_conflict(fields)?,
    })
}

/// What is said for all members of a batch.
#[derive(Default)]
pub(super) struct BatchDefaults {
    pub(super) client: ClientIdentity,
    pub(super) at: BaseVersion,
    pub(super) on_conflict: Option<Policy>,
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

pub(super) fn alone(
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
pub(super) fn refuse_two_bases(
    base: &BaseVersion,
    at: &BaseVersion,
    path: &Path<'_>,
) -> Result<(), Malformed> {
    match base.version.is_some() && at.version.is_some() {
        true => {
            let payload = Path::Key(path, "payload");
            let problem = "says what clientVersion says: send one of them";
            Err(Malformed::at(Path::Key(&payload, "base"), problem))
        }
        false => Ok(()),
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
