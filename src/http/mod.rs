//! HTTP: the route table, and the edges where bytes become commands and answers become bytes.
//!
//! Every route stands in `routes`, with the right that it needs and its OpenAPI operation. What handlers share is
//! `app`; `serve` runs it. Status codes live in `problem` and nowhere else; what clients see lives in [`wire`].
//! Not here: what a command means, and where histories are kept.
#![allow(clippy::result_large_err, reason = "a problem document is made once a refused request, and sent")]

mod accept_header;
mod activity;
mod all_events;
mod app;
pub mod audit;
mod authentication;
mod base_token;
mod body_framing;
mod catalog;
mod client_address;
mod command_parser;
mod commands;
mod connection_io;
mod connection_limits;
mod connections;
#[cfg(feature = "console")]
mod console;
mod cors;
mod decode;
mod demo;
mod document;
mod documents;
mod duplicate_keys;
mod extractors;
mod fingerprint;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod graph;
mod graph_events;
mod guard;
mod health;
mod home;
mod json_object;
mod json_repair;
mod json_shape;
mod labels;
mod lingering_close;
mod listener;
mod local;
mod metrics;
mod openapi;
mod operations;
mod origins;
mod problem;
mod projection_health;
mod purge;
mod query_parameters;
mod rate_limits;
mod reads;
mod refused_origins;
mod request_body;
mod request_context;
mod request_head;
mod request_id;
mod request_limits;
mod required_right;
mod response;
mod response_memory;
mod restore;
mod route_table;
mod router;
mod routes;
mod same_origin;
mod serve;
mod socket;
mod stream;
mod subscriptions;
mod supervise;
pub mod transcode;
mod undo;
mod unread_body;
mod versioned_reads;
mod whoami;
pub mod wire;

pub use app::{App, ConsoleRoute, DocsAccess, MetricsRoute, Shared, SocketConfig};
pub use client_address::Proxies;
pub use demo::{DEMO_GRAPH, KILL_LINE};
pub use documents::{ReadDocument, Unreadable, parse_batch, parse_command, parse_document, read_document};
pub use format::Format;
pub use listener::bind;
pub use local::{LocalBody, LocalService, SOCKET_BODY_BYTES_MAX, bind_socket, serve_socket};
pub use origins::{Origin, Origins};
pub use problem::refusal_message;
pub use rate_limits::RateConfig;
pub use request_limits::{BODY_BYTES_MAX, RequestLimits};
pub use serve::{serve, serve_operational};
pub(crate) use supervise::supervised;
