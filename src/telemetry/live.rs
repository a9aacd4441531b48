//! Sockets and streams: who is connected, and how what they are told was found.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use super::{Histogram, PerWord, registered, word::words};

words!(
    /// Which way a message went.
    Direction, "direction" {
        /// From a client.
        In = "in",
        /// To a client.
        Out = "out",
    }
);

words!(
    /// Why a socket was ended from here.
    DropReason, "reason" {
        /// It took no bytes.
        Slow = "slow",
        /// It answered nothing.
        Silent = "silent",
        /// It broke the protocol.
        Protocol = "protocol",
        /// It did not prove who it is, or not any more.
        Unauthenticated = "unauthenticated",
    }
);

words!(
    /// Where what a follower is told came from.
    Source, "source" {
        /// The commits in memory: it is level, or nearly.
        Memory = "memory",
        /// The log: it is behind what memory holds.
        Log = "log",
    }
);

words!(
    /// How a stream is written.
    StreamStyle, "style" {
        /// `text/event-stream`.
        ServerSentEvents = "sse",
        /// `application/x-ndjson`.
        Lines = "ndjson",
    }
);

/// What is counted of sockets and streams.
pub struct LiveMetrics {
    /// Sockets that are connected.
    pub sockets: Gauge,
    /// Sockets that ever were.
    pub sockets_opened: Counter,
    /// Graphs that sockets follow, each counted once for each socket.
    pub socket_subscriptions: Gauge,
    /// Messages of sockets.
    pub messages: PerWord<Direction, Counter>,
    /// Their bytes, of what clients sent without headers.
    pub bytes: PerWord<Direction, Counter>,
    /// Sockets that were ended from here.
    pub dropped: PerWord<DropReason, Counter>,
    /// Streams that are open.
    pub streams: PerWord<StreamStyle, Gauge>,
    /// Commits given to followers.
    pub delivered: PerWord<Source, Counter>,
    /// Snapshots given to followers.
    pub snapshots: Counter,
    /// Followers that are reading the log now.
    pub laggards: Gauge,
    /// How many commits a follower was behind each time it read the log.
    pub lag_commits: Histogram,
}

impl LiveMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            sockets: registered(registry, "websocket_connections", "Sockets that are open", Gauge::default()),
            sockets_opened: registered(
                registry,
                "websocket_connections_opened",
                "Sockets that were opened",
                Counter::default(),
            ),
            socket_subscriptions: registered(
                registry,
                "websocket_subscriptions",
                "Graphs that sockets follow",
                Gauge::default(),
            ),
            messages: registered(registry, "websocket_messages", "Messages of sockets", PerWord::default()),
            bytes: registered(registry, "websocket_bytes", "Bytes of these messages", PerWord::default()),
            dropped: registered(
                registry,
                "websocket_dropped",
                "Sockets that were ended from here",
                PerWord::default(),
            ),
            streams: registered(registry, "streams", "Streams that are open", PerWord::default()),
            delivered: registered(
                registry,
                "live_commits",
                "Commits given to sockets and streams of one graph",
                PerWord::default(),
            ),
            snapshots: registered(
                registry,
                "live_snapshots",
                "Snapshots given to sockets",
                Counter::default(),
            ),
            laggards: registered(
                registry,
                "live_laggards",
                "Followers that are being caught up from the log",
                Gauge::default(),
            ),
            lag_commits: registered(
                registry,
                "live_lag_commits",
                "Commits a follower was behind each time it read the log",
                Histogram::of_counts(),
            ),
        }
    }
}

/// One in a gauge, for as long as it is held.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// One more.
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
