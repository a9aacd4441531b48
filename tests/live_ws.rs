//! The WebSocket over real sockets, rule by rule (W1 to W10, and V4, C3, D1, H1 as they show there).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod support;

#[path = "live_ws/commanding.rs"]
mod commanding;
#[path = "live_ws/ending.rs"]
mod ending;
#[path = "live_ws/framing.rs"]
mod framing;
#[path = "live_ws/garbage.rs"]
mod garbage;
#[path = "live_ws/presence.rs"]
mod presence;
#[path = "live_ws/python.rs"]
mod python;
#[path = "live_ws/replaced.rs"]
mod replaced;
#[path = "live_ws/subscribing.rs"]
mod subscribing;
