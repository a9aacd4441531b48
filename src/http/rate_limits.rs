//! Rate limits of this instance (rule O3: `RATE_LIMIT_WINDOW`, `RATE_LIMIT_MAX_REQUESTS`).
//!
//! Each user has one budget, shared by their requests and the frames of all their sockets. A caller who has proved nothing
//! uses the budget of their address: with keys that is a caller without a valid token, without keys an anonymous one. Budgets
//! refill steadily (GCRA), so clients don't all return at the same moment.
//!
//! Invariants:
//! - A refused request was not executed and used up no operation id (rule C3).
//! - Memory is bounded however many callers there are: see [`KEYS_MAX`].
//!
//! Not here: who the caller is ([`super::authentication`]), and from which address ([`super::client_address`]). Instances
//! don't share budgets: a caller who spreads requests over n instances has n times the budget.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use dao_projections::UserId;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use tokio_util::sync::CancellationToken;

use super::{client_address, problem::Problem};

/// Budgets that this instance keeps at once. Beyond that, callers share [`CROWD`] budgets until idle ones are dropped:
/// unfair, but bounded.
const KEYS_MAX: usize = 500_000;
/// Budgets that are shared when there are too many callers.
const CROWD: u64 = 1_024;
/// How often full budgets are dropped.
const FORGET_INTERVAL: Duration = Duration::from_secs(30);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The limit for each caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// The time in which an empty budget refills.
    pub window: Duration,
    /// Requests in a full budget.
    pub requests_max: NonZeroU32,
}

/// Whose budget it is: a keyed hash, so that every key takes the same little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct BudgetKey(u64);

/// What is left of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remaining {
    pub(super) requests: u32,
    /// The time until it is full again.
    pub(super) whole_in: Duration,
}

/// The budget is empty; the time until the next request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted(pub(super) Duration);

type Budgets<C> = RateLimiter<BudgetKey, DefaultKeyedStateStore<BudgetKey>, C, StateInformationMiddleware>;

/// The budgets of one instance.
pub(super) struct RateLimits<C: Clock = DefaultClock> {
    config: RateConfig,
    /// The value of `RateLimit-Policy`.
    policy: HeaderValue,
    clock: C,
    secret: RandomState,
    requests: Budgets<C>,
    /// Budgets of bad tokens, by address.
    failures: Budgets<C>,
    /// Until when tokens of an address are not checked. Never locked across an await.
    shut_out: Mutex<HashMap<BudgetKey, C::Instant>>,
}

impl RateLimits {
    pub(super) fn new(config: RateConfig) -> Self {
        Self::on_clock(config, DefaultClock::default())
    }

    /// Drops idle budgets until `stop`.
    pub(super) async fn forget_until(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FORGET_INTERVAL) => self.forget(),
            }
        }
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn on_clock(config: RateConfig, clock: C) -> Self {
        let each = (config.window / config.requests_max.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(config.requests_max));
        let quota = quota.allow_burst(config.requests_max);
        let budgets = || Budgets::new(quota, DefaultKeyedStateStore::default(), clock.clone());
        let (requests, failures) = (budgets(), budgets());
        let policy = format!("\"user\";q={};w={}", config.requests_max, seconds(config.window));
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("\"user\""));
        let (secret, shut_out) = (RandomState::new(), Mutex::default());
        Self { config, policy, requests, failures, clock, secret, shut_out }
    }

    pub(super) fn user(&self, user: &UserId) -> BudgetKey {
        BudgetKey(self.secret.hash_one(("user", user.as_str())))
    }

    pub(super) fn address(&self, address: IpAddr) -> BudgetKey {
        BudgetKey(self.secret.hash_one(("address", client_address::network_of(address))))
    }

    /// Takes one request out of a budget.
    pub(super) fn spend(&self, key: BudgetKey) -> Result<Remaining, Exhausted> {
        self.spend_of(&self.requests, key)
    }

    /// Records a bad token from this address. After too many, its tokens are not checked for a while.
    pub(super) fn failed(&self, address: BudgetKey) -> Result<(), Exhausted> {
        let Err(exhausted) = self.spend_of(&self.failures, address) else { return Ok(()) };
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        if shut_out.len() < KEYS_MAX {
            shut_out.insert(address, self.clock.now() + exhausted.0.into());
        }
        Err(exhausted)
    }

    /// Whether tokens from this address are checked.
    pub(super) fn may_try(&self, address: BudgetKey) -> Result<(), Exhausted> {
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = shut_out.get(&address).copied() else { return Ok(()) };
        let now = self.clock.now();
        if until <= now {
            shut_out.remove(&address);
            return Ok(());
        }
        Err(Exhausted(governor::clock::Reference::duration_since(&until, now).into()))
    }

    fn spend_of(&self, budgets: &Budgets<C>, key: BudgetKey) -> Result<Remaining, Exhausted> {
        let key = if budgets.len() < KEYS_MAX { key } else { BudgetKey(key.0 % CROWD) };
        match budgets.check_key(&key) {
            Ok(snapshot) => {
                let (all, left) = (self.config.requests_max.get(), snapshot.remaining_burst_capacity());
                let spent = f64::from(all.saturating_sub(left)) / f64::from(all);
                Ok(Remaining { requests: left, whole_in: self.config.window.mul_f64(spent) })
            }
            Err(until) => Err(Exhausted(until.wait_time_from(self.clock.now()))),
        }
    }

    fn forget(&self) {
        for budgets in [&self.requests, &self.failures] {
            budgets.retain_recent();
            budgets.shrink_to_fit();
        }
        let now = self.clock.now();
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }

    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers): the limit, what
    /// is left of it, and in how many seconds there is more.
    fn mark(&self, response: &mut Response, requests: u32, more_in: Duration) {
        let limit = format!("\"user\";r={requests};t={}", seconds(more_in));
        let headers = response.headers_mut();
        headers.insert(POLICY, self.policy.clone());
        if let Ok(limit) = HeaderValue::try_from(limit) {
            headers.insert(LIMIT, limit);
        }
    }

    /// The answer to a request that exceeds the budget.
    fn refusal(&self, exhausted: Exhausted) -> Response {
        let mut response = Problem::rate_limited(exhausted.0).into_response();
        self.mark(&mut response, 0, exhausted.0);
        response
    }
}

/// Whole seconds, rounded up, so that a retry after them is late enough.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The budget of the sender of a request, or of the frames of a socket.
#[derive(Clone)]
pub(super) struct RateBudget {
    limits: Arc<RateLimits>,
    key: BudgetKey,
    address: BudgetKey,
}

impl RateBudget {
    /// The budget of this user or, if the user is not proved, of the address.
    pub(super) fn new(limits: Arc<RateLimits>, address: IpAddr, user: Option<&UserId>) -> Self {
        let address = limits.address(address);
        let key = user.map_or(address, |user| limits.user(user));
        Self { limits, key, address }
    }

    pub(super) fn spend(&self) -> Result<Remaining, Exhausted> {
        self.limits.spend(self.key)
    }

    /// See [`RateLimits::failed`].
    pub(super) fn failed(&self) -> Result<(), Exhausted> {
        self.limits.failed(self.address)
    }

    /// See [`RateLimits::may_try`].
    pub(super) fn may_try(&self) -> Result<(), Exhausted> {
        self.limits.may_try(self.address)
    }

    /// Charges this user from here on.
    pub(super) fn hand_to(&mut self, user: &UserId) {
        self.key = self.limits.user(user);
    }

    /// An answer that says what is left.
    pub(super) fn marked(&self, mut response: Response, left: Remaining) -> Response {
        self.limits.mark(&mut response, left.requests, left.whole_in);
        response
    }

    pub(super) fn refusal(&self, exhausted: Exhausted) -> Response {
        self.limits.refusal(exhausted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    fn limits(requests: u32, window_ms: u64) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let requests_max = NonZeroU32::new(requests).expect("above 0");
        let config = RateConfig { window: Duration::from_millis(window_ms), requests_max };
        (RateLimits::on_clock(config, clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn o3_a_budget_is_spent_and_fills_up_again_window_after_window() {
        let (limits, clock) = limits(4, 1_000);
        let (ada, bob) =
            (limits.address(address("10.0.0.1")), limits.user(&UserId::parse("bob").expect("a user")));
        for _window in 0..3 {
            for left in (0..4).rev() {
                let whole_in = Duration::from_millis(250 * u64::from(4 - left));
                assert_eq!(limits.spend(ada), Ok(Remaining { requests: left, whole_in }));
            }
            assert_eq!(limits.spend(ada), Err(Exhausted(Duration::from_millis(250))));
            assert!(limits.spend(bob).is_ok(), "each has a budget of their own");
            clock.advance(Duration::from_millis(249));
            assert_eq!(limits.spend(ada), Err(Exhausted(Duration::from_millis(1))));
            clock.advance(Duration::from_millis(751));
        }
        clock.advance(Duration::from_millis(60_000));
        assert_eq!(limits.spend(ada).map(|left| left.requests), Ok(3), "what is not used is not saved up");
    }

    #[test]
    fn o3_bad_tokens_are_bounded_by_address_and_leave_budgets_alone() {
        let (limits, clock) = limits(2, 1_000);
        let eve = limits.address(address("10.0.0.1"));
        assert_eq!((limits.failed(eve), limits.failed(eve), limits.may_try(eve)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(limits.failed(eve), Err(Exhausted(Duration::from_millis(500))));
        assert_eq!(limits.may_try(eve), Err(Exhausted(Duration::from_millis(500))));
        assert_eq!(limits.may_try(limits.address(address("10.0.0.2"))), Ok(()));
        assert!(limits.spend(eve).is_ok());
        clock.advance(Duration::from_millis(500));
        assert_eq!(limits.may_try(eve), Ok(()));
        assert_eq!(limits.failed(eve), Ok(()), "one more try, and no more");
        assert!(limits.failed(eve).is_err());
    }

    #[test]
    fn o3_who_asks_nothing_is_forgotten() {
        let (limits, clock) = limits(2, 1_000);
        for n in 0..100_u32 {
            let _within = limits.spend(limits.address(IpAddr::V4(n.into())));
            for _ in 0..3 {
                let _bad = limits.failed(limits.address(IpAddr::V4(n.into())));
            }
        }
        limits.forget();
        assert_eq!((limits.requests.len(), limits.failures.len()), (100, 100));
        clock.advance(Duration::from_millis(3_000));
        limits.forget();
        assert_eq!((limits.requests.len(), limits.failures.len()), (0, 0));
        assert!(limits.shut_out.lock().expect("no panic").is_empty());
    }

    #[test]
    fn o3_memory_is_bounded_however_many_ask() {
        let (limits, _clock) = limits(2, 1_000);
        for n in 0..(KEYS_MAX as u32 + 5_000) {
            let _within = limits.spend(limits.address(IpAddr::V4(n.into())));
        }
        let kept = limits.requests.len();
        assert!((KEYS_MAX..=KEYS_MAX + CROWD as usize).contains(&kept), "{kept}");
    }

    #[test]
    fn o3_an_ipv6_network_is_one_address() {
        let (limits, _clock) = limits(2, 1_000);
        let of = |text| limits.address(address(text));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[test]
    fn o3_seconds_are_rounded_up() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
        assert_eq!(seconds(Duration::from_millis(2_001)), 3);
    }
}
