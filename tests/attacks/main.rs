//! What a stranger can send to hurt the server, and what it must cost at most: each attack runs against the real
//! program under a memory limit that a sound server stays far below.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod connections;
mod free_frames;
mod graphs;
mod operations;
mod sockets;
