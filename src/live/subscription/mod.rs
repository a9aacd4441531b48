//! Named subscriptions: consumers that share the commits of all graphs among them.
//!
//! Invariants:
//! - Every wanted commit is handed out at least once, and a graph's in the order of their versions: the next
//!   one, or run of several, when the one before is acknowledged or parked.
//! - What settles a delivery waits for no look: a look reads without a lock, and is judged again on what
//!   it has read if the subscription was changed meanwhile.
//! - All state is one document a subscription, changed only from what was seen: any number of
//!   instances can serve it, and a restart changes nothing.
//! - Leases are told by the instances' clocks; one that is ahead ends them early, and so delivers twice.
//!
//! The judgement is in `delivery_ledger`, which is synchronous; what is read, in `deliveries`. Not here: JSON.

mod deliveries;
mod delivery_id;
mod delivery_ledger;
mod error;
mod graph_lane;
mod name;
mod parked;
mod parked_commits;
mod reads;
mod spans;
mod subscriptions;

pub use self::{
    deliveries::DeliveredCommit,
    delivery_ledger::{DeliveryLedger, DeliverySettings},
    error::SubscriptionError,
    name::{InvalidName, SubscriptionName},
    parked::ParkedCommit,
    parked_commits::ParkedCommits,
    spans::VersionSpan,
    subscriptions::{Creation, SubscriptionStatus, Subscriptions},
};
