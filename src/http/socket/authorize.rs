//! Authorization of frames by their envelope, before their payload is parsed (rules
//! O1, O3).

use std::sync::Arc;

use super::{
    credentials::Credentials,
    envelope::{Envelope, FrameKind},
};
use crate::{
    auth::Grant,
    http::{authentication::may, problem::Problem, rate_limits::RateBudget},
};

/// Decides whether frames of one connection are accepted.
#[derive(Clone)]
pub(super) struct FrameAuthorizer {
    /// The request budget that frames are charged to; `None` without limits.
    rate_budget: Option<RateBudget>,
    allowed: Allowed,
}

#[derive(Clone)]
enum Allowed {
    /// The server has no keys, so every frame is allowed.
    Everything,
    /// The peer is not authenticated yet: only `AUTH` is allowed.
    AuthOnly,
    Granted(Arc<Grant>),
}

impl FrameAuthorizer {
    pub(super) fn new(credentials: &Credentials, rate_budget: Option<RateBudget>) -> Self {
        let allowed = match credentials {
            Credentials::NotRequired => Allowed::Everything,
            Credentials::Authenticated { grant, .. } => Allowed::Granted(grant.clone()),
            Credentials::Unauthenticated { .. } | Credentials::Rejected { .. } => Allowed::AuthOnly,
        };
        Self { rate_budget, allowed }
    }

    /// Accepts every frame.
    pub(super) fn lenient() -> Self {
        Self { rate_budget: None, allowed: Allowed::Everything }
    }

    /// Charges the frame to its sender's budget and checks the sender's right on its graph.
    pub(super) fn authorize(&self, envelope: &Envelope) -> Result<(), Problem> {
        if matches!(self.allowed, Allowed::AuthOnly) {
            // Bad tokens are limited by address instead.
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

    /// Charges a frame that is refused as malformed. Its sender is told why even if the budget is spent.
    pub(super) fn charge_malformed(&self) {
        if !matches!(self.allowed, Allowed::AuthOnly) {
            let _counted = self.charge();
        }
    }

    fn charge(&self) -> Result<(), Problem> {
        let Some(rate_budget) = &self.rate_budget else { return Ok(()) };
        rate_budget.spend().map(drop).map_err(|exhausted| Problem::rate_limited(exhausted.0))
    }
}
