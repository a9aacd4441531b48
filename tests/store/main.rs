//! What every store promises, what the embedded one promises beside it, and the tasks that stand directly on a store:
//! a graph's writer, projectors, the ledgers of subscriptions.
//!
//! Not here: what only Redis can get wrong (`redis`), and stores whose processes die (`processes`).

#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]

#[macro_use]
mod places;

mod contract;
mod embedded;
mod hot;
mod journal;
mod projections;
mod projectors;
mod purging;
mod subscription_ledger;
#[path = "../support/mod.rs"]
mod support;
mod verify;
mod writer;
