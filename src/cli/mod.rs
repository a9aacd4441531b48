//! The command line: one file per command. A failure is one line on standard error that says what to do, and exit code
//! 1. A command line that can't be read is exit code 2.

mod api;
mod backup;
mod copy;
mod demo;
mod diff;
mod error;
mod export;
mod graphs;
mod healthcheck;
mod help;
mod history;
mod import;
mod labels;
mod logging;
mod migrate;
mod monitor;
mod open;
mod output;
mod purge;
mod reach;
mod rebuild;
mod restore;
mod restore_version;
mod seed;
mod serve;
mod show;
mod state;
mod token;
mod undo;
mod verify;
mod watch;
mod worker;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::{error::CliError, logging::Logging};
use crate::config::{Purpose, Settings};

/// An event-sourced backend for graph editors: no lost work, every change attributed, every version
/// replayable. Without a command it serves.
#[derive(Parser)]
#[command(name = "dao-api", version, max_term_width = 100)]
#[command(
    after_help = "Try it:\n  dao-api                                  serve on http://127.0.0.1:3000, data in ./data\n  \
    dao-api seed                             create a graph `example` with a history\n  \
    dao-api import flow.json --graph demo    import a React Flow or Langflow document\n  \
    dao-api export demo                      print every commit as a line of JSON\n  \
    dao-api watch demo                       print its commits as they happen\n  \
    REDIS_URL=redis://localhost dao-api      serve from Redis; any number of servers may share it\n\n\
    Settings are environment variables, each also a flag: `dao-api serve --help` lists them with their defaults, \
    `--help` of another command those that it uses.\nExit codes: 0 done, 1 failed, 2 invalid command line."
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
    /// Try it: two people edit one graph, on one page, over a temporary server
    Demo(demo::Demo),
    /// The server of the demo, which its page can kill
    #[command(hide = true)]
    DemoServer,
    /// Rebuild snapshots and other projections from the log, while servers run
    Rebuild(rebuild::Rebuild),
    /// Run a projection worker beside servers on the same Redis; start as many as you like
    Worker,
    /// Import files: React Flow documents, and exports of many other editors
    Import(import::Import),
    /// Create an example graph: a workflow by three people, with merges, conflicts and deletions
    Seed(seed::Seed),
    /// Copy the embedded store to a file, while a server writes to it, and verify the copy
    Backup(backup::Backup),
    /// Restore a backup into an empty data directory
    Restore(restore::Restore),
    /// Upgrade the store to this release's format; servers must be stopped
    Migrate(migrate::Migrate),
    /// Print a graph: its commits as NDJSON, or with --state a React Flow document
    Export(export::Export),
    /// Print a running server's commits to a graph as they happen
    Watch(watch::Watch),
    /// Monitor running servers in a terminal: throughput, latency, lag, problems
    Monitor(monitor::Monitor),
    /// List the graphs of the store
    List(graphs::List),
    /// Create a graph, with a title and tags
    Create(graphs::Create),
    /// Copy a graph: its contents, or with --history its commits too
    Copy(copy::Copy),
    /// Put a graph into the trash
    Trash(graphs::Trash),
    /// Take a graph out of the trash
    Recover(graphs::Recover),
    /// Purge a graph that is in the trash: nothing of it is left
    Purge(purge::PurgeGraph),
    /// Print a graph, now or at a version or a time
    Show(show::Show),
    /// Print the difference between two versions of a graph
    Diff(diff::Diff),
    /// Print what happened to a graph, or to one node or edge of it
    History(history::History),
    /// List the labels of a graph, or set or remove one
    Label(labels::LabelCommand),
    /// Restore a graph, or some of it, as it was at an earlier version: one commit, which can be undone
    RestoreVersion(restore_version::RestoreVersion),
    /// Undo commits of a graph where what they did still stands
    Undo(undo::Undo),
    /// Verify the hash chain of a graph and every commit in it; exit code 1 if it is damaged
    Verify(verify::Verify),
    /// Print a token for development, signed with JWT_SECRET
    Token(token::Token),
    /// Check that the server at HOST:PORT is ready; exit code 0 if so
    Healthcheck,
}

/// Runs the program.
#[expect(clippy::too_many_lines, reason = "one arm for each command")]
pub fn run() -> ExitCode {
    let matches = reach::without_empty(help::shortened(Line::command())).get_matches();
    let line = match Line::from_arg_matches(&matches) {
        Ok(line) => line,
        Err(error) => error.exit(),
    };
    if let Err(CliError(text)) = reach::refuse_two_places(&matches) {
        return fail(&text);
    }
    let command = line.command.unwrap_or(Command::Serve);
    let purpose = if matches!(command, Command::Serve | Command::DemoServer) {
        Purpose::Serving
    } else {
        Purpose::Other
    };
    let config = match line.settings.check(purpose) {
        Ok(config) => config,
        Err(error) => return fail(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime could not start: {error}")),
    };
    let within = runtime.enter();
    let logging = match Logging::start(&config) {
        Ok(logging) => logging,
        Err(CliError(text)) => return fail(&text),
    };
    drop(within);
    let done = runtime.block_on(async {
        match command {
            Command::Serve => serve::run(config, serve::Audience::Anybody).await,
            Command::Demo(demo) => demo.run(config.port).await,
            Command::DemoServer => serve::run(config, serve::Audience::Demo).await,
            Command::Worker => worker::run(config).await,
            Command::Import(import) => import.run(config).await,
            Command::Seed(seed) => seed.run(config).await,
            Command::Backup(backup) => backup.run(config).await,
            Command::Restore(restore) => restore.run(config).await,
            Command::Migrate(migrate) => migrate.run(config).await,
            Command::Export(export) => export.run(config).await,
            Command::Watch(watch) => watch.run(&config).await,
            Command::Monitor(monitor) => monitor.run(&config).await,
            Command::List(list) => list.run(config).await,
            Command::Create(create) => create.run(config).await,
            Command::Copy(copy) => copy.run(config).await,
            Command::Trash(trash) => trash.run(config).await,
            Command::Recover(recover) => recover.run(config).await,
            Command::Purge(purge) => purge.run(config).await,
            Command::Show(show) => show.run(config).await,
            Command::Diff(diff) => diff.run(config).await,
            Command::History(history) => history.run(config).await,
            Command::Rebuild(rebuild) => rebuild.run(config).await,
            Command::Undo(undo) => undo.run(config).await,
            Command::Label(label) => label.run(config).await,
            Command::RestoreVersion(restore) => restore.run(config).await,
            Command::Verify(verify) => verify.run(config).await,
            Command::Token(token) => token.run(&config),
            Command::Healthcheck => healthcheck::run(&config).await,
        }
    });
    logging.finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError(text)) => fail(&text),
    }
}

fn fail(text: &str) -> ExitCode {
    let mut out = io::stderr().lock();
    for line in text.lines() {
        // If standard error is closed, the exit code still tells.
        let _unread = writeln!(out, "dao-api: {line}");
    }
    ExitCode::FAILURE
}
