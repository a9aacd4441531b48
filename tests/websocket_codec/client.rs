//! A client's half of the protocol, and a way to run a decoder.

use bytes::Bytes;
use dao_api::websocket::{CloseCode, Decoder, Deflate, Incoming, Limits, ProtocolError};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) const LIMIT: usize = 1 << 20;

/// What came out of a stream, and how it ended.
pub(crate) type Outcome = (Vec<Incoming>, Option<ProtocolError>);

/// A masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0x37, 0xfa, 0x21, 0x3d])
}

pub(crate) fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

/// Frames one after the other: `(first byte, payload)`.
pub(crate) fn frames<'a>(frames: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    frames.into_iter().flat_map(|(first, payload)| frame(first, payload)).collect()
}

/// A message's payload deflated as a client does without context takeover.
pub(crate) fn deflated(payload: &[u8], level: u32) -> Vec<u8> {
    let mut state = Compress::new(Compression::new(level), false);
    let mut output = Vec::with_capacity(payload.len() * 2 + 1024);
    state.compress_vec(payload, &mut output, FlushCompress::Sync).unwrap();
    assert_eq!(state.total_in(), payload.len() as u64);
    assert!(output.len() < output.capacity());
    output.truncate(output.len() - 4);
    output
}

pub(crate) fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut output = Vec::with_capacity(1 << 22);
    let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&whole, &mut output, FlushDecompress::Sync).unwrap();
    output
}

/// A server's frame as a client reads it: first byte and payload. It must be the only one.
pub(crate) fn read(frame: &[u8]) -> (u8, &[u8]) {
    let (length, payload) = match frame[1] {
        126 => (u16::from_be_bytes(frame[2..4].try_into().unwrap()).into(), &frame[4..]),
        127 => (u64::from_be_bytes(frame[2..10].try_into().unwrap()), &frame[10..]),
        length => (length.into(), &frame[2..]),
    };
    assert_eq!(length, payload.len() as u64, "unmasked, and of the length it says");
    (frame[0], payload)
}

pub(crate) fn decoder(deflate: Deflate) -> Decoder {
    Decoder::new(Limits { message_bytes_max: LIMIT }, deflate)
}

/// Everything the decoder says about a stream that arrives in these pieces.
pub(crate) fn decode_pieces<'a>(mut decoder: Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

/// The outcome of a stream, the same in one piece and byte by byte.
pub(crate) fn decode_with(deflate: Deflate, stream: &[u8]) -> Outcome {
    let whole = decode_pieces(decoder(deflate), [stream]);
    let chopped = decode_pieces(decoder(deflate), stream.chunks(1));
    assert_eq!(whole, chopped, "chopping changes nothing");
    whole
}

pub(crate) fn decode(stream: &[u8]) -> Outcome {
    decode_with(Deflate::Off, stream)
}

/// Every event of a stream that breaks no rule.
#[track_caller]
pub(crate) fn events(stream: &[u8]) -> Vec<Incoming> {
    let (events, error) = decode(stream);
    assert_eq!(error, None);
    events
}

/// The error that a stream ends with.
#[track_caller]
pub(crate) fn refused(stream: &[u8]) -> ProtocolError {
    decode(stream).1.expect("the stream breaks a rule")
}

pub(crate) fn code(number: u16) -> CloseCode {
    CloseCode::new(number).unwrap()
}

pub(crate) fn text(payload: &str) -> Incoming {
    Incoming::Text(payload.to_owned())
}

pub(crate) fn binary(payload: &[u8]) -> Incoming {
    Incoming::Binary(Bytes::copy_from_slice(payload))
}

pub(crate) fn ping(payload: &[u8]) -> Incoming {
    Incoming::Ping(Bytes::copy_from_slice(payload))
}

pub(crate) fn pong(payload: &[u8]) -> Incoming {
    Incoming::Pong(Bytes::copy_from_slice(payload))
}
