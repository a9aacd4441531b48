//! The write path: one task a graph; load, decide, append, answer.
//!
//! [`Graphs`] is where all of it is asked for. Invariants:
//! - Nothing is acknowledged that is not durable, and nothing durable is refused.
//! - A graph is written by one task in this process; another process is found out by its commits,
//!   through the expected head, and never by a lock.
//! - Everything waits in bounded places: mailboxes, rounds, rings; and the graphs in memory are bounded in number and
//!   in bytes.
//!
//! Not here: JSON, status codes, SQL, Redis.

mod answer;
mod board;
mod budget;
mod busy;
mod count;
mod graphs;
mod hear;
mod hindsight;
mod level;
pub mod log;
mod mailbox;
mod past;
mod recent;
mod registry;
mod round;
pub mod snapshot;
mod task;
mod view;

pub use answer::{Answer, Effect, Ending, Shown, WriteError};
pub use board::Hot;
pub use busy::busy;
pub use graphs::{Answers, Graphs, GraphsConfig, HOT_BYTES_MAX};
pub use recent::{Recorded, Ring};
pub use round::ANSWER_BYTES_MAX;
pub use task::Clock;
pub use view::{Encoding, View};
