//! How the stored form is laid out.

use std::time::Duration;

/// How the stored form is laid out. Another number means another program.
pub(super) const FORMAT: u32 = 3;
/// The oldest Redis with all that is needed: channels that belong to a slot (`SSUBSCRIBE`). Valkey
/// says that it is Redis 7.2.
pub(super) const REDIS_VERSION_MIN: (u32, u32) = (7, 0);

/// What the first start fixed.
pub(super) struct Layout {
    pub(super) partitions: u32,
    pub(super) operation_ttl: Duration,
    /// Whether this is the first start ever.
    pub(super) is_new: bool,
}
