//! The live path: which subscriber gets what, whatever the transport.
//!
//! Invariants:
//! - A subscriber is a cursor, never a queue: what it has not taken costs nothing, and what it gets
//!   is exactly the log after the point it named, in order, or a word that it must start again.
//! - Presence is never stored, and only the latest of it is kept.
//! - A subscription hands every commit out at least once, each graph's one after the other.
//! - While a graph is followed here, what other instances do to it is heard of; nothing is right only
//!   because it was.
//!
//! Not here: sockets, frames, JSON. Those are in `http`.

mod all_graphs;
mod cursor;
mod followed_graphs;
mod followers;
#[doc(hidden)]
pub mod fuzzing;
mod other_instances;
mod pacing;
mod presence;
mod presence_message;
mod presence_slot;
mod presence_update;
mod purge;
mod reader;
mod subscription;

pub use all_graphs::{AllGraphs, AllReader, Extent, InvalidPosition, Piece, Position, Since};
pub use cursor::{AvailableCommits, Cursor, CursorStep};
pub use followed_graphs::{FollowedGraph, FollowedGraphs, LogRead};
pub use followers::{Follower, PresentClient};
pub use other_instances::LiveConfig;
pub use pacing::{DeliveryPacing, PacedWatch, PacingConfig};
pub use presence::PresenceRoom;
pub use presence_slot::{InvalidSlot, PresenceSlot, SLOTS_MAX};
pub use presence_update::{PresenceUpdate, Present};
pub use purge::{PurgeEnding, PurgeError, Purger};
pub use reader::{Delivery, Reader};
pub use subscription::{
    Creation, DeliveredCommit, DeliveryLedger, DeliverySettings, InvalidName, ParkedCommit, ParkedCommits,
    SubscriptionError, SubscriptionName, SubscriptionStatus, Subscriptions, VersionSpan,
};
