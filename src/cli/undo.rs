//! `dao-api undo`: takes back commits of a graph where what they did still stands (rules U).
//!
//! Not here: what can be taken back. The command line asks what a client asks, by the versions of the commits.

use std::io::Write;

use clap::{Args, ValueEnum};
use dao_projections::{GraphId, Hash, UserId, Version};
use serde_json::{Value, json};

use super::{CliError, open, print, writing::Writing};
use crate::{
    config::Config,
    domain::UndoResult,
    http::{parse_command, undo_json},
    write::{CommandResult, Effect, Ending, Graphs, history_reader},
};

#[derive(Args)]
#[command(after_help = "Undo an undo to redo. `dao-api history GRAPH` lists versions.\n\n\
    Exit codes: 0 done or nothing to do, 1 refused or failed, 2 wrong usage")]
pub(super) struct Undo {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// The commits to undo
    #[arg(value_name = "VERSION", required = true, value_parser = version)]
    versions: Vec<Version>,
    /// Fields that others wrote since: left alone (merge), put back (overwrite), or nothing is undone (reject)
    #[arg(long, value_name = "POLICY", default_value = "merge")]
    on_conflict: Policy,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Who the history names as the author
    #[arg(long, value_name = "USER", default_value = "undo")]
    user: UserId,
}

/// As `onConflict` (rule U5).
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Merge,
    Overwrite,
    Reject,
}

fn version(text: &str) -> Result<Version, String> {
    let version = text.parse().ok().and_then(Version::new).filter(|version| *version > Version::EMPTY);
    version.ok_or_else(|| "must be the version of a commit, from 1 on".to_owned())
}

impl Undo {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let writing = Writing::open(&config).await?;
        let done = self.undo(&writing).await;
        writing.close().await;
        done
    }

    async fn undo(&self, writing: &Writing) -> Result<(), CliError> {
        let graphs = writing.graphs();
        open::existing(graphs, &self.graph).await?;
        let command = self.command(graphs).await?;
        let operation = parse_command(command, &self.user)
            .map_err(|problem| CliError::new(format!("the versions can't be made a command: {problem}")))?;
        let answers = graphs.execute(&self.graph, vec![operation]).await;
        let answers = answers.map_err(|e| CliError::new(format!("{e}. Run the same command again")))?;
        match answers.into_iter().next().map(|answer| answer.ending) {
            Some(Ending::Completed { effect, head, results }) => {
                let undone = results.into_iter().find_map(|shown| match shown {
                    CommandResult::Undone(undone) => Some(*undone),
                    _ => None,
                });
                self.tell(effect, (head.version, head.hash), &undone.unwrap_or_default())?;
                writing.fold(&self.graph, head.version).await
            }
            Some(Ending::Refused { refusal, .. }) => Err(CliError::new(refusal.message.to_string())),
            None => Err(CliError::new("there was no answer. Run the same command again")),
        }
    }

    async fn command(&self, graphs: &Graphs) -> Result<Value, CliError> {
        let mut operations = Vec::new();
        for version in &self.versions {
            let found = history_reader::one(&**graphs.store(), &self.graph, *version).await;
            let found = found.map_err(|e| CliError::new(format!("version {version} can't be read: {e}")))?;
            let found = found.ok_or_else(|| {
                CliError::new(format!(
                    "{} has no version {version}. `dao-api history` lists them",
                    self.graph
                ))
            })?;
            operations.push(json!({"operationId": found.commit.body.operation_id, "version": version}));
        }
        let policy = match self.on_conflict {
            Policy::Merge => "merge",
            Policy::Overwrite => "overwrite",
            Policy::Reject => "reject",
        };
        Ok(json!({"type": "UNDO", "payload": {"operations": operations}, "onConflict": policy}))
    }

    fn tell(
        &self,
        effect: Effect,
        (version, hash): (Version, Hash),
        undone: &UndoResult,
    ) -> Result<(), CliError> {
        let outcome = match effect {
            Effect::Unchanged => "unchanged",
            Effect::Committed(_) if undone.skipped.is_empty() => "applied",
            Effect::Committed(_) => "merged",
        };
        if self.json {
            let all = json!({
                "graphId": self.graph, "version": version, "hash": hash, "outcome": outcome, "result": undo_json(undone),
            });
            return print(|out| writeln!(out, "{all}"));
        }
        print(|out| describe(&self.graph, version, effect, undone, out))
    }
}

fn describe(
    graph: &GraphId,
    version: Version,
    effect: Effect,
    undone: &UndoResult,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match effect {
        Effect::Unchanged => writeln!(out, "{graph}: nothing to undo, version {version}")?,
        Effect::Committed(_) => writeln!(out, "{graph}: undone in version {version}")?,
    }
    for reverted in &undone.reverted {
        let paths: Vec<&str> = reverted.paths.iter().map(|path| path.as_str()).collect();
        writeln!(out, "  put back {} {}", reverted.id, paths.join(" "))?;
    }
    for skipped in &undone.skipped {
        let conflict = &skipped.conflict;
        let (id, path, user, version) = (&conflict.id, &conflict.path, &conflict.user_id, conflict.version);
        writeln!(out, "  left alone {id} {path}: {user} in version {version}")?;
    }
    for id in &undone.detached {
        writeln!(out, "  {id} came back without its parent")?;
    }
    Ok(())
}
