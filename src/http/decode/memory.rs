//! What a body may occupy once it is decoded: in proportion to its length, so that what a request costs is bounded
//! by its size (rule O3).
//!
//! A body may be made of values that take a byte or two each and a hundred times that in memory. What is counted here is
//! what the allocator gives out for a [`Value`]; the real size is within a few per cent of it.

use crate::http::json_shape::Malformed;

/// What a decoded body may occupy for each of its bytes. A React Flow document takes 7 to 16.
const BYTES_PER_BYTE: usize = 16;
/// And beyond that, whatever its length.
const BYTES_FREE: usize = 4 << 20;
/// What an operation may occupy with all that is made of it while it is committed and answered: its entities in the
/// graph, its events, its commit as stored and its answer.
const WORKING_BYTES_PER_BYTE: usize = 22;
/// And beyond that.
const WORKING_BYTES_FREE: usize = 6 << 20;
/// What is made of one node or edge, beside its attributes: itself, its event, its places in the graph and what the
/// server adds to it in the answer.
const ENTITY_BYTES: usize = 750;
/// What is made of each byte of a body again: it as stored, as sent to the store, and as answered.
const COPIES: usize = 4;
/// What longer bodies say is not read while others wait for the thread.
const INLINE_BYTES_MAX: usize = 64 << 10;
/// A decoded body counts with this part of what it occupies, where that is more than its length.
const COUNTED_PART: usize = 8;

/// How long a body was, and what it occupies decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Size {
    body_bytes: usize,
    occupied: usize,
}

impl Size {
    /// Of what was not read from a body.
    pub(in crate::http) const UNBOUNDED: Self = Self { body_bytes: usize::MAX, occupied: 0 };

    pub(super) fn of(body_bytes: usize) -> Self {
        Self { body_bytes, occupied: 0 }
    }

    pub(super) fn with(self, more: usize) -> Self {
        Self { occupied: self.occupied.saturating_add(more), ..self }
    }

    fn allowed(self) -> usize {
        self.body_bytes.saturating_mul(BYTES_PER_BYTE).saturating_add(BYTES_FREE)
    }

    pub(super) fn is_long(self) -> bool {
        self.body_bytes > INLINE_BYTES_MAX
    }

    pub(super) fn is_exceeded(self) -> bool {
        self.occupied > self.allowed()
    }

    pub(super) fn too_large(self) -> Malformed {
        let problem = format!(
            "the body would occupy more than {} bytes once decoded, {BYTES_PER_BYTE} times its size and \
             {BYTES_FREE}: it is made of too many small values; send it in parts",
            self.allowed()
        );
        Malformed::too_large(problem)
    }

    /// What the body counts with against `MAX_BODIES_BYTES`, at least its length.
    pub(in crate::http) fn counted(self) -> usize {
        self.body_bytes.max(self.occupied / COUNTED_PART)
    }

    /// Refuses operations that bring so many nodes and edges, whose attributes occupy so much, if what is made of
    /// them would take more than a body of this length may.
    pub(in crate::http) fn admit(self, entities: usize, attributes: usize) -> Result<(), Malformed> {
        let copies = self.body_bytes.saturating_mul(COPIES);
        let taken = copies.saturating_add(entities * ENTITY_BYTES).saturating_add(attributes);
        let allowed =
            self.body_bytes.saturating_mul(WORKING_BYTES_PER_BYTE).saturating_add(WORKING_BYTES_FREE);
        if taken <= allowed {
            return Ok(());
        }
        let problem = format!(
            "the body is short for the {entities} nodes and edges that it brings: what is made of them would \
             take more than {allowed} bytes, {WORKING_BYTES_PER_BYTE} times its size and {WORKING_BYTES_FREE}; \
             send it in parts"
        );
        Err(Malformed::too_large(problem))
    }
}
