//! A client that misses no commit: the reference for clients in any language.
//!
//! [`Follower`] is the algorithm: a synchronous state machine that takes what arrived and returns what to do.
//! [`Client`] is a loop around it, over TCP or TLS.
//!
//! # The algorithm
//!
//! A client keeps two things, also across its own restarts: the *point* it has applied (a version and its hash), and the
//! *operations* that have not ended, with the exact frames that it sent. It also keeps some of the points it had applied
//! before, and one `clientId`, which it always sends (rule D1).
//!
//! 1. Connect to `/ws` with the subprotocol `dao.v1.json`. Send `SUBSCRIBE` with the point, and in
//!    `pending` the ids of the operations (rules W2, W3). Without a point, send neither version nor
//!    hash.
//! 2. The answer is `SYNC`. `in_sync`: nothing is missing. `replay`: the missing commits follow.
//!    `snapshot`: drop everything, take `state`, and its version and hash as the point (rules W2,
//!    V4). A client that needs every commit asks `GET changes?since=…&hash=…` instead; the history was replaced only if
//!    the answer says `reset` (rule H2).
//! 3. `settled` in the same frame: `completed` ends the operation as soon as the point has reached
//!    its version; `conflict` and `failed` end it now; `unknown` means to send it again, the same
//!    bytes under the same id, in the order in which the operations were made (rules W3, C3). Operations that
//!    `settled` does not name are sent again too.
//! 4. `STATE_UPDATE` with the point's version plus one: apply it, and make it the point. At or below the point it is a
//!    repeat: skip it. Beyond it is a gap: drop the connection and go to 1; the point is still good (rule W4). Skip
//!    events of types that you don't know (rule L15).
//! 5. The user edits: keep the operation, show it on top of the point's state, send it. Its `clientVersion` and `clientHash` are the point that the user had seen (rule D8).
//!    It ends with the `STATE_UPDATE` that carries its id, with its `ACK`, or with its `REVERT`,
//!    whichever is first; a `REVERT` that is `temporary` only means to send it again later (rule W5).
//!    What is shown is always the point's state with the operations that have not ended on top.
//! 6. An unrequested `SYNC`: the history was replaced. Do as in 2 (rules V4, W2). An `ERROR` about the graph where a
//!    `SYNC` is due: `SUBSCRIBE` again after a second if its code is one of a 503, else give up (rules W2, W9).
//! 7. Answer pings. After two `heartbeatMs` without a byte the server is gone (rule W8).
//! 8. After `GOODBYE`, reconnect when it says. After any other end, reconnect with delays that double and have random
//!    jitter. Go to 1.
//! 9. `HISTORY_REPLACED`: the operation was made in a history that no longer exists. Send the same id again with an
//!    older point that was kept from before the edit, and step back further while the answer is the same; version 0
//!    with a hash of zeros is in every history. The operation is then judged against everything that others did since
//!    that point, and overwrites nothing that the user has not seen (rule D8).
//!
//! Invariants:
//! - A client applies exactly the log after its first point, each commit once and in order, or starts from a snapshot.
//!   No order of cuts, repeats and reconnects changes that.
//! - An operation ends once. Until then it is sent again, byte by byte the same.
//! - Nothing is queued without a bound: what the application does not ask for is not read.
//!
//! Not here: optimistic state and how it is drawn; MessagePack and compression; several
//! graphs on one connection (run one [`Follower`] for each).

mod backoff;
mod connection;
mod error;
mod follower;
mod frames;
mod http;
mod page;
mod rebase;
mod received;
mod server;
mod socket;
mod step;
mod transport;

pub use connection::{Address, Client, Update};
pub use error::{AskError, ClientError, LinkError};
pub use follower::Follower;
pub use frames::{
    Ack, Complaint, Goodbye, Limits, Operation, Presence, Revert, ServerFrame, Settled, SettledStatus, Sync,
    SyncStatus, Unreadable, Welcome,
};
pub use http::{BODY_BYTES_MAX, Connection, look, percent_encoded};
pub use page::Page;
pub use received::Received;
pub use server::{InvalidToken, InvalidUrl, Server, Token};
pub use step::{Aim, Ending, Point, Refused, Snapshot, Step, Why};
