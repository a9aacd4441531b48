//! Closing a connection whose peer is still sending.
//!
//! Closing a socket on which unread bytes arrive makes the system reset it, and a reset can destroy the answer before its
//! reader sees it. So the sending side is closed first, and incoming bytes are discarded until the peer closes too (RFC
//! 9112, 9.6).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long a peer may keep sending after its answer.
const LINGER_MAX: Duration = Duration::from_secs(30);
/// How long it may be silent.
const LINGER_IDLE: Duration = Duration::from_secs(5);
/// How much it may send: the sender of a far too large body still gets its answer, an endless one is cut off.
const LINGER_BYTES_MAX: u64 = 512 << 20;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 16 << 10;

/// Reads and discards, within these limits.
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
