//! The log: its destination and format; and traces, if a collector is configured.
//!
//! The log goes to standard error, since standard output is for the output of commands. Each event names its subject
//! itself or by the spans around it: `request` (method, path, `request_id`), `command` (graph, operation, user),
//! `socket` and `stream`. None of them has tokens, payloads or queries.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::error::CliError;
use crate::config::{Config, LogFormat};

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The log, to be finished at exit.
pub(super) struct Logging {
    #[cfg(feature = "otel")]
    exporter: Option<crate::telemetry::Exporter>,
}

impl Logging {
    /// Starts the log. Call it within the runtime, which sends the traces.
    pub(super) fn start(config: &Config) -> Result<Self, CliError> {
        #[cfg_attr(not(feature = "otel"), expect(unused_mut, reason = "there is no second layer"))]
        let mut layers: Layers = vec![layer(&config.log_filter, config.log_format)];
        #[cfg(feature = "otel")]
        let exporter = {
            let exporter = config.traces_to.as_deref().map(crate::telemetry::Exporter::to).transpose();
            let exporter = exporter.map_err(|error| CliError::new(error.to_string()))?;
            layers.extend(exporter.iter().map(crate::telemetry::Exporter::layer));
            exporter
        };
        tracing_subscriber::registry().with(layers).init();
        #[cfg(not(feature = "otel"))]
        if config.traces_to.is_some() {
            tracing::warn!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this program was built without traces: rebuild it with \
                 --features otel"
            );
        }
        Ok(Self {
            #[cfg(feature = "otel")]
            exporter,
        })
    }

    /// Sends the remaining traces.
    pub(super) fn finish(self) {
        #[cfg(feature = "otel")]
        if let Some(exporter) = self.exporter {
            exporter.finish();
        }
    }
}

fn layer(filter: &str, format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match is_json {
        // The list of spans ends with the innermost, so it is not repeated.
        true => filtered(layer.json().flatten_event(true).with_current_span(false), filter),
        false => filtered(layer.with_ansi(is_terminal), filter),
    }
}

/// Filters on spans or fields take a lock whenever a span is entered; filters on levels don't.
fn filtered(
    layer: impl Layer<Registry> + Send + Sync,
    filter: &str,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    match levels(filter) {
        Some(levels) => layer.with_filter(levels).boxed(),
        None => layer.with_filter(EnvFilter::new(filter)).boxed(),
    }
}

/// Parses a filter of levels only; `None` for one that names spans.
fn levels(filter: &str) -> Option<Targets> {
    let directives: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let has_spans = directives.iter().any(|directive| directive.contains('['));
    directives.join(",").parse().ok().filter(|_| !has_spans && !directives.is_empty())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_alone_are_told_from_directives_that_ask_for_spans() {
        let enabled =
            |filter: &str| levels(filter).map(|levels| levels.would_enable("dao_api", &Level::INFO));
        for filter in ["info", "info,", " debug ", "warn,dao_api=info", "off,dao_api=trace"] {
            assert_eq!(enabled(filter), Some(true), "{filter:?}");
        }
        for filter in ["warn", "error,hyper=trace", "off"] {
            assert_eq!(enabled(filter), Some(false), "{filter:?}");
        }
        for filter in ["info,[request]=debug", "dao_api[round]=trace", "[command{user=ada}]=debug", ""] {
            assert_eq!(enabled(filter), None, "{filter:?}");
        }
    }
}
