//! The log: where it goes and how it is written.
//!
//! It goes to standard error, since standard output is for what a command was asked to print. Each event names what it
//! is about by itself or by the spans around it: `request` (method, path, `request_id`), `command` (graph, operation,
//! user), `socket` and `stream`. Tokens, payloads and queries are in none of them.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// What is logged from here on.
pub(super) fn start(filter: &str, format: LogFormat) {
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match is_json {
        // The spans are a list already: the innermost again would only be a repeat.
        true => layer.json().flatten_event(true).with_current_span(false).boxed(),
        false => layer.with_ansi(is_terminal).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(EnvFilter::new(filter))).init();
}
