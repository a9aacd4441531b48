//! The Unix socket of a server. Whoever can open it is admin: its file is for the user of the server alone, and only that
//! user and root are listened to.
//!
//! Not here: who may have it at all. A server that holds the lock of its store replaces the socket of one that died.

use std::{
    convert::Infallible,
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt, net::SocketAddr},
    path::Path,
    pin::pin,
    time::Duration,
};

use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream, unix::uid_t},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::LocalService;

/// How long requests may take that are under way when the server stops.
const DRAIN: Duration = Duration::from_secs(10);
/// The pause after `accept` failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The user that may do everything.
const ROOT: uid_t = 0;
/// How long a head may take, and a connection be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// Binds a socket at this path, in place of one that a dead server left. The caller holds the lock of the store.
pub fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    // A path that is too long could be bound under the shorter name, and nobody could connect.
    SocketAddr::from_pathname(path)?;
    // Under another name until nobody else can open it.
    let unready = path.with_extension("new");
    remove(&unready)?;
    let listener = UnixListener::bind(&unready)?;
    fs::set_permissions(&unready, Permissions::from_mode(0o600))?;
    fs::rename(&unready, path)?;
    Ok(listener)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Serves until `stop`, then removes the socket, answers what was read and finishes the copies that were begun, as far as
/// that ends in time.
pub async fn serve_socket(
    listener: UnixListener,
    path: &Path,
    service: LocalService,
    stop: CancellationToken,
) {
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if !is_trusted(&stream) => drop(stream),
            Ok((stream, _)) => {
                let (service, stop, cut) = (service.clone(), stop.clone(), cut.clone());
                drop(connections.spawn(async move {
                    tokio::select! {
                        () = serve(stream, service, stop) => {}
                        () = cut.cancelled() => {}
                    }
                }));
            }
            Err(error) => {
                tracing::warn!("the socket of the command line takes no connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Who connects from now on is not left waiting.
    drop(listener);
    if let Err(error) = remove(path) {
        tracing::warn!("{} could not be removed: {error}", path.display());
    }
    connections.close();
    let rest = async {
        connections.wait().await;
        // Also those whose caller is gone.
        service.copies.wait().await;
    };
    if timeout(DRAIN, rest).await.is_err() {
        tracing::warn!("commands that did not end in time were cut off");
        // Before the store closes.
        cut.cancel();
        service.copies.cut();
        connections.wait().await;
        service.copies.wait().await;
    }
}

/// Whether the other end is this user or root. In a directory that others may enter, the file of the socket is open to
/// them from when it is made until it has its mode.
fn is_trusted(stream: &UnixStream) -> bool {
    let trusted = stream.peer_cred().and_then(|peer| Ok(is_owner(peer.uid(), own_user()?)));
    trusted.unwrap_or_else(|error| {
        tracing::warn!("the user of a command can't be told: {error}");
        false
    })
}

fn is_owner(user: uid_t, own: uid_t) -> bool {
    user == ROOT || user == own
}

/// The user of this process, as the system tells the other end of a socket.
fn own_user() -> io::Result<uid_t> {
    let (one, _other) = UnixStream::pair()?;
    Ok(one.peer_cred()?.uid())
}

async fn serve(
    stream: UnixStream,
    LocalService { http: service, .. }: LocalService,
    stop: CancellationToken,
) {
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answering = service.clone().answer(request.map(Body::new));
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), answer));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the command line ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_to_which_nobody_could_connect_is_not_bound() {
        /// Bytes of a path, without the zero at its end.
        const PATH_BYTES_MAX: usize = 107;
        let dir = tempfile::tempdir().expect("a directory");
        let bound = |length: usize| {
            let filled = length - dir.path().as_os_str().len() - "//dao.sock".len();
            let place = dir.path().join("d".repeat(filled));
            fs::create_dir(&place).expect("a directory");
            let path = place.join("dao.sock");
            assert_eq!(path.as_os_str().len(), length);
            (bind_socket(&path).is_ok(), fs::read_dir(place).expect("a directory").count())
        };
        assert_eq!(bound(PATH_BYTES_MAX), (true, 1));
        assert_eq!(bound(PATH_BYTES_MAX + 1), (false, 0));
    }

    #[tokio::test]
    async fn only_the_user_of_the_server_and_root_are_listened_to() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        assert!(is_trusted(&one), "both ends are of this process");
        let own = own_user().expect("a user");
        assert!(is_owner(own, own) && is_owner(ROOT, own) && is_owner(ROOT, 1_000));
        assert!(!is_owner(1_001, 1_000) && !is_owner(1_001, ROOT));
    }
}
