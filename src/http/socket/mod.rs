//! `GET /ws`: the WebSocket (rules W).
//!
//! | file | contents |
//! |---|---|
//! | `handshake` | checks the request, admits the peer, starts the connection |
//! | `peer`, `peer_credentials`, `credentials`, `authorize` | the peer's token, and which frames it allows |
//! | `connection`, `timers`, `send_queue`, `sending` | the loop that reads and writes the socket |
//! | `client_frames`, `envelope`, `message_pack`, `long_messages` | frames of clients, read strictly |
//! | `dispatch`, `submission`, `answers` | executes frames; answers them |
//! | `subscription`, `subscriptions`, `wake` | one followed graph; all of a connection |
//! | `pacing` | several commits in one write, if the server is busy |
//! | `catch_up`, `read_outcome`, `read_queue`, `pending_reads` | reads of the store for subscriptions |
//! | `presence`, `presence_pauses` | presence of the peer and of others, and how often it is passed on |
//! | `server_frames` | frames of the server and their encoding |
//! | `socket_permits`, `message_budget` | limits: open sockets, memory of long messages |
//! | `config`, `live` | settings and state that all sockets share |
//!
//! Once the handshake is answered, a connection owns its socket and uses nothing of the HTTP server.
//! Not here: the codec ([`crate::websocket`]).

mod answers;
mod authorize;
mod catch_up;
pub(super) mod client_frames;
mod config;
mod connection;
mod credentials;
mod dispatch;
mod envelope;
mod handshake;
mod live;
mod long_messages;
mod message_budget;
mod message_pack;
mod pacing;
mod peer;
mod peer_credentials;
mod pending_reads;
mod presence;
mod presence_pauses;
mod read_outcome;
mod read_queue;
mod send_queue;
mod sending;
mod server_frames;
mod socket_permits;
mod submission;
mod subscription;
mod subscriptions;
mod timers;
mod wake;

use self::peer::Peer;
pub use config::SocketConfig;
pub(super) use handshake::upgrade;
pub(super) use live::Live;
pub(super) use socket_permits::SocketPermit;
