//! What is asked and answered over HTTP, rule by rule, of the application in this process; beside it what is
//! counted, limited and documented of it.
//!
//! Not here: who may ask (`auth`), sockets (`live`), strangers who ask (`schemathesis.rs`, `flood.rs`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

#[macro_use]
mod every_store;

mod all_events;
mod audit;
mod bad_input;
mod bad_requests;
mod both_paths;
mod commands;
mod conflicts;
mod copies;
mod document;
mod events;
mod exactly_once;
mod fuzz;
mod lifecycle;
mod limits;
mod metrics;
mod openapi;
mod operations;
mod parameters;
mod people;
mod purge;
mod reads;
mod stale_documents;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod undo;
mod versions;
