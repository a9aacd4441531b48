//! Inflating one message, up to a limit.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::error::ProtocolError;

/// What a sync flush ends with; RFC 7692 leaves it out of each message.
pub(super) const SYNC_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The output's first allocation, as a multiple of the input. It doubles from there.
const EXPECTED_RATIO: usize = 4;

thread_local! {
    /// One inflate state a thread (about 50 KiB). A message is inflated in one go once it is whole, so
    /// no connection needs one of its own.
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Inflates one message. A reference to an earlier message's bytes is an error: the state is shared,
/// and those bytes may be somebody else's. Stops as soon as the output is longer than `bytes_max`, so
/// a bomb costs no more than a message of that size.
pub(super) fn inflate(message: &[u8], bytes_max: usize) -> Result<Vec<u8>, ProtocolError> {
    INFLATE.with_borrow_mut(|state| {
        state.reset(false);
        let mut output = Vec::new();
        grow(&mut output, message.len().saturating_mul(EXPECTED_RATIO), bytes_max);
        if run(state, message, &mut output, bytes_max)? != Status::StreamEnd {
            run(state, &SYNC_TAIL, &mut output, bytes_max)?;
        }
        Ok(output)
    })
}

/// Inflates `input` up to its end, or to a final block: RFC 7692 section 7.2.3.4 allows them, and what
/// follows one is padding, which nobody looks at.
fn run(
    state: &mut Decompress,
    mut input: &[u8],
    output: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<Status, ProtocolError> {
    loop {
        let (read_before, written_before) = (state.total_in(), output.len());
        let status = state
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|_| ProtocolError::CorruptDeflate)?;
        let read = (state.total_in() - read_before) as usize;
        input = &input[read..];
        if output.len() > bytes_max {
            return Err(ProtocolError::MessageTooBig);
        }
        if output.len() == output.capacity() {
            let more = output.len().max(1);
            grow(output, more, bytes_max);
        } else if status == Status::StreamEnd || (read == 0 && output.len() == written_before) {
            return Ok(status);
        }
    }
}

/// Makes room for `more` bytes, but never for more than one beyond the limit: that one is enough to
/// see that the message is too long.
fn grow(output: &mut Vec<u8>, more: usize, bytes_max: usize) {
    let room = bytes_max.saturating_add(1).saturating_sub(output.len());
    output.reserve_exact(more.min(room));
}
