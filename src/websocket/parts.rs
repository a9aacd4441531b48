//! Messages whose largest part is shared by many: a snapshot that every newcomer gets.
//!
//! DEFLATE blocks that end with a sync flush and look back at nothing before them may be joined, so a
//! part is compressed once, and each message is its own few bytes, the part, and a few bytes more.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::extension::Deflate;
use super::header::{Opcode, Payload, push_header};
use super::inflate::SYNC_TAIL;

/// A part is compressed once for all who get it, so it may take longer than a commit's frame does.
const PART_DEFLATE_LEVEL: u32 = 4;
/// Output grows by this much at a time.
const GROWTH_BYTES: usize = 32 << 10;

/// Which of the two kinds of data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A part for [`encode_around`], of messages to connections with compression.
pub fn deflate_part(payload: &[u8]) -> Bytes {
    flushed(payload, PART_DEFLATE_LEVEL).into()
}

/// One message: `before`, the shared `part`, `after`. With compression the part is what
/// [`deflate_part`] made of it. The pieces are sent one after the other.
pub fn encode_around(
    kind: MessageKind,
    deflate: Deflate,
    before: &[u8],
    part: &Bytes,
    after: &[u8],
) -> [Bytes; 3] {
    let opcode = match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    };
    let (form, before, after) = match deflate {
        Deflate::Off => (Payload::Plain, before.to_vec(), after.to_vec()),
        Deflate::On => {
            // The message ends with a flush all the same, so that its last four bytes can be left out.
            let (before, mut after) = (flushed(before, 1), flushed(after, 1));
            after.truncate(after.len() - SYNC_TAIL.len());
            (Payload::Deflated, before, after)
        }
    };
    let mut front = Vec::with_capacity(before.len() + 10);
    push_header(&mut front, opcode, form, before.len() + part.len() + after.len());
    front.extend_from_slice(&before);
    [front.into(), part.clone(), after.into()]
}

/// Blocks that end with a sync flush.
fn flushed(payload: &[u8], level: u32) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(level), false);
    let mut output = Vec::with_capacity(payload.len() / 8 + 64);
    loop {
        let taken = state.total_in() as usize;
        // Compressing into memory fails for no input; a stream that is not ended takes more.
        let status = state.compress_vec(&payload[taken..], &mut output, FlushCompress::Sync);
        debug_assert!(status.is_ok());
        let is_flushed = state.total_in() as usize == payload.len() && output.len() < output.capacity();
        if is_flushed {
            break;
        }
        output.reserve(GROWTH_BYTES);
    }
    if !output.ends_with(&SYNC_TAIL) {
        // Nothing was there to flush: an empty stored block is what a flush ends with.
        output.push(0);
        output.extend_from_slice(&SYNC_TAIL);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::inflate::{Output, inflate};

    fn payload_of(pieces: &[Bytes; 3]) -> Vec<u8> {
        let all = pieces.concat();
        match all[1] {
            126 => all[4..].to_vec(),
            127 => all[10..].to_vec(),
            _ => all[2..].to_vec(),
        }
    }

    #[test]
    fn a_message_around_a_part_inflates_to_all_three() {
        for length in [0, 1, 100, 70_000, 3_000_000] {
            let part: String =
                (0..length / 10_u64).map(|n| format!("{:09},", n * 7919 % 1_000_003)).collect();
            let shared = deflate_part(part.as_bytes());
            for (before, after) in [("{\"a\":", "}"), ("x", ""), ("", "y")] {
                let pieces = encode_around(
                    MessageKind::Text,
                    Deflate::On,
                    before.as_bytes(),
                    &shared,
                    after.as_bytes(),
                );
                let inflated = match inflate(&payload_of(&pieces), 10_000_000, &mut |_| true) {
                    Ok(Output::Whole(inflated)) => inflated,
                    _ => panic!("it does not inflate"),
                };
                assert_eq!(inflated, [before, &part, after].concat().as_bytes(), "{length}");
            }
        }
    }

    #[test]
    fn without_compression_it_is_one_frame() {
        let part = Bytes::from(vec![7; 70_000]);
        let pieces = encode_around(MessageKind::Binary, Deflate::Off, b"ab", &part, b"c");
        assert_eq!(pieces.concat()[..2], [0x82, 127]);
        assert_eq!(payload_of(&pieces), [b"ab", &part[..], b"c"].concat());
    }
}
