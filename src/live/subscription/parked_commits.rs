//! Commits that were given up: listed, retried, dropped (rule S8).

use std::sync::Arc;

use super::{
    delivery_id::number_of,
    delivery_ledger::DeliveryLedger,
    error::SubscriptionError,
    name::SubscriptionName,
    parked::ParkedCommit,
    spans::VersionSpan,
    subscriptions::{Subscriptions, now_ms},
};
use crate::write::Recorded;

/// Bytes of commits after which a page of parked ones ends.
const PAGE_BYTES: usize = 8 << 20;

/// A page of what was given up.
#[derive(Clone, Debug)]
pub struct ParkedCommits {
    /// Each with its commit, if it can be read.
    pub page: Vec<(ParkedCommit, Option<Arc<Recorded>>)>,
    /// Whether there are more after them.
    pub has_more: bool,
}

impl Subscriptions {
    /// Parked ones are delivered again; how many there were.
    pub async fn retry(&self, name: &SubscriptionName, ids: &[String]) -> Result<usize, SubscriptionError> {
        self.change_parked(name, |ledger| ledger.retry(ids)).await
    }

    /// Parked ones are given up; how many there were.
    pub async fn drop_parked(
        &self,
        name: &SubscriptionName,
        ids: &[String],
    ) -> Result<usize, SubscriptionError> {
        self.change_parked(name, |ledger| ledger.drop_parked(ids)).await
    }

    /// What was given up, the first first, from after the delivery of this id on.
    pub async fn parked(
        &self,
        name: &SubscriptionName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ParkedCommits, SubscriptionError> {
        let after = after.map(|id| number_of(id).ok_or(SubscriptionError::Cursor));
        let after = after.transpose()?.unwrap_or(0);
        let (_, mut ledger) = self.load(name).await?;
        ledger.expire(now_ms());
        // By number: what is parked while somebody pages is missed at worst, and nothing is shown twice.
        let mut rest: Vec<&ParkedCommit> =
            ledger.parked().iter().filter(|parked| parked.number() > after).collect();
        rest.sort_by_key(|parked| parked.number());
        let mut rest = rest.into_iter().peekable();
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(parked) = rest.next_if(|_| page.len() < limit && bytes < PAGE_BYTES) {
            let VersionSpan { from, to } = parked.span;
            let (commits, _damage) = self.all.read(&parked.graph, from, to, 1).await?;
            let commit = commits.into_iter().next();
            bytes += commit.as_ref().map_or(0, |commit| commit.body.len());
            page.push((parked.clone(), commit));
        }
        Ok(ParkedCommits { page, has_more: rest.peek().is_some() })
    }

    /// The same after what is due to be parked was.
    async fn change_parked(
        &self,
        name: &SubscriptionName,
        act: impl Fn(&mut DeliveryLedger) -> usize,
    ) -> Result<usize, SubscriptionError> {
        let act = |ledger: &mut DeliveryLedger, now_ms| {
            ledger.expire(now_ms);
            act(ledger)
        };
        self.change(name, act).await
    }
}
