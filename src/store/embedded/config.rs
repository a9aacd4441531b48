//! Where the store is and what it promises.

use std::{path::PathBuf, time::Duration};

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before it is acknowledged.
    Fsync,
    /// At most a second after it is acknowledged: a power cut can take that second with it, the
    /// death of this process can't.
    Interval,
}

/// Where the store is and what it promises.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// The data directory; made if it isn't there.
    pub dir: PathBuf,
    /// When a commit is on the disk.
    pub durability: SyncMode,
    /// How long an operation's record is kept, at least (rule C3); at most twice that and a little.
    pub operation_ttl: Duration,
}
