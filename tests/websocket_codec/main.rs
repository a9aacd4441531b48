//! The WebSocket codec against RFC 6455, RFC 7692 and itself.
//!
//! The cases follow the groups of the Autobahn test suite's fuzzing client, whose numbers stand in
//! the tests' names, with the frames built here:
//!
//! | Autobahn | here |
//! |---|---|
//! | 1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation | `framing` |
//! | 6 UTF-8 handling | `text` |
//! | 7 close handling | `closing` |
//! | 9 limits, 10 fragmentation of large messages | `limits` |
//! | 12 and 13 compression | `compression` |
//! | (the opening handshake) | `handshake` |
//! | (the codec as a client, handshake included) | `client_role` |
//!
//! `properties` are randomised: a failing case prints its seed, and proptest keeps it. The client's
//! half (`client`) is written apart from the codec, straight from the RFCs.
//!
//! What a connection does with an event (answering a Ping, echoing a Close) isn't tested here.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod client;
mod client_role;
mod closing;
mod compression;
mod framing;
mod handshake;
mod limits;
mod properties;
mod text;
