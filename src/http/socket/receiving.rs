//! Long messages under way on one connection, and long commands that are not answered yet, counted with the bodies
//! of all requests (rule O3): however many sockets there are, together they hold what may be held.

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::http::request_body::Bodies;

/// Shorter messages are not counted: most are a few hundred bytes, and an idle connection has none.
const UNCOUNTED_BYTES: usize = 16 << 10;
/// Counted at once, so that a long message does not count every piece of it.
const STEP_BYTES: usize = 64 << 10;

/// What one connection is counted with.
#[derive(Default)]
pub(super) struct Receiving {
    held: Option<OwnedSemaphorePermit>,
    /// Until when the long message under way must be whole.
    until: Option<Instant>,
}

impl Receiving {
    /// Counts the bytes of a message under way and of commands in flight; or says why there can be no more. A message
    /// that is passed over has as long to come to its end as one that is kept.
    pub(super) fn count(
        &mut self,
        under_way: usize,
        is_skipping: bool,
        in_flight: usize,
        now: Instant,
        bodies: &Bodies,
    ) -> Result<(), &'static str> {
        self.until = match self.until {
            _ if under_way <= UNCOUNTED_BYTES && !is_skipping => None,
            Some(until) if until <= now => return Err("the message took too long to come"),
            known => known.or(Some(now + bodies.patience())),
        };
        let bytes = under_way + in_flight;
        if bytes <= UNCOUNTED_BYTES {
            self.held = None;
            return Ok(());
        }
        let enough = bytes.next_multiple_of(STEP_BYTES);
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if held < bytes {
            let more = bodies.count(enough - held).map_err(|_full| "as much as may be is being received")?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        } else if held > enough {
            self.held = self.held.as_mut().and_then(|held| held.split(enough));
        }
        Ok(())
    }

    /// Takes over what somebody else was counted with, on behalf of this connection.
    pub(super) fn adopt(&mut self, counted: Option<OwnedSemaphorePermit>) {
        match (&mut self.held, counted) {
            (Some(held), Some(more)) => held.merge(more),
            (held @ None, more) => *held = more,
            (Some(_), None) => {}
        }
    }

    /// When the connection ends unless the message under way is whole.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestLimits;

    #[tokio::test(start_paused = true)]
    async fn o3_long_messages_are_counted_while_they_last() {
        let limits = RequestLimits { bodies_bytes_max: 256 << 10, ..RequestLimits::default() };
        let bodies = Bodies::new(limits);
        let (mut one, mut two) = (Receiving::default(), Receiving::default());
        let now = Instant::now();
        assert_eq!(one.count(16 << 10, false, 0, now, &bodies), Ok(()));
        assert_eq!((one.until(), one.held.is_none()), (None, true), "a short one is free");
        assert_eq!(one.count(150 << 10, false, 0, now, &bodies), Ok(()));
        assert!(two.count(100 << 10, false, 0, now, &bodies).is_err(), "there is room for one");
        assert_eq!(one.count(0, false, 150 << 10, now, &bodies), Ok(()), "it is held until it is answered");
        assert_eq!(one.until(), None, "and is whole");
        assert!(two.count(100 << 10, false, 0, now, &bodies).is_err());
        assert_eq!(one.count(0, false, 20 << 10, now, &bodies), Ok(()), "what is answered is given back");
        assert!(two.count(100 << 10, false, 0, now, &bodies).is_ok());
        assert_eq!(one.count(0, false, 0, now, &bodies), Ok(()));
        assert_eq!(two.count(0, false, 0, now, &bodies), Ok(()));
        assert!(bodies.count(256 << 10).is_ok(), "all of it");
    }

    #[tokio::test(start_paused = true)]
    async fn o3_a_long_message_comes_to_its_end_in_time() {
        let bodies = Bodies::new(RequestLimits::default());
        let mut receiving = Receiving::default();
        let began = Instant::now();
        assert!(receiving.count(100 << 10, false, 0, began, &bodies).is_ok());
        let until = receiving.until().expect("a deadline");
        assert_eq!(until, began + bodies.patience());
        assert!(receiving.count(200 << 10, false, 0, until - bodies.patience() / 2, &bodies).is_ok());
        assert_eq!(receiving.until(), Some(until), "progress does not move it");
        assert!(receiving.count(300 << 10, false, 0, until, &bodies).is_err());
        let mut skipping = Receiving::default();
        assert!(skipping.count(0, true, 0, began, &bodies).is_ok());
        assert_eq!(skipping.until(), Some(until), "one that is passed over as well");
        assert!(skipping.count(0, true, 0, until, &bodies).is_err());
    }
}
