//! The format of a stream: server-sent events or lines.

use axum::http::HeaderMap;

use super::accept_header::{Offer, preferred};
use crate::telemetry::{Counted, LiveMetrics, StreamStyle};

/// The format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamFormat {
    /// `text/event-stream`.
    ServerSentEvents,
    /// `application/x-ndjson`.
    Lines,
}

impl StreamFormat {
    /// The format that `Accept` prefers; server-sent events by default.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let is_lines =
            |name: &str| ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(&name);
        let offers = [
            Offer {
                answer: Self::ServerSentEvents,
                top_level: "text",
                is_meant_by: |name| name == "text/event-stream",
            },
            Offer { answer: Self::Lines, top_level: "application", is_meant_by: is_lines },
        ];
        preferred(headers, &offers).unwrap_or(Self::ServerSentEvents)
    }

    /// Counts an open stream for as long as the guard is held.
    pub(super) fn opened(self, metrics: &LiveMetrics) -> Counted {
        let style = match self {
            Self::ServerSentEvents => StreamStyle::ServerSentEvents,
            Self::Lines => StreamStyle::Lines,
        };
        Counted::one(metrics.streams.of(style))
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::ServerSentEvents => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// A keep-alive.
    pub(super) fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::ServerSentEvents => b":\n\n",
            Self::Lines => b"\n",
        }
    }
}
