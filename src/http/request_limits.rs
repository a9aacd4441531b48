//! Limits of requests and connections (rule O3), each a setting. Not here: limits of graphs.

use std::time::Duration;

use super::decode::DocumentLimits;

/// Bytes of a request's body, unless configured otherwise; larger is 413 (rule O3).
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// The limits of requests and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of a request's body, and of a message on a socket; larger is 413 (on a socket, `TOO_LARGE`).
    pub body_bytes_max: usize,
    /// Objects and arrays inside each other in a body or a message; deeper is 400.
    pub depth_max: usize,
    /// Operations in one batch; more is 422, none is 400.
    pub batch_operations_max: usize,
    /// Bytes of all bodies that are being read or acted on at once; a body beyond that is 503.
    pub bodies_bytes_max: usize,
    /// Bytes of all answers that are being sent at once, but for small ones; one beyond that is 503.
    pub answers_bytes_max: usize,
    /// Connections at once, sockets and streams among them; one more is 503 and closed.
    pub connections_max: usize,
    /// Connections from one address, but for trusted proxies; one more is 503 and closed.
    pub connections_per_address_max: usize,
    /// How long the head of a request may take to come, and how long a connection may wait for one; then it is
    /// closed.
    pub head_timeout: Duration,
    /// How long a body may bring no byte; then it is 408.
    pub body_idle_timeout: Duration,
    /// How long a whole body may take; then it is 408.
    pub body_timeout: Duration,
    /// How long the reader of an answer or a stream may take no byte of it; then the connection is closed (rule W6).
    pub answer_idle_timeout: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            depth_max: 64,
            batch_operations_max: 1_000,
            bodies_bytes_max: 64 << 20,
            answers_bytes_max: 128 << 20,
            connections_max: 25_000,
            connections_per_address_max: 12_500,
            head_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            answer_idle_timeout: Duration::from_secs(30),
        }
    }
}

impl RequestLimits {
    pub(super) fn document(&self) -> DocumentLimits {
        DocumentLimits { depth_max: self.depth_max, operations_max: self.batch_operations_max }
    }
}
