//! The memory that graphs take together, counted as it changes: [`MemoryBudget`], and what each holds of it ([`MemoryCharge`]).
//!
//! Invariant: what is charged is given back when the charge is dropped, whoever held it last. Not here: who has to
//! go when too much is held (`registry`).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How much memory graphs may take, and take.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    max: usize,
    held: AtomicUsize,
}

impl MemoryBudget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0) })
    }

    /// Bytes that are held now.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether more is held than may be.
    pub(super) fn is_over(&self) -> bool {
        self.held() > self.max
    }

    /// Whether a graph of `bytes` may grow. It may while what is held is a quarter above the bound at most, so that
    /// work goes on while others are let go of; and it must stay small enough to be loaded again with what is kept
    /// beside it.
    pub(super) fn lets_grow(&self, bytes: usize) -> bool {
        self.held() <= self.max.saturating_add(self.max / 4) && bytes <= self.max - self.max / 8
    }

    fn replace(&self, old: usize, new: usize) {
        if new >= old {
            self.held.fetch_add(new - old, Ordering::Relaxed);
        } else {
            self.held.fetch_sub(old - new, Ordering::Relaxed);
        }
    }
}

/// What one thing holds of a budget.
#[derive(Debug)]
pub(super) struct MemoryCharge {
    budget: Arc<MemoryBudget>,
    bytes: AtomicUsize,
}

impl MemoryCharge {
    /// Nothing, for now.
    pub(super) fn on(budget: &Arc<MemoryBudget>) -> Self {
        Self { budget: budget.clone(), bytes: AtomicUsize::new(0) }
    }

    pub(super) fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// It holds so much from now on.
    pub(super) fn set(&self, bytes: usize) {
        let old = self.bytes.swap(bytes, Ordering::Relaxed);
        self.budget.replace(old, bytes);
    }

    /// It holds so much more.
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.replace(0, bytes);
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        self.budget.replace(*self.bytes.get_mut(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o3_what_is_charged_is_given_back() {
        let budget = MemoryBudget::new(100);
        let (one, other) = (MemoryCharge::on(&budget), MemoryCharge::on(&budget));
        one.set(60);
        other.set(30);
        other.add(20);
        assert!(budget.is_over());
        one.set(40);
        assert_eq!((budget.held(), budget.is_over()), (90, false));
        drop(other);
        assert_eq!(budget.held(), 40);
        drop(one);
        assert_eq!(budget.held(), 0);
    }
}
