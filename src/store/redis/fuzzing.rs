//! What is read from other instances, for tests that send bytes of every kind (`tests/fuzz`): not for
//! anybody else, and nothing here is kept stable.

use super::message::Sender;
use crate::store::Hint;

/// What bytes say that somebody else published.
pub fn message(bytes: &[u8]) -> Option<Hint> {
    Sender::new(0).read(bytes)
}
