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

mod append_outcome;
mod append_signals;
mod blocking;
mod budget;
mod conflict_window;
pub mod copy;
mod ended_operations;
mod graph_task;
mod graphs;
pub mod history_reader;
mod loading;
mod mailbox;
mod past;
mod published;
mod registry;
mod remote_commits;
mod reply;
mod ring;
mod round;
pub mod snapshot;
pub mod version_at_time;
mod view;
mod write_metrics;

pub use append_signals::ListingChange;
pub use blocking::run_blocking;
pub use graph_task::Clock;
pub use graphs::{Graphs, GraphsConfig, HOT_BYTES_MAX, Replies};
pub use published::{GraphWatch, NewerCommits};
pub use reply::{CommandResult, Effect, Ending, Reply, WriteError};
pub use ring::{ENCODING_SLOTS, Recorded, Ring};
pub use round::ANSWER_BYTES_MAX;
pub use view::{Encoding, View};
