//! A client that misses nothing, and the reference of how one works, for authors in any language.
//!
//! [`Follower`] is the algorithm: a synchronous state machine that is told what arrived and says
//! what to do. [`Client`] is a loop around it, over TCP.
//!
//! # The algorithm
//!
//! A client keeps two things, also over its own restarts: the *point* it has applied, a version and
//! its hash, and the *operations* that have not ended, with the exact frames that say them. It also keeps
//! some of the points it had applied before, and one `clientId`, which it always sends (rule D1).
//!
//! 1. Connect to `/ws` with the subprotocol `dao.v1.json`. Send `SUBSCRIBE` with the point, and in
//!    `pending` the ids of the operations (rules W2, W3). Without a point, send neither version nor
//!    hash.
//! 2. The answer is `SYNC`. `in_sync`: nothing is missing. `replay`: what is missing follows.
//!    `snapshot`: drop everything, take `state`, and its version and hash as the point (rules W2,
//!    V4). A client that needs every commit asks `GET changes?since=…&hash=…` instead; only where
//!    that says `reset` is the history another one (rule H2).
//! 3. `settled` in the same frame: `completed` ends the operation as soon as the point has reached
//!    its version; `conflict` and `failed` end it now; `unknown` means to send it again, the same
//!    bytes under the same id, in the order in which the operations were made (rules W3, C3). An
//!    operation that `settled` says nothing about is sent again too.
//! 4. `STATE_UPDATE` whose version is the point's plus one: apply it, and make it the point. One of
//!    the point's version or less is a repeat: pass over it. One beyond: a gap; drop the connection
//!    and go to 1, the point is still good (rule W4).
//! 5. The user does something: apply it on top of what is known, keep it among the operations, send
//!    it. Its `clientVersion` and `clientHash` are the point that the user had seen (rule D8).
//!    It ends with the `STATE_UPDATE` that carries its id, with its `ACK`, or with its `REVERT`,
//!    whichever is first; a `REVERT` that is `temporary` only means to send it again later (rule W5).
//!    What is shown is always the point's state with the operations that have not ended on top.
//! 6. A `SYNC` that nobody asked for is that of a history that was replaced: as in 2 (rules V4, W2).
//!    An `ERROR` about the graph where a `SYNC` is due: `SUBSCRIBE` again after a second where the
//!    code is one of a 503, else give up (rules W2, W9).
//! 7. Answer pings. Two `heartbeatMs` of `WELCOME` without a word: the server is gone (rule W8).
//! 8. After `GOODBYE`, come back when it says; after any other end with waits that double and are
//!    spread by chance. Go to 1.
//! 9. `HISTORY_REPLACED`: the operation was made in a history that is no more. Send the same id again with
//!    an older point that was kept from before the edit, ever further back while the answer is the same;
//!    version 0 with a hash of zeros is in every history. Then it is judged against all that others did
//!    since that point, and overwrites nothing that the user has not seen (rule D8).
//!
//! Invariants:
//! - What is applied is exactly the log after the first point, each commit once and in order, or
//!   the word that everything starts anew from a snapshot. No order of cuts, repeats and reconnects
//!   changes that.
//! - An operation ends once. It is sent until it has, and always asks for the same, byte by byte.
//! - Nothing is queued without a bound: what the application does not ask for is not read.
//!
//! Not here: optimistic state and how it is drawn; TLS, for which a tunnel or a proxy is needed;
//! MessagePack and compression, which a client may do without; several graphs on one connection
//! (run one [`Follower`] each).

mod backoff;
mod connection;
mod error;
mod follower;
mod frames;
mod http1;
mod page;
mod rebase;
mod server;
mod socket;
mod step;

pub use connection::{Address, Client, Update};
pub use error::{AskError, ClientError, LinkError};
pub use follower::Follower;
pub use frames::{
    Ack, Complaint, Goodbye, Limits, Operation, Presence, Received, Revert, ServerFrame, Settled,
    SettledStatus, Sync, SyncStatus, Unreadable, Welcome,
};
pub use http1::look;
pub use page::Page;
pub use server::{InvalidToken, InvalidUrl, Server, Token};
pub use step::{Aim, Ending, Point, Refused, Snapshot, Step, Why};
