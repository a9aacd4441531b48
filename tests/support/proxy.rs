//! A TCP proxy that fails on cue, between a server and its Redis.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What a connection through the proxy does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It passes bytes on.
    Open,
    /// It stays open and passes nothing on: neither end can know.
    Dead,
    /// It is closed.
    Cut,
}

struct Connection {
    line: watch::Sender<Line>,
    /// Whether a subscription was asked for on it.
    subscribes: Arc<AtomicBool>,
}

/// Forwards connections to one port.
pub(crate) struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
    refuses: Arc<AtomicBool>,
    port: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (connections, refuses) = (Arc::<Mutex<Vec<Connection>>>::default(), Arc::<AtomicBool>::default());
        let port = Arc::new(AtomicU16::new(port));
        let task = tokio::spawn(accept(listener, port.clone(), connections.clone(), refuses.clone()));
        Self { address, connections, refuses, port, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on new connections lead to this port; those there are stay.
    pub(crate) fn lead_to(&self, port: u16) {
        self.port.store(port, Ordering::SeqCst);
    }

    /// Closes every connection; new ones are welcome.
    pub(crate) fn cut(&self) {
        for connection in self.connections.lock().expect("no panic while locked").drain(..) {
            connection.line.send_replace(Line::Cut);
        }
    }

    /// Closes every connection, and each that is made from now on at once.
    pub(crate) fn cut_off(&self) {
        self.refuses.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Those connections that have subscribed to anything pass on nothing more. How many that are.
    pub(crate) fn silence_subscribers(&self) -> usize {
        let connections = self.connections.lock().expect("no panic while locked");
        let subscribers = connections.iter().filter(|c| c.subscribes.load(Ordering::SeqCst));
        let silence = |count, connection: &Connection| {
            connection.line.send_replace(Line::Dead);
            count + 1
        };
        subscribers.fold(0, silence)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    port: Arc<AtomicU16>,
    connections: Arc<Mutex<Vec<Connection>>>,
    refuses: Arc<AtomicBool>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        if refuses.load(Ordering::SeqCst) {
            continue; // dropped, which closes it
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", port.load(Ordering::SeqCst))).await else {
            continue;
        };
        client.set_nodelay(true).expect("an option of TCP");
        server.set_nodelay(true).expect("an option of TCP");
        let (line, state) = watch::channel(Line::Open);
        let subscribes = Arc::<AtomicBool>::default();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(forward(from_client, to_server, state.clone(), Some(subscribes.clone())));
        tokio::spawn(forward(from_server, to_client, state, None));
        connections.lock().expect("no panic while locked").push(Connection { line, subscribes });
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    subscribes: Option<Arc<AtomicBool>>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let state = *line.borrow_and_update();
        match state {
            Line::Cut => return,
            Line::Dead => {
                if line.changed().await.is_err() {
                    return;
                }
            }
            Line::Open => tokio::select! {
                changed = line.changed() => if changed.is_err() { return },
                read = from.read(&mut buffer) => {
                    let Some(n) = read.ok().filter(|&n| n > 0) else { return };
                    if let Some(subscribes) = &subscribes
                        && buffer[..n].windows(10).any(|word| word == b"SSUBSCRIBE")
                    {
                        subscribes.store(true, Ordering::SeqCst);
                    }
                    if to.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
