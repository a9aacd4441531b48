//! The program as a person or a unit file runs it: its commands, what it prints, what it logs.
//!
//! Not here: `dao-api watch` (`client`), and `dao-api token` (`auth`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod audit;
mod backup;
mod beside;
mod demo;
mod graphs;
mod import;
mod logs;
mod migrate;
mod monitor;
mod outcomes;
mod program;
mod purge;
mod readme;
#[path = "../support/mod.rs"]
mod support;
mod undo;
mod versions;
