//! Long computations on a thread that others wait for.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs `work`, which may take milliseconds, without holding up the other tasks of this thread:
/// they move to another one first. On a runtime of one thread there is none to move to.
pub fn run_blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
