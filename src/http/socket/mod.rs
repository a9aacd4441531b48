//! `GET /ws`: the WebSocket (rules W).
//!
//! | file | contents |
//! |---|---|
//! | `handshake` | checks the request, admits the peer, starts the connection |
//! | `credentials`, `authorize` | the peer's token, and which frames it allows |
//! | `connection`, `timers`, `send_queue` | the loop that reads and writes the socket |
//! | `client_frames`, `envelope`, `message_pack`, `long_messages` | frames of clients, read strictly |
//! | `dispatch`, `answers` | executes frames; answers them |
//! | `subscription`, `subscriptions` | one followed graph; all of a connection |
//! | `catch_up`, `pending_reads` | reads of the store for subscriptions |
//! | `presence`, `presence_pauses` | presence of the peer and of others, and how often it is passed on |
//! | `server_frames` | frames of the server and their encoding |
//! | `socket_permits`, `message_budget` | limits: open sockets, memory of long messages |
//! | `live` | state that all sockets share |
//!
//! Once the handshake is answered, a connection owns its socket and uses nothing of the HTTP server.
//! Not here: the codec ([`crate::websocket`]).

mod answers;
mod authorize;
mod catch_up;
pub(super) mod client_frames;
mod connection;
mod credentials;
mod dispatch;
mod envelope;
mod handshake;
mod live;
mod long_messages;
mod message_budget;
mod message_pack;
mod pending_reads;
mod presence;
mod presence_pauses;
mod send_queue;
mod server_frames;
mod socket_permits;
mod subscription;
mod subscriptions;
mod timers;

use handshake::Peer;
pub(super) use handshake::upgrade;
pub(super) use live::Live;
pub(super) use socket_permits::SocketPermit;
