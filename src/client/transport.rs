//! The bytes between a client and a server: TCP, TLS over TCP, or a Unix socket.
//!
//! The certificate of a server is judged by what the system trusts; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name
//! other authorities.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::{
    error::LinkError,
    server::{Server, Transport},
};

/// How long a connection is idle before the other end is asked whether it is there, and how often it is asked.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A connection, whatever it goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the server.
pub(super) async fn connect(server: &Server) -> Result<Box<dyn Stream>, LinkError> {
    match server.transport() {
        Transport::Unix(path) => {
            Ok(Box::new(UnixStream::connect(path).await.map_err(LinkError::Unreachable)?))
        }
        Transport::Tcp => Ok(Box::new(tcp(server).await?)),
        Transport::Tls => {
            let untrusted = |error: &dyn std::fmt::Display| LinkError::Tls(error.to_string());
            let name = ServerName::try_from(server.name().to_owned()).map_err(|e| untrusted(&e))?;
            let connector = TlsConnector::from(trust()?);
            let stream = connector.connect(name, tcp(server).await?).await.map_err(|e| untrusted(&e))?;
            Ok(Box::new(stream))
        }
    }
}

async fn tcp(server: &Server) -> Result<TcpStream, LinkError> {
    let socket = TcpStream::connect(server.authority()).await.map_err(LinkError::Unreachable)?;
    socket.set_nodelay(true).map_err(LinkError::Broken)?;
    let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    SockRef::from(&socket).set_tcp_keepalive(&alive).map_err(LinkError::Broken)?;
    Ok(socket)
}

/// Whom this machine trusts, read once.
fn trust() -> Result<Arc<ClientConfig>, LinkError> {
    static TRUST: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    TRUST
        .get_or_init(|| read_trust().map(Arc::new).map_err(|e| e.to_string()))
        .clone()
        .map_err(LinkError::Tls)
}

fn read_trust() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
