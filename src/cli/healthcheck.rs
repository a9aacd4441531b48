//! `dao-api healthcheck`: a readiness check for containers without another HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::CliError;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(config: &Config) -> Result<(), CliError> {
    let mut outcome = Ok(());
    for host in reachable_at(config.host) {
        outcome = check(SocketAddr::new(host, config.port)).await;
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

async fn check(address: SocketAddr) -> Result<(), CliError> {
    match timeout(PATIENCE, ask(address)).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        Ok(Ok(answer)) => Err(CliError::new(format!(
            "the server at {address} is not ready: {}",
            answer.lines().last().unwrap_or_default()
        ))),
        Ok(Err(error)) => {
            Err(CliError::new(format!("no server answers at {address}: {error}; check HOST and PORT")))
        }
        Err(_late) => Err(CliError::new(format!("the server at {address} did not answer in time"))),
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    socket.take(64 << 10).read_to_string(&mut answer).await?;
    Ok(answer)
}
