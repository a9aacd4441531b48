//! The end of a connection whose peer is still sending.
//!
//! Closing a socket on which unread bytes arrive makes the system reset it, and a reset takes the answer from under
//! its reader. So the sending side is closed first, and what comes is thrown away until the peer has seen that and
//! closes too (RFC 9112, 9.6).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a peer may send on after its answer.
const LINGER_MAX: Duration = Duration::from_secs(30);
/// How long it may send nothing.
const LINGER_IDLE: Duration = Duration::from_secs(5);
/// How much it may send: a body that is far too large gets its answer, and one without end is cut off.
const LINGER_BYTES_MAX: u64 = 512 << 20;
/// What is read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Reads and throws away, within bounds.
pub(super) async fn linger(mut socket: TcpStream) {
    let reading = async {
        socket.shutdown().await?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        while let Ok(read) = timeout(LINGER_IDLE, socket.read(&mut piece)).await {
            let read = read?;
            bytes += read as u64;
            if read == 0 || bytes > LINGER_BYTES_MAX {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let _gone_or_slow = timeout(LINGER_MAX, reading).await;
}
