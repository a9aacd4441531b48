//! How clients of Redis are set up: timeouts and bounds.

use std::time::Duration;

use fred::{
    prelude::{Builder, Config},
    types::config::{TcpConfig, UnresponsiveConfig},
};

/// How long the first connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// When a call counts as lost.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// When a connection on which nothing was answered counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Calls that wait to be written. A full queue refuses further ones as unavailable.
const COMMANDS_WAITING_MAX: usize = 100_000;

/// For a client that is connected once, and by which nothing is sent twice.
pub(super) fn client_builder(address: Config) -> Builder {
    let mut builder = Builder::from_config(address);
    builder
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT_TIMEOUT;
            connection.internal_command_timeout = CONNECT_TIMEOUT;
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = COMMANDS_WAITING_MAX;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(SILENCE_MAX), interval: Duration::from_secs(1) };
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND_TIMEOUT);
    builder
}

/// Published messages that wait for the task that forwards them. Beyond it they are lost, and every listener told so. The
/// client library keeps eight queues of this length, all made at once: 16,384 would take 14 MB.
pub(super) const WAITING_MAX: usize = 4_096;
