//! Counts the long messages that a connection receives, and its long commands in flight, in the budget of all request
//! bodies (rule O3). That bounds the memory of all sockets together.

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::http::request_body::Bodies;

/// Shorter messages are not counted: most have a few hundred bytes, and an idle connection holds none.
const UNCOUNTED_BYTES: usize = 16 << 10;
/// Bytes are counted in steps of this size, not for every read.
const STEP_BYTES: usize = 64 << 10;

/// The message that one connection is receiving.
#[derive(Clone, Copy)]
pub(super) struct IncompleteMessage {
    /// Tells it from the message before it.
    pub(super) number: u32,
    /// Bytes of it that are held.
    pub(super) bytes: usize,
    /// Whether it is over the limit, so that its bytes are dropped.
    pub(super) is_skipped: bool,
}

/// The bytes of one connection that are counted.
#[derive(Default)]
pub(super) struct MessageBudget {
    held: Option<OwnedSemaphorePermit>,
    /// The number of the long message under way, and when it must be complete.
    deadline: Option<(u32, Instant)>,
}

impl MessageBudget {
    /// Counts the bytes of the incomplete message and of commands in flight, or returns why the connection must close. A
    /// message that is skipped has the same time to complete as one that is kept.
    pub(super) fn count(
        &mut self,
        message: IncompleteMessage,
        in_flight: usize,
        now: Instant,
        bodies: &Bodies,
    ) -> Result<(), &'static str> {
        self.deadline = match self.deadline {
            _ if message.bytes <= UNCOUNTED_BYTES && !message.is_skipped => None,
            Some((number, until)) if number == message.number => {
                if until <= now {
                    return Err("the message was not complete in time");
                }
                Some((number, until))
            }
            // Two long messages may follow each other without a moment in between.
            _ => Some((message.number, now + bodies.patience())),
        };
        let under_way = message.bytes + in_flight;
        if under_way <= UNCOUNTED_BYTES {
            self.held = None;
            return Ok(());
        }
        let enough = under_way.next_multiple_of(STEP_BYTES);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if held < under_way {
            let more = bodies
                .count(enough - held)
                .map_err(|_full| "too many request bytes in flight. Try again later")?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        } else if held > enough {
            self.held = self.held.as_mut().and_then(|held| held.split(enough));
        }
        Ok(())
    }

    /// Adds bytes that were counted elsewhere for this connection.
    pub(super) fn adopt(&mut self, counted: Option<OwnedSemaphorePermit>) {
        match (&mut self.held, counted) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }

    /// When the connection closes unless the message is complete.
    pub(super) fn until(&self) -> Option<Instant> {
        self.deadline.map(|(_, until)| until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestLimits;

    fn kept(bytes: usize) -> IncompleteMessage {
        IncompleteMessage { number: 1, bytes, is_skipped: false }
    }

    fn skipped(number: u32) -> IncompleteMessage {
        IncompleteMessage { number, bytes: 0, is_skipped: true }
    }

    #[tokio::test(start_paused = true)]
    async fn o3_long_messages_are_counted_while_they_last() {
        let limits = RequestLimits { bodies_bytes_max: 256 << 10, ..RequestLimits::default() };
        let bodies = Bodies::new(limits);
        let (mut one, mut two) = (MessageBudget::default(), MessageBudget::default());
        let now = Instant::now();
        assert_eq!(one.count(kept(16 << 10), 0, now, &bodies), Ok(()));
        assert_eq!((one.until(), one.held.is_none()), (None, true), "a short one is free");
        assert_eq!(one.count(kept(150 << 10), 0, now, &bodies), Ok(()));
        assert!(two.count(kept(100 << 10), 0, now, &bodies).is_err(), "there is room for one");
        assert_eq!(one.count(kept(0), 150 << 10, now, &bodies), Ok(()), "it is held until it is answered");
        assert_eq!(one.until(), None, "and is whole");
        assert!(two.count(kept(100 << 10), 0, now, &bodies).is_err());
        assert_eq!(one.count(kept(0), 20 << 10, now, &bodies), Ok(()), "what is answered is given back");
        assert!(two.count(kept(100 << 10), 0, now, &bodies).is_ok());
        assert_eq!(one.count(kept(0), 0, now, &bodies), Ok(()));
        assert_eq!(two.count(kept(0), 0, now, &bodies), Ok(()));
        assert!(bodies.count(256 << 10).is_ok(), "all of it");
    }

    #[tokio::test(start_paused = true)]
    async fn o3_a_long_message_comes_to_its_end_in_time() {
        let bodies = Bodies::new(RequestLimits::default());
        let mut message_budget = MessageBudget::default();
        let began = Instant::now();
        assert!(message_budget.count(kept(100 << 10), 0, began, &bodies).is_ok());
        let until = message_budget.until().expect("a deadline");
        assert_eq!(until, began + bodies.patience());
        assert!(message_budget.count(kept(200 << 10), 0, until - bodies.patience() / 2, &bodies).is_ok());
        assert_eq!(message_budget.until(), Some(until), "progress does not move it");
        assert!(message_budget.count(kept(300 << 10), 0, until, &bodies).is_err());
        let mut skipping = MessageBudget::default();
        assert!(skipping.count(skipped(1), 0, began, &bodies).is_ok());
        assert_eq!(skipping.until(), Some(until), "one that is passed over as well");
        assert!(skipping.count(skipped(1), 0, until, &bodies).is_err());
        assert!(skipping.count(skipped(2), 0, until, &bodies).is_ok());
        assert_eq!(skipping.until(), Some(until + bodies.patience()), "the next one has its own time");
    }
}
