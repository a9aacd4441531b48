//! Tests of commands and batches from `http`, against a server that routes them as all other requests: what is true of
//! the fast path is true of the router's.
//!
//! Not here: that both answer with the same bytes (`http/both_paths`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

#[path = "../http/bad_input.rs"]
mod bad_input;
#[path = "../http/bad_requests.rs"]
mod bad_requests;
#[path = "../http/commands/mod.rs"]
mod commands;
#[path = "../http/conflicts/mod.rs"]
mod conflicts;
#[path = "../http/exactly_once.rs"]
mod exactly_once;
#[path = "../http/limits/mod.rs"]
mod limits;
#[path = "../support/mod.rs"]
mod support;
#[path = "../http/traces.rs"]
mod traces;
#[path = "../http/undo.rs"]
mod undo;
