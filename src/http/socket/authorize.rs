//! Authorization of frames by their envelope, before their payload is parsed (rules
//! O1, O3).

use std::sync::Arc;

use super::{
    envelope::{BadFrame, Envelope, FrameKind},
    peer_credentials::Credentials,
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

/// Why a frame is not accepted.
pub(super) struct Unauthorized {
    pub(super) problem: Box<Problem>,
    /// Whether its sender's budget is empty.
    pub(super) is_over_budget: bool,
}

impl Unauthorized {
    /// The refusal of a frame.
    pub(super) fn told(self, envelope: Envelope) -> BadFrame {
        BadFrame { is_over_budget: self.is_over_budget, ..envelope.refused(*self.problem) }
    }
}

impl From<Problem> for Unauthorized {
    fn from(problem: Problem) -> Self {
        Self { problem: problem.into(), is_over_budget: false }
    }
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

    /// Charges the frame to its sender's budget and checks the sender's right on its graph. Frames of an unknown type
    /// are charged when they are refused, see [`Self::charge_malformed`].
    pub(super) fn authorize(&self, envelope: &Envelope) -> Result<(), Unauthorized> {
        if matches!(self.allowed, Allowed::AuthOnly) {
            // Bad tokens are limited by address instead.
            return if envelope.kind == FrameKind::Auth { Ok(()) } else { Err(Problem::no_token().into()) };
        }
        if envelope.kind.is_charged() {
            let charged = self.charge();
            charged.map_err(|problem| Unauthorized { problem: problem.into(), is_over_budget: true })?;
        }
        match (&self.allowed, envelope.kind.right(), &envelope.graph) {
            (Allowed::Granted(grant), Some(right), Some(graph)) => Ok(may(grant, right, graph)?),
            _ => Ok(()),
        }
    }

    /// Charges a frame that is refused as malformed; true if the budget was empty. Its sender is told why even then.
    pub(super) fn charge_malformed(&self) -> bool {
        !matches!(self.allowed, Allowed::AuthOnly) && self.charge().is_err()
    }

    fn charge(&self) -> Result<(), Problem> {
        let Some(rate_budget) = &self.rate_budget else { return Ok(()) };
        rate_budget.spend().map(drop).map_err(|exhausted| Problem::rate_limited(exhausted.0))
    }
}
