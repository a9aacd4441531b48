//! Redis as it is in the world: in every form, with replicas, in a cluster, not as it should be, dying, hanging, cut off.
//! Each is real and private to its test.
//!
//! Not here: what every store promises (`store`), and many instances on one Redis (`live`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

mod cluster;
mod copies;
mod forms;
mod moving;
mod replicas;
mod start;
mod store;
#[path = "../support/mod.rs"]
mod support;
