//! Servers and workers as real processes: killed under load, started again, and all of them together behind a proxy.

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod catalog;
mod crash;
mod document_model;
mod history_model;
mod model;
#[path = "../support/mod.rs"]
mod support;
mod topology;
mod workers;
