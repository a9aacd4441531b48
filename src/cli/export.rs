//! `dao-api export`: prints the commits of a graph, or its state as a document.

use std::io::{self, BufWriter, Write};

use clap::Args;
use dao_projections::{GraphId, Version};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    api::{Api, query_text},
    error::CliError,
    output::print,
    reach::Reach,
    state::State,
    verify::Verified,
};
use crate::{config::Config, domain::VersionRef};

/// Commits asked for at once.
const CHUNK: u64 = 1_000;

#[derive(Args)]
pub(super) struct Export {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Print the state as a React Flow document, instead of the commits
    #[arg(long)]
    state: bool,
    /// The state at this version, label or time, or the commits up to it; standard error says which version that is
    #[arg(long, value_name = "VERSION|LABEL|TIME")]
    at: Option<VersionRef>,
    #[command(flatten)]
    reach: Reach,
}

/// Commits after a version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    current_version: Version,
    changes: Vec<Box<RawValue>>,
}

/// Fails if one of the commits up to version `to` is damaged.
fn passed(verified: Verified, to: Option<Version>) -> Result<(), CliError> {
    match verified.damage.filter(|(bad, _)| to.is_none_or(|to| *bad <= to)) {
        None => Ok(()),
        Some((bad, problem)) => {
            let what = format!("the history is damaged at version {bad}: {problem}");
            Err(CliError::new(format!("{what}. Don't trust what was exported from there on")))
        }
    }
}

impl Export {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        // What is kept must be whole.
        api.refuse_stale();
        let printed = self.print(&mut api).await;
        api.close().await;
        printed
    }

    async fn print(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        if self.state {
            let at = query_text(&self.at.clone().unwrap_or_default());
            let path = format!("/graphs/{}/state?trashed=include&at={at}", self.graph);
            let state: State = api.read(&path).await.map_err(|e| self.unreadable(&e))?;
            self.tell_version(state.version);
            return print_state(&state);
        }
        let to = match &self.at {
            None => None,
            Some(name) => {
                let named = api.version_of(&self.graph, name).await;
                let version = named.map_err(|e| self.unreadable(&e))?;
                self.tell_version(version);
                Some(version)
            }
        };
        let verified = Verified::of(api, &self.graph, |_, _| {}).await.map_err(|e| self.unreadable(&e))?;
        match self.print_commits(api, to).await {
            Ok(()) => passed(verified, to),
            Err(Stop::OutputClosed) => Ok(()),
            Err(Stop::Failed(why)) => Err(CliError::new(format!("the export stopped: {why}"))),
        }
    }

    /// Prints the commits up to version `to`, or all of them that there are now.
    async fn print_commits(&self, api: &mut Api, to: Option<Version>) -> Result<(), Stop> {
        let (mut at, mut to) = (0, to.map(Version::get));
        let mut out = BufWriter::new(io::stdout().lock());
        while to.is_none_or(|to| at < to) {
            let limit = to.map_or(CHUNK, |to| CHUNK.min(to - at));
            let path = format!("/graphs/{}/changes?since={at}&limit={limit}", self.graph);
            let page: Page = api.read(&path).await.map_err(|e| Stop::Failed(e.to_string()))?;
            to = to.or(Some(page.current_version.get()));
            if page.changes.is_empty() && to.is_some_and(|to| at < to) {
                return Err(Stop::Failed(format!("the history ends at version {at}, before its head")));
            }
            for commit in &page.changes {
                writeln!(out, "{}", commit.get())?;
            }
            at += page.changes.len() as u64;
        }
        Ok(out.flush()?)
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::new(format!("{} can't be exported: {error}", self.graph))
    }

    /// A document has no place for it.
    fn tell_version(&self, version: Version) {
        if self.at.is_some() {
            eprintln!("{} at version {version}", self.graph);
        }
    }
}

/// Why the export stopped early.
enum Stop {
    /// The reader closed the output.
    OutputClosed,
    Failed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn print_state(state: &State) -> Result<(), CliError> {
    let document = json!({
        "nodes": state.nodes.iter().map(|node| Value::Object(node.entity.to_json())).collect::<Vec<_>>(),
        "edges": state.edges.iter().map(|edge| Value::Object(edge.entity.to_json())).collect::<Vec<_>>(),
        "viewport": state.viewport.to_json(),
    });
    print(|out| writeln!(out, "{document:#}"))
}
