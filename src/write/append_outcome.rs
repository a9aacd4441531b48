//! Appending one round, and finding out whether it landed where the store did not answer.
//!
//! Invariant: nobody is told anything before that is known (rule H4).
//! Not here: what is appended ([`super::round`]), and what follows from it ([`super::graph_task`]).

use std::time::Duration;

use dao_projections::{Head, OperationId};
use tokio::time::Instant;
use tracing::Instrument;

use super::{graph_task::GraphTask, history_reader, reply::WriteError, round::Round, write_metrics};
use crate::store::{Append, StoreError};

/// How often a lost answer of the store is asked after. Then its authors are told to try again,
/// which is safe (rule H4).
const SETTLE_ATTEMPTS_MAX: u32 = 4;

impl GraphTask {
    /// Appends, and does not come back before it knows whether it did.
    pub(super) async fn append(&self, expected: Head, round: &Round) -> Result<Append, WriteError> {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let span = tracing::debug_span!("append", commits = round.commits.len(), attempt);
            let append = async {
                match round.copied.is_empty() {
                    true => self.store.append(&self.id, expected, &round.entries).await,
                    false => {
                        let (copied, entries) = (&round.copied, &round.entries);
                        self.store.append_copied(&self.id, expected, copied, entries).await
                    }
                }
            };
            let tried = append.instrument(span).await;
            write_metrics::appended(&self.metrics, &tried, began.elapsed());
            let doubt = match tried {
                Ok(Append::Duplicate(records)) => {
                    // An append that was sent twice, here or below, finds its own first effect.
                    if self.has_landed(round).await? {
                        return Ok(Append::Appended);
                    }
                    return Ok(Append::Duplicate(records));
                }
                Ok(outcome) => return Ok(outcome),
                Err(doubt @ StoreError::OutcomeUnknown(_)) => doubt,
                Err(error) => return Err(error.into()),
            };
            tracing::warn!(graph = %self.id, attempt, error = %doubt, "an append was not answered");
            attempt += 1;
            if attempt > SETTLE_ATTEMPTS_MAX {
                return Err(doubt.into());
            }
            tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            // If it has not landed yet the same append is made again: its operations are its identity.
            if matches!(self.has_landed(round).await, Ok(true)) {
                return Ok(Append::Appended);
            }
        }
    }

    /// Whether exactly what this round wants to append is in the store: every record, byte for byte,
    /// and the last commit by its hash, which stands for all before it.
    async fn has_landed(&self, round: &Round) -> Result<bool, StoreError> {
        let ids: Vec<OperationId> = round.entries.iter().map(|entry| entry.operation).collect();
        let records = self.store.operations(&self.id, &ids).await?;
        let all_ours = records.len() == round.entries.len()
            && records.iter().zip(&round.entries).all(|(found, entry)| found.as_ref() == Some(&entry.record));
        let Some(last) = round.commits.last().filter(|_| all_ours) else { return Ok(all_ours) };
        let found = history_reader::one(&*self.store, &self.id, last.commit.version).await?;
        Ok(found.is_some_and(|found| found.commit.hash == last.commit.hash))
    }
}
