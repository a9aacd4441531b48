//! The program `dao-api`; everything is in the library.

fn main() -> std::process::ExitCode {
    dao_api::cli::run()
}
