//! What stands around the payload of a command. A short one was read into its parts already
//! ([`super::super::decode::ShortCommand`]); of any other the fields are read here, strictly.

use dao_projections::{ClientId, OperationId};
use serde_json::Value;

use super::{
    super::{
        decode::ShortCommand,
        json_shape::{Fields, Malformed},
    },
    BaseVersion, Policy, on_conflict,
};

/// What stands around a payload, which is not read yet.
pub(super) struct Envelope {
    pub(super) name: String,
    pub(super) id: Option<OperationId>,
    pub(super) client: Option<ClientId>,
    pub(super) at: BaseVersion,
    pub(super) on_conflict: Option<Policy>,
    pub(super) payload: Value,
}

impl Envelope {
    pub(super) fn of(mut fields: Fields<'_>) -> Result<Self, Malformed> {
        let name = fields.text("type")?.ok_or_else(|| fields.wrong("type", "is required"))?;
        let id = fields.operation_id("operationId")?;
        let client = fields.client_id()?;
        let at = BaseVersion::read(&mut fields)?;
        let on_conflict = on_conflict(&mut fields)?;
        let payload = fields.required("payload")?;
        fields.finish()?;
        Ok(Self { name, id, client, at, on_conflict, payload })
    }
}

impl From<ShortCommand> for Envelope {
    fn from(command: ShortCommand) -> Self {
        let ShortCommand { name, operation, client, client_version, client_hash, payload } = command;
        let at = BaseVersion { version: client_version, hash: client_hash };
        Self { name, id: operation, client, at, on_conflict: None, payload }
    }
}
