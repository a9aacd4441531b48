//! Why a subscription gives no answer: [`SubscriptionError`].

use super::subscriptions::SUBSCRIPTIONS_MAX;
use crate::{live::InvalidPosition, read::FilterError, store::StoreError};

/// Why a question to a subscription is not answered.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// There is none of this name.
    #[error("there is no subscription of this name")]
    NotFound,
    /// There is another one of this name.
    #[error("there is another subscription of this name: delete it, or take another name")]
    Exists,
    /// There are too many.
    #[error("there are {SUBSCRIPTIONS_MAX} subscriptions, and there can be no more")]
    TooMany,
    /// It can't begin there.
    #[error("start: {0}")]
    Start(#[from] InvalidPosition),
    /// Its filter says nothing.
    #[error("filter.{list}: {error}")]
    Filter {
        /// Which list of it.
        list: &'static str,
        /// Why.
        error: FilterError,
    },
    /// A page can't begin there.
    #[error("the cursor is not the id of a delivery")]
    Cursor,
    /// Other instances were faster each time.
    #[error("too many consumers ask at once; try again")]
    Contended,
    /// What is kept of it can't be read.
    #[error("what is kept of the subscription can't be read: {0}")]
    Unreadable(String),
    /// The store is unavailable.
    #[error(transparent)]
    Store(#[from] StoreError),
}
