//! What is read from clients and from other instances, for tests that send bytes of every kind
//! (`tests/fuzz`): not for anybody else, and nothing here is kept stable.

use super::{
    all_graphs::{InvalidPosition, Position, position::read_unsealed},
    presence_message,
};

/// The position in bytes that lack their checksum, and what it is read back as.
pub fn position(bytes: &[u8]) -> Option<(Position, Result<Position, InvalidPosition>)> {
    read_unsealed(bytes)
}

/// Whether bytes are a message about who is where.
pub fn presence_message(bytes: &[u8]) -> bool {
    presence_message::decode(bytes).is_some()
}
