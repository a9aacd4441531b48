//! Words that parameters, bodies and answers share. Those that the program has a list of are taken from it.

use dao_projections::Event;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};

/// The names of events.
pub(in crate::http) enum EventName {}

impl ToSchema for EventName {}

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        one_of("The name of an event.", Event::NAMES)
    }
}

/// The types of commands.
pub(in crate::http) enum CommandType {}

impl ToSchema for CommandType {}

impl PartialSchema for CommandType {
    fn schema() -> RefOr<Schema> {
        let types = dao_projections::CommandType::ALL.map(|command| command.as_str());
        one_of("What kind of command it was; `BATCH` is an atomic batch.", types)
    }
}

fn one_of<const N: usize>(description: &str, words: [&'static str; N]) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    object.description(Some(description)).into()
}

/// What happens if others changed the same since `clientVersion`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum OnConflict {
    /// Other fields are merged, the same field is a conflict.
    Merge,
    /// The last writer wins.
    Overwrite,
    /// Any commit of others to the target is a conflict.
    Reject,
    /// Of a document save only: what stands is kept, the rest is written.
    Keep,
}

/// What became of an operation.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum Status {
    Completed,
    Conflict,
    Failed,
}
