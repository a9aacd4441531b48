//! Labels whose values are known at compile time: one metric for each value, found by index.

use std::{fmt, marker::PhantomData, sync::Arc};

use dao_projections::CommandType;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

/// An enum of the values of one label.
pub trait Word: Copy + Send + Sync + 'static {
    /// The name of the label.
    const LABEL: &'static str;
    /// Every value, in the order of [`Word::index`].
    const ALL: &'static [Self];

    /// The position in `ALL`.
    fn index(self) -> usize;

    /// The value as exported.
    fn word(self) -> &'static str;
}

/// Declares an enum whose variants are the values of a label.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $label:literal { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant,)+ }

        impl $crate::telemetry::Word for $name {
            const LABEL: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn index(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}
pub(super) use words;

impl Word for CommandType {
    const LABEL: &'static str = "type";
    const ALL: &'static [Self] = &CommandType::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

/// One metric for each value of a label.
pub struct PerWord<W, M> {
    metrics: Arc<[M]>,
    words: PhantomData<W>,
}

impl<W: Word, M> PerWord<W, M> {
    /// The metric of this value.
    pub fn of(&self, word: W) -> &M {
        &self.metrics[word.index()]
    }
}

impl<W: Word, M: Default> Default for PerWord<W, M> {
    fn default() -> Self {
        Self { metrics: W::ALL.iter().map(|_| M::default()).collect(), words: PhantomData }
    }
}

impl<W, M> Clone for PerWord<W, M> {
    fn clone(&self) -> Self {
        Self { metrics: self.metrics.clone(), words: PhantomData }
    }
}

impl<W, M> fmt::Debug for PerWord<W, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerWord({})", self.metrics.len())
    }
}

/// One metric for each pair of values of two labels.
pub struct PerPair<A, B, M>(PerWord<A, PerWord<B, M>>);

impl<A: Word, B: Word, M> PerPair<A, B, M> {
    /// The metric of this pair.
    pub fn of(&self, first: A, second: B) -> &M {
        self.0.of(first).of(second)
    }
}

impl<A: Word, B: Word, M: Default> Default for PerPair<A, B, M> {
    fn default() -> Self {
        Self(PerWord::default())
    }
}

impl<A, B, M> Clone for PerPair<A, B, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A, B, M> fmt::Debug for PerPair<A, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerPair({:?})", self.0)
    }
}

impl<A: Word, B: Word, M: EncodeMetric + TypedMetric> EncodeMetric for PerPair<A, B, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for first in A::ALL {
            for second in B::ALL {
                let labels = [(A::LABEL, first.word()), (B::LABEL, second.word())];
                self.of(*first, *second).encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

impl<W: Word, M: EncodeMetric + TypedMetric> EncodeMetric for PerWord<W, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (word, metric) in W::ALL.iter().zip(self.metrics.iter()) {
            metric.encode(encoder.encode_family(&[(W::LABEL, word.word())])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_at_their_index() {
        for (index, command) in CommandType::ALL.into_iter().enumerate() {
            assert_eq!(Word::index(command), index, "{}", command.as_str());
        }
    }
}
