//! The catch-up and live state machine of one subscription, as a synchronous step.
//!
//! A cursor is the head that the subscriber has. Each step looks at the graph's head and at what is
//! in memory, and says what comes next. Rule V4 is kept here: nothing is delivered after a point
//! unless its hash is the hash of that version in today's history.

use std::sync::Arc;

use dao_projections::{Head, Version};

use crate::write::{GraphWatch, NewerCommits, Recorded};

/// Commits taken from memory in one step.
const STEP_COMMITS_MAX: usize = 64;

/// How far one subscriber is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: Head,
}

/// What is known of the graph when a step is taken.
pub struct AvailableCommits {
    /// The graph's head.
    pub head: Head,
    /// The commits after the cursor, with the head they follow on, if memory reaches back to it.
    pub in_memory: Option<(Head, Vec<Arc<Recorded>>)>,
}

impl AvailableCommits {
    /// What memory holds after this version; `None` while the graph is not in memory.
    pub fn after(version: Version, graph: &GraphWatch) -> Option<Self> {
        // Mostly there are some, and one lock is enough.
        if let Some(NewerCommits { from, commits, head }) = graph.newer_than(version, STEP_COMMITS_MAX) {
            return Some(Self { head, in_memory: Some((from, commits)) });
        }
        let head = graph.head()?;
        let in_memory = graph.commits_since(version, STEP_COMMITS_MAX);
        // The ring has a commit before the view shows it: a cursor that is level with the ring is ahead of that head.
        let head = match &in_memory {
            Some((from, commits)) => {
                let known = commits.last().map_or(*from, |last| last.commit.head());
                if known.version > head.version { known } else { head }
            }
            None => head,
        };
        Some(Self { head, in_memory })
    }
}

/// What comes next for a subscriber.
#[derive(Debug)]
pub enum CursorStep {
    /// Nothing: it has all there is.
    CaughtUp,
    /// These commits, the first of which follows on the cursor.
    Deliver(Vec<Arc<Recorded>>),
    /// What lies in `(after, to]` has to be read from the log first.
    ReadLog {
        /// The cursor's version.
        after: Version,
        /// The head's.
        to: Version,
    },
    /// Its history is not the graph's: it must start from a snapshot.
    StartAgain,
}

impl Cursor {
    /// A subscriber that has everything up to this point.
    pub fn at(head: Head) -> Self {
        Self { at: head }
    }

    /// The point up to which it has everything.
    pub fn head(&self) -> Head {
        self.at
    }

    /// What comes next.
    pub fn step(&self, known: AvailableCommits) -> CursorStep {
        if known.head == self.at {
            return CursorStep::CaughtUp;
        }
        if known.head.version <= self.at.version {
            return CursorStep::StartAgain;
        }
        match known.in_memory {
            Some((from, _)) if from != self.at => CursorStep::StartAgain,
            Some((_, commits)) if !commits.is_empty() => CursorStep::Deliver(commits),
            _ => CursorStep::ReadLog { after: self.at.version, to: known.head.version },
        }
    }

    /// What to do with commits that were read from the log from the cursor on, or from a little
    /// before it: they follow on it, or they are another history's.
    pub fn check(&self, commits: &[Arc<Recorded>]) -> CursorStep {
        let next = commits.partition_point(|commit| commit.commit.version <= self.at.version);
        match commits.get(next) {
            Some(first) if self.at.after(&first.body) == first.commit.head() => {
                CursorStep::Deliver(commits[next..].to_vec())
            }
            _ => CursorStep::StartAgain,
        }
    }

    /// The subscriber has been given this commit, the one after the cursor.
    pub fn advance(&mut self, commit: &Recorded) {
        debug_assert_eq!(self.at.version.next(), commit.commit.version);
        self.at = commit.commit.head();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dao_projections::{CommandType, Commit, CommitBody, OperationId, Outcome, Timestamp};

    use super::*;

    /// A history of `n` commits; `who` makes it differ from others.
    fn history(n: u64, who: &str) -> Vec<Arc<Recorded>> {
        let mut head = Head::EMPTY;
        (0..n)
            .map(|i| {
                let body = CommitBody {
                    operation_id: OperationId::from(uuid::Uuid::from_u128(i.into())),
                    user_id: who.parse().expect("a user"),
                    client_id: who.parse().expect("a client"),
                    is_client_named: true,
                    traceparent: None,
                    timestamp: Timestamp(i),
                    command_type: CommandType::Batch,
                    outcome: Outcome::Applied,
                    undoes: vec![],
                    restores: None,
                    is_erased: false,
                    events: vec![],
                };
                let bytes = Bytes::from(body.encode());
                head = head.after(&bytes);
                Recorded::new(Commit { version: head.version, hash: head.hash, body }, bytes)
            })
            .collect()
    }

    fn head_of(history: &[Arc<Recorded>]) -> Head {
        history.last().map_or(Head::EMPTY, |last| last.commit.head())
    }

    fn known(history: &[Arc<Recorded>], memory_from: usize, cursor: Head) -> AvailableCommits {
        let at = cursor.version.get() as usize;
        let in_memory = (at >= memory_from && at <= history.len())
            .then(|| (head_of(&history[..at]), history[at..].to_vec()));
        AvailableCommits { head: head_of(history), in_memory }
    }

    #[test]
    fn w4_a_subscriber_at_the_head_is_level() {
        let all = history(3, "ada");
        let cursor = Cursor::at(head_of(&all));
        assert!(matches!(cursor.step(known(&all, 0, cursor.head())), CursorStep::CaughtUp));
    }

    #[test]
    fn w4_what_is_missing_comes_from_memory_in_order() {
        let all = history(5, "ada");
        let mut cursor = Cursor::at(head_of(&all[..2]));
        let CursorStep::Deliver(commits) = cursor.step(known(&all, 1, cursor.head())) else {
            panic!("no commits")
        };
        commits.iter().for_each(|commit| cursor.advance(commit));
        assert_eq!(cursor.head(), head_of(&all));
    }

    #[test]
    fn w6_what_memory_has_let_go_of_comes_from_the_log() {
        let all = history(5, "ada");
        let cursor = Cursor::at(head_of(&all[..1]));
        let step = cursor.step(known(&all, 3, cursor.head()));
        assert!(matches!(step, CursorStep::ReadLog { after, to } if after.get() == 1 && to.get() == 5));
        assert!(matches!(cursor.check(&all[1..3]), CursorStep::Deliver(commits) if commits.len() == 2));
    }

    #[test]
    fn w6_a_read_shared_with_others_may_begin_before_the_cursor() {
        let all = history(5, "ada");
        let cursor = Cursor::at(head_of(&all[..2]));
        assert!(matches!(cursor.check(&all), CursorStep::Deliver(commits) if commits.len() == 3));
        assert!(matches!(cursor.check(&all[..2]), CursorStep::StartAgain), "the log ends before the head");
    }

    #[test]
    fn v4_a_point_of_another_history_starts_again() {
        let (ours, theirs) = (history(5, "ada"), history(3, "bob"));
        let cursor = Cursor::at(head_of(&theirs));
        assert!(matches!(cursor.step(known(&ours, 0, cursor.head())), CursorStep::StartAgain), "in memory");
        assert!(matches!(cursor.check(&ours[3..]), CursorStep::StartAgain), "in the log");
        assert!(
            matches!(cursor.step(known(&ours[..3], 0, cursor.head())), CursorStep::StartAgain),
            "the same version"
        );
        assert!(
            matches!(cursor.step(known(&ours[..2], 0, cursor.head())), CursorStep::StartAgain),
            "a lost tail"
        );
    }
}
