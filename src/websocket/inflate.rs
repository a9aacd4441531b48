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

/// What a compressed message inflates to.
pub(super) enum Output {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer than the limit: as many bytes as the limit allows.
    Cut(Vec<u8>),
    /// The caller has no memory for it.
    NoRoom,
}

/// Inflates one message. A reference to an earlier message's bytes is an error: the state is shared,
/// and those bytes may be somebody else's. Stops as soon as the output is longer than `bytes_max`, so
/// a bomb costs no more than a message of that size. `admit` is asked before the output takes that many
/// bytes in all.
pub(super) fn inflate(
    message: &[u8],
    bytes_max: usize,
    admit: &mut dyn FnMut(usize) -> bool,
) -> Result<Output, ProtocolError> {
    INFLATE.with_borrow_mut(|state| {
        state.reset(false);
        let mut output = Bounded { bytes: Vec::new(), max: bytes_max, admit };
        let first = message.len().saturating_mul(EXPECTED_RATIO);
        let mut end = if output.grow(first) { run(state, message, &mut output)? } else { End::NoRoom };
        if end == End::Input {
            end = run(state, &SYNC_TAIL, &mut output)?;
        }
        Ok(match end {
            End::Input | End::Stream => Output::Whole(output.bytes),
            End::Limit => {
                output.bytes.truncate(bytes_max);
                Output::Cut(output.bytes)
            }
            End::NoRoom => Output::NoRoom,
        })
    })
}

/// Why inflating stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The input is used up.
    Input,
    /// A final block: RFC 7692 section 7.2.3.4 allows them, and what follows one is padding, which nobody
    /// looks at.
    Stream,
    /// The output is longer than the limit.
    Limit,
    NoRoom,
}

/// The output, which grows no further than one byte beyond its limit: that one is enough to see that
/// the message is too long.
struct Bounded<'a> {
    bytes: Vec<u8>,
    max: usize,
    admit: &'a mut dyn FnMut(usize) -> bool,
}

impl Bounded<'_> {
    /// Makes room for `more` bytes, or for as many as may still come.
    fn grow(&mut self, more: usize) -> bool {
        let room = self.max.saturating_add(1).saturating_sub(self.bytes.len());
        let more = more.min(room);
        let is_admitted = (self.admit)((self.bytes.len() + more).min(self.max));
        if is_admitted {
            self.bytes.reserve_exact(more);
        }
        is_admitted
    }
}

/// Inflates `input` up to its end, or to a final block.
fn run(state: &mut Decompress, mut input: &[u8], output: &mut Bounded<'_>) -> Result<End, ProtocolError> {
    loop {
        let (read_before, written_before) = (state.total_in(), output.bytes.len());
        let status = state
            .decompress_vec(input, &mut output.bytes, FlushDecompress::None)
            .map_err(|_| ProtocolError::CorruptDeflate)?;
        let read = (state.total_in() - read_before) as usize;
        input = &input[read..];
        if output.bytes.len() > output.max {
            return Ok(End::Limit);
        }
        if output.bytes.len() == output.bytes.capacity() {
            if !output.grow(output.bytes.len().max(1)) {
                return Ok(End::NoRoom);
            }
        } else if status == Status::StreamEnd {
            return Ok(End::Stream);
        } else if read == 0 && output.bytes.len() == written_before {
            return Ok(End::Input);
        }
    }
}
