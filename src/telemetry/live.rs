//! Metrics of WebSockets and streams: open connections, messages, and where delivered commits were read from.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, PerWord, label::words, registered::registered};

words!(
    /// The direction of a message.
    Direction, "direction" {
        /// From a client.
        In = "in",
        /// To a client.
        Out = "out",
    }
);

words!(
    /// Why the server closed a socket.
    DropReason, "reason" {
        /// It read nothing for too long.
        Slow = "slow",
        /// It sent nothing, not even answers to pings.
        Silent = "silent",
        /// It violated the WebSocket protocol.
        Protocol = "protocol",
        /// It sent no valid token, or its token expired.
        Unauthenticated = "unauthenticated",
    }
);

words!(
    /// Where delivered commits were read from.
    Source, "source" {
        /// Memory: the follower is caught up, or nearly.
        Memory = "memory",
        /// The log: the follower is further behind than memory reaches.
        Log = "log",
    }
);

words!(
    /// The format of a stream.
    StreamStyle, "style" {
        /// `text/event-stream`.
        ServerSentEvents = "sse",
        /// `application/x-ndjson`.
        Lines = "ndjson",
    }
);

/// Metrics of sockets and streams.
pub struct LiveMetrics {
    /// Open sockets.
    pub sockets: Gauge,
    /// Sockets opened since the start.
    pub sockets_opened: Counter,
    /// Subscriptions of sockets to graphs.
    pub socket_subscriptions: Gauge,
    /// Messages received and sent.
    pub messages: PerWord<Direction, Counter>,
    /// Calls that wrote to a socket.
    pub sends: Counter,
    /// Bytes received and sent. Received bytes don't include the HTTP handshake.
    pub bytes: PerWord<Direction, Counter>,
    /// Sockets that the server closed.
    pub dropped: PerWord<DropReason, Counter>,
    /// Open streams.
    pub streams: PerWord<StreamStyle, Gauge>,
    /// Commits delivered to followers.
    pub delivered: PerWord<Source, Counter>,
    /// Snapshots sent to followers.
    pub snapshots: Counter,
    /// Followers that are catching up from the log now.
    pub laggards: Gauge,
    /// How many commits a follower was behind when it read the log.
    pub lag_commits: Histogram,
}

impl LiveMetrics {
    #[expect(clippy::too_many_lines, reason = "one entry for each metric")]
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            sockets: registered(registry, "websocket_connections", "Open WebSockets", Gauge::default()),
            sockets_opened: registered(
                registry,
                "websocket_connections_opened",
                "WebSockets opened",
                Counter::default(),
            ),
            socket_subscriptions: registered(
                registry,
                "websocket_subscriptions",
                "Subscriptions of WebSockets to graphs",
                Gauge::default(),
            ),
            messages: registered(
                registry,
                "websocket_messages",
                "WebSocket messages received and sent",
                PerWord::default(),
            ),
            sends: registered(
                registry,
                "websocket_sends",
                "Writes to WebSockets; each carries one message or several",
                Counter::default(),
            ),
            bytes: registered(
                registry,
                "websocket_bytes",
                "WebSocket bytes received and sent",
                PerWord::default(),
            ),
            dropped: registered(
                registry,
                "websocket_dropped",
                "WebSockets closed by the server, by reason",
                PerWord::default(),
            ),
            streams: registered(registry, "streams", "Open streams (SSE and NDJSON)", PerWord::default()),
            delivered: registered(
                registry,
                "live_commits",
                "Commits delivered to WebSockets and to streams of one graph",
                PerWord::default(),
            ),
            snapshots: registered(
                registry,
                "live_snapshots",
                "Snapshots sent to WebSockets",
                Counter::default(),
            ),
            laggards: registered(
                registry,
                "live_laggards",
                "Followers that are catching up from the log",
                Gauge::default(),
            ),
            lag_commits: registered(
                registry,
                "live_lag_commits",
                "How many commits a follower was behind when it read the log",
                Histogram::of_counts(),
            ),
        }
    }
}

/// Adds one to a gauge until it is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// Adds one.
    pub fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
