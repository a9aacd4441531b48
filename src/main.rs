//! The program `dao-api`; everything but its allocator is in the library.

#![forbid(unsafe_code)]

/// Commands are many small allocations that end on another thread than they began on; in batches the
/// system's allocator took a third of the time (`docs/decisions/0014-mimalloc.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the allocator is told: give back what was freed after a millisecond instead of a second, and take no huge
/// pages. Without it a request holds what it was decoded from beside all that is made of it
/// (`docs/decisions/0105-freed-memory-is-returned-at-once.md`).
#[cfg(unix)]
const ALLOCATOR_OPTIONS: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "1"), ("MIMALLOC_ALLOW_THP", "0")];

fn main() -> std::process::ExitCode {
    #[cfg(unix)]
    start_again_with_allocator_options();
    dao_api::cli::run()
}

/// The allocator reads its options from the environment before `main` begins, so the program replaces itself once, in
/// the same process, with those set that the environment lacks. Where that fails it goes on without them.
#[cfg(unix)]
fn start_again_with_allocator_options() {
    use std::{env, os::unix::process::CommandExt, process::Command};
    let missing = || ALLOCATOR_OPTIONS.into_iter().filter(|(name, _)| env::var_os(name).is_none());
    let Ok(program) = env::current_exe() else { return };
    if missing().next().is_none() {
        return;
    }
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    arguments.next().map(|called| again.arg0(called));
    let _reason = again.args(arguments).envs(missing()).exec();
}
