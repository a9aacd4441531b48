//! Activity: the number of events of each type that each user caused in a graph, by hour.
//!
//! | key | row |
//! |---|---|
//! | `<hour>/<type>/<user>` | the number of events |
//! | `undone/<operation id>` | the version of the latest undo of this operation |
//!
//! `hour` counts hours since the Unix epoch, in ten digits, so that keys sort by time.

use std::collections::BTreeSet;

use crate::{
    commit::Commit,
    entity::Timestamp,
    event::Event,
    id::{OperationId, UserId},
    projection::{Projection, RowError, Rows, decode, encode},
};

const HOUR_MS: u64 = 3_600_000;

/// The projection of commits into these rows.
#[derive(Debug)]
pub struct Activity;

/// The key of a row: what it counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActivityKey {
    /// The start of the hour.
    pub hour: Timestamp,
    /// The event's type, as on the wire.
    pub event_type: String,
    /// The user who caused it.
    pub user: UserId,
}

impl ActivityKey {
    /// Reads the key of a row; `None` if it is not one.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.splitn(3, '/');
        let hour = parts.next()?.parse::<u64>().ok()?.checked_mul(HOUR_MS)?;
        let event_type = parts.next()?.to_owned();
        Some(Self { hour: Timestamp(hour), event_type, user: UserId::parse(parts.next()?).ok()? })
    }

    fn text(commit: &Commit, event: &Event) -> String {
        let (hour, name, user) = (commit.body.timestamp.0 / HOUR_MS, event.name(), &commit.body.user_id);
        format!("{hour:010}/{name}/{user}")
    }

    /// The first possible key of the hour of `at`.
    pub fn first_of_hour(at: Timestamp) -> String {
        format!("{:010}/", at.0 / HOUR_MS)
    }
}

impl Activity {
    /// The key of the row that says which commit undid this operation last.
    pub fn undone_key(operation: &OperationId) -> String {
        format!("undone/{operation}")
    }
}

impl Projection for Activity {
    type Row = u64;

    const NAME: &'static str = "activity";
    const FORMAT: u32 = 1;

    fn keys(commit: &Commit, keys: &mut BTreeSet<String>) {
        keys.extend(commit.body.events.iter().map(|event| ActivityKey::text(commit, event)));
        keys.extend(commit.body.undoes.iter().map(Self::undone_key));
    }

    fn fold(rows: &mut Rows<u64>, commit: &Commit) {
        for event in &commit.body.events {
            let key = ActivityKey::text(commit, event);
            let before = rows.get(&key).copied().unwrap_or(0);
            rows.put(key, before + 1);
        }
        for operation in &commit.body.undoes {
            rows.put(Self::undone_key(operation), commit.version.get());
        }
    }

    fn encode(row: &u64) -> Vec<u8> {
        encode(row)
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<u64, RowError> {
        decode(key, bytes)
    }
}
