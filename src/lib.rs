//! dao-api: an event-sourced CQRS backend for graph editors.
//!
//! `docs/architecture.md` opens with the invariants; each module's own page says what it keeps and
//! what is not in it. Arrows between modules, checked by a test:
//! `cli → http → {live, read, project} → write → {store, domain} → dao_projections`; `websocket`
//! and `auth` depend on none of them; `telemetry` may be named by `cli`, `http`, `live`, `write` and `store`, and names none.

#![forbid(unsafe_code)]

pub mod auth;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod http;
pub mod live;
pub mod project;
pub mod read;
pub mod store;
pub mod telemetry;
pub mod websocket;
pub mod write;

/// The examples of `docs/projections.md`, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../docs/projections.md")]
struct ProjectionsPage;
