//! `dao-api healthcheck`: a readiness check for containers without another HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tokio::time::timeout;

use super::error::CliError;
use crate::{
    client::{Server, look},
    config::Config,
};

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(config: &Config) -> Result<(), CliError> {
    let mut outcome = Ok(());
    for host in reachable_at(config.host) {
        outcome = check(&Server::new(host, config.port)).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The addresses at which the server is reachable from its own machine.
fn reachable_at(host: IpAddr) -> Vec<IpAddr> {
    let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match host {
        IpAddr::V4(host) if host.is_unspecified() => vec![v4],
        // Whether it accepts IPv4 as well is the system's choice.
        IpAddr::V6(host) if host.is_unspecified() => vec![IpAddr::V6(Ipv6Addr::LOCALHOST), v4],
        host => vec![host],
    }
}

async fn check(server: &Server) -> Result<(), CliError> {
    match timeout(PATIENCE, look(server, "/readyz")).await {
        Ok(Ok((200, _))) => Ok(()),
        Ok(Ok((_, answer))) => Err(CliError::new(format!(
            "the server at {server} is not ready: {}",
            answer.lines().last().unwrap_or_default()
        ))),
        Ok(Err(error)) => Err(CliError::new(format!("{server}: {error}; check HOST and PORT"))),
        Err(_late) => Err(CliError::new(format!("the server at {server} did not answer in time"))),
    }
}
