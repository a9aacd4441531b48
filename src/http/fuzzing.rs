//! What is read from the network, for tests that send bytes of every kind (`tests/fuzz`): not for anybody
//! else, and nothing here is kept stable.

use dao_projections::UserId;
use serde_json::Value;

use super::{
    activity::{read_cursor, write_cursor},
    command_parser::{read_batch, read_command},
    decode::{DocumentLimits, decode},
    format::Format,
    socket::client_frames::is_frame,
};

const LIMITS: DocumentLimits = DocumentLimits { depth_max: 64, operations_max: 100 };

/// What a body says, once it was also read as a command and as a batch.
pub fn body(bytes: &[u8], format: Format) -> Option<Value> {
    let document = decode(bytes, format, LIMITS).ok()?;
    let user = UserId::parse("ada").ok()?;
    // Whether either is one does not matter here.
    let _is_command = read_command(document.clone(), &user).is_ok();
    let _is_batch = read_batch(document.clone(), &user, LIMITS.operations_max).is_ok();
    Some(document.value)
}

/// Whether bytes are a frame of a client.
pub fn frame(bytes: &[u8], format: Format) -> bool {
    UserId::parse("ada").is_ok_and(|user| is_frame(bytes, format, &user, LIMITS))
}

/// The cursor that a text is, written again, and that one written again once more.
pub fn activity_cursor(text: &str) -> Option<(String, Option<String>)> {
    let written = write_cursor(&read_cursor(text)?);
    let again = read_cursor(&written).map(|place| write_cursor(&place));
    Some((written, again))
}
