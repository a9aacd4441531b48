//! `dao-api undo`: takes back commits of a graph where what they did still stands (rules U).
//!
//! Not here: what can be taken back. The command line asks what a client asks, by the versions of the commits.

use std::io::Write;

use clap::{Args, ValueEnum};
use dao_projections::{GraphId, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{api::Api, error::CliError, graphs::Done, output::print, reach::Reach};
use crate::config::Config;

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
    #[command(flatten)]
    reach: Reach,
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

/// The `result` of an undo, as far as it is told.
#[derive(Deserialize)]
struct Undone {
    reverted: Vec<Reverted>,
    skipped: Vec<Skipped>,
    detached: Vec<String>,
}

#[derive(Deserialize)]
struct Reverted {
    id: String,
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Skipped {
    id: String,
    path: String,
    user_id: UserId,
    version: Version,
}

impl Undo {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let done = self.undo(&mut api).await;
        api.close().await;
        done
    }

    async fn undo(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        let command = self.command(api).await?;
        let done = api.post(&format!("/graphs/{}/command", self.graph), Some(&self.user), &command).await;
        let again = |why: &dyn std::fmt::Display| CliError::new(format!("{why}. Run the same command again"));
        let done = done.map_err(|refused| match refused.is_certain() {
            true => CliError::new(refused.to_string()),
            false => again(&refused),
        })?;
        let done: Done = serde_json::from_value(done).map_err(|e| again(&e))?;
        let told = self.tell(&done);
        told.and(api.fold(&self.graph, done.version).await)
    }

    async fn command(&self, api: &mut Api) -> Result<Value, CliError> {
        let mut operations = Vec::new();
        for version in &self.versions {
            let path = format!("/graphs/{}/changes?since={}&limit=1", self.graph, version.get() - 1);
            let page: Value = api.read(&path).await.map_err(|e| self.unreadable(*version, &e))?;
            let commit = &page["changes"][0];
            if commit["version"] != json!(version) {
                let what = format!("{} has no version {version}", self.graph);
                return Err(CliError::new(format!("{what}. `dao-api history` lists them")));
            }
            operations.push(json!({"operationId": commit["operationId"], "version": version}));
        }
        let policy = match self.on_conflict {
            Policy::Merge => "merge",
            Policy::Overwrite => "overwrite",
            Policy::Reject => "reject",
        };
        Ok(json!({"type": "UNDO", "payload": {"operations": operations}, "onConflict": policy}))
    }

    fn unreadable(&self, version: Version, why: &dyn std::fmt::Display) -> CliError {
        CliError::new(format!("version {version} of {} can't be read: {why}", self.graph))
    }

    fn tell(&self, done: &Done) -> Result<(), CliError> {
        let undone: Undone = serde_json::from_value(done.result.clone())
            .map_err(|e| CliError::new(format!("it is undone, but the answer can't be read: {e}")))?;
        let outcome = match done.is_unchanged() {
            true => "unchanged",
            false if undone.skipped.is_empty() => "applied",
            false => "merged",
        };
        if self.json {
            let all = json!({
                "graphId": self.graph, "version": done.version, "hash": done.hash, "outcome": outcome,
                "result": done.result,
            });
            return print(|out| writeln!(out, "{all}"));
        }
        print(|out| describe(&self.graph, done, &undone, out))
    }
}

fn describe(graph: &GraphId, done: &Done, undone: &Undone, out: &mut dyn Write) -> std::io::Result<()> {
    let version = done.version;
    match done.is_unchanged() {
        true => writeln!(out, "{graph}: nothing to undo, version {version}")?,
        false => writeln!(out, "{graph}: undone in version {version}")?,
    }
    for Reverted { id, paths } in &undone.reverted {
        writeln!(out, "  put back {id} {}", paths.join(" "))?;
    }
    for Skipped { id, path, user_id, version } in &undone.skipped {
        writeln!(out, "  left alone {id} {path}: {user_id} in version {version}")?;
    }
    for id in &undone.detached {
        writeln!(out, "  {id} came back without its parent")?;
    }
    Ok(())
}
