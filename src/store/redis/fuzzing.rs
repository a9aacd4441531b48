//! What is read from other instances, for tests that send bytes of every kind (`tests/fuzz`): not for
//! anybody else, and nothing here is kept stable.

use super::message::Publisher;
use crate::store::Publication;

/// What bytes say that somebody else published.
pub fn message(bytes: &[u8]) -> Option<Publication> {
    Publisher::new(0).read(bytes)
}
