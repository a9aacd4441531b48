//! When a connection may send and receive presence again, for each graph.
//!
//! Invariant: to leave a graph and come back makes a connection no faster (rule W7). Its pauses in that graph are
//! kept until they are over. Not here: how long they are ([`super::presence`]).

use std::collections::HashMap;

use dao_projections::GraphId;
use tokio::time::Instant;

use super::subscription::SUBSCRIPTIONS_MAX;

/// Graphs whose pauses are kept after their subscription has ended. Of more, the longest pause applies to every
/// graph that is subscribed to next.
const KEPT_MAX: usize = SUBSCRIPTIONS_MAX;

/// The pauses of one connection in one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PresencePause {
    /// No presence of the peer is passed on before.
    pub(super) send: Instant,
    /// The peer gets no presence of others before.
    pub(super) receive: Instant,
}

impl PresencePause {
    /// No pause.
    pub(super) fn none(now: Instant) -> Self {
        Self { send: now, receive: now }
    }

    fn longer(self, other: Self) -> Self {
        Self { send: self.send.max(other.send), receive: self.receive.max(other.receive) }
    }

    fn is_over(self, now: Instant) -> bool {
        self.send <= now && self.receive <= now
    }
}

/// The pauses in graphs that one connection has left.
#[derive(Default)]
pub(super) struct PresencePauses {
    left: HashMap<GraphId, PresencePause>,
    /// The longest of those for which there was no room.
    others: Option<PresencePause>,
}

impl PresencePauses {
    /// Keeps the pause of a subscription that ends.
    pub(super) fn keep(&mut self, graph: GraphId, pause: PresencePause, now: Instant) {
        self.left.retain(|_, kept| !kept.is_over(now));
        if pause.is_over(now) {
            return;
        }
        if self.left.len() < KEPT_MAX {
            self.left.insert(graph, pause);
        } else {
            self.others = Some(self.others.map_or(pause, |others| others.longer(pause)));
        }
    }

    /// The pause with which a subscription to this graph begins.
    pub(super) fn resume(&mut self, graph: &GraphId, now: Instant) -> PresencePause {
        self.others = self.others.filter(|others| !others.is_over(now));
        let kept = [self.left.remove(graph), self.others];
        kept.into_iter().flatten().fold(PresencePause::none(now), PresencePause::longer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn graph(n: usize) -> GraphId {
        GraphId::parse(&format!("g{n}")).expect("a graph id")
    }

    #[test]
    fn w7_pauses_are_kept_until_they_are_over_and_their_number_is_bounded() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let pause = |seconds| PresencePause { send: after(seconds), receive: now };
        let mut pauses = PresencePauses::default();
        pauses.keep(graph(0), pause(5), now);
        assert_eq!(pauses.resume(&graph(1), now), PresencePause::none(now));
        assert_eq!(pauses.resume(&graph(0), now), pause(5));
        assert_eq!(pauses.resume(&graph(0), now), PresencePause::none(now), "the subscription has it now");
        for n in 0..KEPT_MAX * 2 {
            pauses.keep(graph(n), pause(n as u64 + 1), now);
        }
        assert_eq!(pauses.left.len(), KEPT_MAX);
        assert_eq!(
            pauses.resume(&graph(9_999), now),
            pause(KEPT_MAX as u64 * 2),
            "the longest of the others"
        );
        let late = after(9_999);
        assert_eq!(pauses.resume(&graph(1), late).send, late);
        pauses.keep(graph(0), pause(1), late);
        assert_eq!((pauses.left.len(), pauses.others), (0, None));
    }
}
