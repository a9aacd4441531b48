//! The write path: one task a graph; load, decide, append, answer.
//!
//! [`Graphs`] is the registry of the graphs in use. Invariants:
//! - Nothing is acknowledged that is not durable, and nothing durable is refused.
//! - A graph is written by one task in this process; another process is found out by its commits,
//!   through the expected head, and never by a lock.
//! - Everything waits in bounded places: mailboxes, rounds, rings, the number of hot graphs.
//!
//! Not here: JSON, status codes, SQL, Redis.

mod answer;
mod busy;
mod count;
mod hear;
mod hindsight;
pub mod log;
mod mailbox;
mod recent;
mod registry;
mod round;
pub mod snapshot;
mod task;
mod view;

pub use answer::{Answer, Effect, Ending, Shown, WriteError};
pub use busy::busy;
pub use recent::{Recorded, Ring};
pub use registry::{Answers, Graphs, GraphsConfig, Hot};
pub use round::ANSWER_BYTES_MAX;
pub use task::Clock;
pub use view::{Encoding, View};
