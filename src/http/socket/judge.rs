//! Whether a frame may be acted on at all: judged by its envelope, before anything of its payload is built (rules
//! O1, O3).

use std::sync::Arc;

use super::{
    envelope::{Envelope, Kind},
    standing::Standing,
};
use crate::{
    auth::Grant,
    http::{authentication::may, problem::Problem, rate_limits::RateBudget as Purse},
};

/// What the frames of one connection are judged by.
#[derive(Clone)]
pub(super) struct Judge {
    /// What they are taken from; `None` without limits.
    purse: Option<Purse>,
    allowed: Allowed,
}

#[derive(Clone)]
enum Allowed {
    /// Nothing is asked of anybody.
    Everything,
    /// The peer has to prove who it is first.
    Proof,
    Granted(Arc<Grant>),
}

impl Judge {
    pub(super) fn new(standing: &Standing, purse: Option<Purse>) -> Self {
        let allowed = match standing {
            Standing::Open => Allowed::Everything,
            Standing::Proven { grant, .. } => Allowed::Granted(grant.clone()),
            Standing::Unproven { .. } | Standing::Refused { .. } => Allowed::Proof,
        };
        Self { purse, allowed }
    }

    /// One that lets everything through.
    pub(super) fn lenient() -> Self {
        Self { purse: None, allowed: Allowed::Everything }
    }

    /// Takes the frame out of its sender's budget, and looks whether they have the right that it needs.
    pub(super) fn of(&self, envelope: &Envelope) -> Result<(), Problem> {
        if matches!(self.allowed, Allowed::Proof) {
            // Who proves nothing yet is bounded by what bad tokens cost.
            return if envelope.kind == Kind::Auth { Ok(()) } else { Err(Problem::no_token()) };
        }
        if envelope.kind == Kind::Unknown {
            self.count_bad();
        }
        if envelope.kind.counts() {
            self.pay()?;
        }
        match (&self.allowed, envelope.kind.right(), &envelope.graph) {
            (Allowed::Granted(grant), Some(right), Some(graph)) => may(grant, right, graph),
            _ => Ok(()),
        }
    }

    /// A frame that can't be read counts as well; and whatever is left, its sender is told what is wrong with it.
    pub(super) fn count_bad(&self) {
        if !matches!(self.allowed, Allowed::Proof) {
            let _counted = self.pay();
        }
    }

    fn pay(&self) -> Result<(), Problem> {
        let Some(purse) = &self.purse else { return Ok(()) };
        purse.spend().map(drop).map_err(|exhausted| Problem::rate_limited(exhausted.0))
    }
}
