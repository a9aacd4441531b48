//! The WebSocket over real sockets, rule by rule (W1 to W10, and V4, C3, D1, H1 as they show there); then of many
//! instances on one Redis (`instances`).
//!
//! Not here: thousands of sockets (`live_load.rs`), and the codec alone (`websocket_codec`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod commanding;
mod dependencies;
mod documented;
mod ending;
mod framing;
mod garbage;
mod instances;
mod pacing;
mod presence;
mod python;
mod replaced;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
