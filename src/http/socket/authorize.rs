//! Whether a frame may be acted on at all: judged by its envelope, before anything of its payload is built (rules
//! O1, O3).

use std::sync::Arc;

use super::{
    credentials::Credentials,
    envelope::{Envelope, FrameKind},
};
use crate::{
    auth::Grant,
    http::{auth::may, problem::Problem, rate::Purse},
};

/// What the frames of one connection are judged by.
#[derive(Clone)]
pub(super) struct FrameAuthorizer {
    /// What they are taken from; `None` without limits.
    purse: Option<Purse>,
    allowed: Allowed,
}

#[derive(Clone)]
enum Allowed {
    /// Nothing is asked of anybody.
    Everything,
    /// The peer has to prove who it is first.
    AuthOnly,
    Granted(Arc<Grant>),
}

impl FrameAuthorizer {
    pub(super) fn new(credentials: &Credentials, purse: Option<Purse>) -> Self {
        let allowed = match credentials {
            Credentials::NotRequired => Allowed::Everything,
            Credentials::Authenticated { grant, .. } => Allowed::Granted(grant.clone()),
            Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => Allowed::AuthOnly,
        };
        Self { purse, allowed }
    }

    /// One that lets everything through.
    pub(super) fn lenient() -> Self {
        Self { purse: None, allowed: Allowed::Everything }
    }

    /// Takes the frame out of its sender's budget, and looks whether they have the right that it needs.
    pub(super) fn authorize(&self, envelope: &Envelope) -> Result<(), Problem> {
        if matches!(self.allowed, Allowed::AuthOnly) {
            // Who proves nothing yet is bounded by what bad tokens cost.
            return if envelope.kind == FrameKind::Auth { Ok(()) } else { Err(Problem::no_token()) };
        }
        if envelope.kind == FrameKind::Unknown {
            self.charge_malformed();
        }
        if envelope.kind.is_charged() {
            self.charge()?;
        }
        match (&self.allowed, envelope.kind.right(), &envelope.graph) {
            (Allowed::Granted(grant), Some(right), Some(graph)) => may(grant, right, graph),
            _ => Ok(()),
        }
    }

    /// A frame that can't be read counts as well; and whatever is left, its sender is told what is wrong with it.
    pub(super) fn charge_malformed(&self) {
        if !matches!(self.allowed, Allowed::AuthOnly) {
            let _counted = self.charge();
        }
    }

    fn charge(&self) -> Result<(), Problem> {
        let Some(purse) = &self.purse else { return Ok(()) };
        purse.spend().map(drop).map_err(|exhausted| Problem::rate_limited(exhausted.0))
    }
}
