//! What the tasks of graphs tell the rest of this process when they have appended. Any of it may be missed.
//!
//! Not here: what followers of one graph are told ([`super::published`]).

use dao_projections::{Entity, GraphId, Version};
use tokio::sync::{broadcast, watch};

use super::ring::Recorded;

/// Changes of listings that a receiver may be behind. With more, it misses the oldest.
const LISTING_CHANGES_MAX: usize = 256;

/// A graph changed as lists show it: its attributes, labels or trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingChange {
    /// Which.
    pub graph: GraphId,
    /// In this version.
    pub version: Version,
}

/// Where tasks tell of what they appended.
pub(super) struct AppendSignals {
    appended: watch::Sender<()>,
    listings: broadcast::Sender<ListingChange>,
}

impl AppendSignals {
    pub(super) fn new() -> Self {
        Self { appended: watch::Sender::new(()), listings: broadcast::Sender::new(LISTING_CHANGES_MAX) }
    }

    /// Something was appended, to whichever graph.
    pub(super) fn tell_appended(&self) {
        self.appended.send_replace(());
    }

    pub(super) fn appended(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    /// Tells of the last of these durable commits that changed how lists show the graph. A graph that has just come to be
    /// is no news: a projector lists it at once.
    pub(super) fn tell_listing_changes<'c>(
        &self,
        graph: &GraphId,
        commits: impl IntoIterator<Item = &'c Recorded>,
    ) {
        let is_of_graph =
            |recorded: &&Recorded| recorded.commit.body.events.iter().any(|e| e.entity() == Entity::Graph);
        let last = commits.into_iter().filter(is_of_graph).map(|recorded| recorded.commit.version).last();
        if let Some(version) = last.filter(|version| *version != Version::EMPTY.next()) {
            // It fails if there is no receiver.
            let _unheard = self.listings.send(ListingChange { graph: graph.clone(), version });
        }
    }

    pub(super) fn listing_changes(&self) -> broadcast::Receiver<ListingChange> {
        self.listings.subscribe()
    }
}
