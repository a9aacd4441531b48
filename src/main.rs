//! The program `dao-api`; everything is in the library.

#![forbid(unsafe_code)]

/// Commands are many small allocations that end on another thread than they began on; in batches the
/// system's allocator took a third of the time (`docs/decisions/0014-mimalloc.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    dao_api::cli::run()
}
