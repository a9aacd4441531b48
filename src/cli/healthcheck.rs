//! `dao-api healthcheck`: for containers that have no other program to ask with.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::CliError;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run(config: &Config) -> Result<(), CliError> {
    let host = if config.host.is_unspecified() { [127, 0, 0, 1].into() } else { config.host };
    let address = SocketAddr::new(host, config.port);
    match timeout(PATIENCE, ask(address)).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        Ok(Ok(answer)) => Err(CliError::new(format!(
            "the server at {address} is not ready: {}",
            answer.lines().last().unwrap_or_default()
        ))),
        Ok(Err(error)) => Err(CliError::new(format!("no server answers at {address}: {error}"))),
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
