//! The command line: one file a command. Every failure is one line on standard error that says what
//! to do, and exit code 1.

mod export;
mod healthcheck;
mod import;
mod open;
mod serve;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;

/// An event-sourced backend for graph editors: no lost work, every change attributed, every version
/// replayable. Without a command it serves.
#[derive(Parser)]
#[command(name = "dao-api", version, max_term_width = 100)]
#[command(
    after_help = "Try it:\n  dao-api                                  serve on http://127.0.0.1:3000, data in ./data\n  \
    dao-api import flow.json --graph demo    bring in a React Flow or Langflow document\n  \
    dao-api export demo                      every commit as a line of JSON\n  \
    dao-api watch demo                       what happens to it, as it happens\n  \
    REDIS_URL=redis://localhost dao-api      the same on Redis; any number of servers may share it"
)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP (what happens without a command)
    Serve,
    /// Bring documents in: React Flow's toObject(), Langflow and Flowise exports
    Import(import::Import),
    /// Print a graph: its commits as NDJSON, or with --state a React Flow document
    Export(export::Export),
    /// Print a running server's commits to a graph as they happen
    Watch(watch::Watch),
    /// Ask a running server at HOST:PORT whether it is ready; exit code 0 if so
    Healthcheck,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let line = Line::parse();
    let config = match line.settings.check() {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    start_logging(&config.log_filter);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime could not start: {error}")),
    };
    let done = runtime.block_on(async {
        match line.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::run(config).await,
            Command::Import(import) => import.run(config).await,
            Command::Export(export) => export.run(config).await,
            Command::Watch(watch) => watch.run(&config).await,
            Command::Healthcheck => healthcheck::run(&config).await,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError(text)) => fail(&text),
    }
}

fn fail(text: &str) -> ExitCode {
    for line in text.lines() {
        eprintln!("dao-api: {line}");
    }
    ExitCode::FAILURE
}

/// What a person is told when a command fails: a line that says what to do.
#[derive(Debug)]
struct CliError(String);

impl CliError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

fn start_logging(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr)
        .init();
}
