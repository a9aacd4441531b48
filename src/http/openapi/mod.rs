//! The schemas of the OpenAPI document, and its viewer: `GET /docs` (rule H9). The document is made of them in
//! `openapi_document`.
//!
//! Which query parameters a route knows is decided by what is said here (rule H7). Not here: what else is checked, and
//! what is encoded; a schema decides nothing.
#![allow(dead_code, reason = "the types of this module are read by the macro that makes schemas of them")]

pub(super) mod parameters;
pub(super) mod problems;
pub(super) mod requests;
pub(super) mod responses;
pub(super) mod socket_frames;
mod viewer;
mod words;

pub(super) use viewer::{file, page};

/// Any JSON value.
pub(super) type Json = serde_json::Value;
