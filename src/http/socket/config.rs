//! How sockets are served.

use std::time::Duration;

use crate::live::LiveConfig;

/// Settings of WebSockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketConfig {
    /// How often a peer is pinged. A peer that stays silent for two intervals is disconnected.
    pub heartbeat: Duration,
    /// Sockets at once; beyond that 503.
    pub connections_max: usize,
    /// How long the store remembers operations at least; clients are told.
    pub operation_ttl: Duration,
    /// How followed graphs catch up with other instances.
    pub live: LiveConfig,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            connections_max: 20_000,
            operation_ttl: Duration::from_secs(86_400),
            live: LiveConfig::default(),
        }
    }
}
