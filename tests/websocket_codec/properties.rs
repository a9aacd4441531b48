//! What holds for every stream.

use dao_api::websocket::{Decoder, Deflate, Incoming, Limits, MessageKind, encode_shared};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::client::*;

const SMALL_LIMIT: usize = 4096;
/// A header and a control frame's payload, less the byte that would complete them.
const CONTROL_FRAME_BYTES: usize = 6 + 125 - 1;

fn small() -> Decoder {
    Decoder::new(Limits { message_bytes_max: SMALL_LIMIT }, Deflate::On)
}

/// One frame, mostly right: any first byte, any masked payload, sometimes a lying length.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![FIN | TEXT, FIN | BINARY, TEXT, BINARY, CONTINUATION, FIN | CONTINUATION]),
        4 => prop::sample::select(vec![FIN | RSV1 | TEXT, FIN | RSV1 | BINARY, RSV1 | BINARY]),
        4 => prop::sample::select(vec![FIN | PING, FIN | PONG]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,80}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..200),
        2 => (vec(any::<u8>(), 0..300), 0..10u32).prop_map(|(payload, level)| deflated(&payload, level)),
        1 => (0..SMALL_LIMIT * 2).prop_map(|length| vec![b'z'; length]),
    ];
    let lie = prop_oneof![20 => Just(None), 1 => any::<(u8, u8)>().prop_map(Some)];
    (first, payload, any::<[u8; 4]>(), lie).prop_map(|(first, payload, mask, lie)| {
        let mut frame = masked(first, &payload, mask);
        if let Some((position, byte)) = lie {
            let position = usize::from(position) % frame.len();
            frame[position] = byte;
        }
        frame
    })
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => vec(any_frame(), 0..12).prop_map(|frames| frames.concat()), 1 => vec(any::<u8>(), 0..400)]
}

#[derive(Clone, Debug)]
struct Sent {
    binary: bool,
    payload: String,
    level: Option<u32>,
    mask: [u8; 4],
    fragment_bytes: usize,
}

fn any_message() -> impl Strategy<Value = Sent> {
    ("\\PC{0,600}", any::<bool>(), prop::option::of(0..10u32), any::<[u8; 4]>(), 1..400usize).prop_map(
        |(payload, binary, level, mask, fragment_bytes)| Sent {
            binary,
            payload,
            level,
            mask,
            fragment_bytes,
        },
    )
}

impl Sent {
    fn frames(&self) -> Vec<u8> {
        let payload = match self.level {
            None => self.payload.clone().into_bytes(),
            Some(level) => deflated(self.payload.as_bytes(), level),
        };
        let first = if self.binary { BINARY } else { TEXT } | if self.level.is_some() { RSV1 } else { 0 };
        let mut stream = masked(first, b"", self.mask);
        for piece in payload.chunks(self.fragment_bytes) {
            stream.extend(masked(CONTINUATION, piece, self.mask));
        }
        stream.extend(masked(FIN | CONTINUATION, b"", self.mask));
        stream
    }

    fn expected(&self) -> Incoming {
        if self.binary { binary(self.payload.as_bytes()) } else { text(&self.payload) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn chopping_a_stream_changes_nothing(stream in any_stream(), sizes in vec(1..300usize, 1..20)) {
        let whole = decode_pieces(small(), [&stream[..]]);
        prop_assert_eq!(&whole, &decode_pieces(small(), stream.chunks(1)));
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&whole, &decode_pieces(small(), pieces));
    }

    #[test]
    fn no_stream_makes_a_decoder_hold_or_return_more_than_the_limit(
        stream in any_stream(),
        size in 1..300usize,
    ) {
        let mut decoder = small();
        let held_max = SMALL_LIMIT + SMALL_LIMIT / 7 + 64 + CONTROL_FRAME_BYTES;
        'stream: for piece in stream.chunks(size) {
            decoder.push(piece);
            loop {
                match decoder.next() {
                    Ok(Some(Incoming::Text(text))) => prop_assert!(text.len() <= SMALL_LIMIT),
                    Ok(Some(Incoming::Binary(bytes))) => prop_assert!(bytes.len() <= SMALL_LIMIT),
                    Ok(Some(Incoming::TooLong(long))) => prop_assert!(long.beginning.len() <= SMALL_LIMIT),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
            prop_assert!(decoder.buffered_bytes() <= held_max);
        }
    }

    #[test]
    fn messages_of_an_independent_client_arrive(
        messages in vec(any_message(), 1..5),
        size in 1..2000usize,
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(Sent::frames).collect();
        let (events, error) = decode_pieces(small(), stream.chunks(size));
        prop_assert_eq!(error, None);
        prop_assert_eq!(events, messages.iter().map(Sent::expected).collect::<Vec<_>>());
    }

    #[test]
    fn shared_messages_arrive_at_an_independent_client(payload in "(\\PC{0,40}){0,60}") {
        let encoded = |deflate| encode_shared(MessageKind::Text, deflate, payload.as_bytes());
        let (plain, compressed) = (encoded(Deflate::Off), encoded(Deflate::On));
        prop_assert_eq!(read(&plain), (FIN | TEXT, payload.as_bytes()));
        if compressed != plain {
            let (first, short) = read(&compressed);
            prop_assert_eq!(first, FIN | RSV1 | TEXT);
            prop_assert!(short.len() < payload.len());
            prop_assert_eq!(inflated(short), payload.as_bytes());
        }
    }
}
