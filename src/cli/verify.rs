//! `dao-api verify`: checks that histories are intact (rule A5). Exit code 1 if one is damaged.

use clap::Args;
use dao_projections::{GraphId, Hash, Version};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::{Api, Refused},
    error::CliError,
    output::{counted, print},
    reach::Reach,
};
use crate::config::Config;

/// A line of an answer: how far it is, or what was found.
#[derive(Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Line {
    Progress { commits: u64, of: u64 },
    Verified { version: Version, hash: Hash, first_bad_version: Option<Version>, problem: Option<String> },
    Failed { error: Value },
}

#[derive(Args)]
pub(super) struct Verify {
    /// The graph
    #[arg(value_name = "GRAPH", required_unless_present = "all", conflicts_with = "all")]
    graph: Option<GraphId>,
    /// Every graph in the store, by name
    #[arg(long)]
    all: bool,
    /// Print a line of JSON per graph, like `GET /graphs/GRAPH/verify`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// How many histories were verified, and how many of them are damaged.
#[derive(Default)]
struct Tally {
    walked: u64,
    damaged: u64,
}

impl Verify {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let bar = ProgressBar::new(0);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {pos}/{len} commits, {per_sec}, {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        let mut tally = Tally::default();
        let walked = match &self.graph {
            Some(graph) => match api.existing(graph).await {
                Ok(()) => self.verify(&mut api, graph, &bar, &mut tally).await,
                Err(missing) => Err(missing),
            },
            None => self.verify_all(&mut api, &bar, &mut tally).await,
        };
        bar.finish_and_clear();
        api.close().await;
        walked?;
        match tally.damaged {
            0 => Ok(()),
            damaged => Err(CliError::new(format!(
                "{damaged} of {} is damaged: restore a backup, or read the versions before the damage with `show --at`",
                counted(tally.walked, "graph")
            ))),
        }
    }

    async fn verify_all(&self, api: &mut Api, bar: &ProgressBar, tally: &mut Tally) -> Result<(), CliError> {
        api.only_for_owners("verify --all")?;
        let mut last: Option<GraphId> = None;
        loop {
            let page = graphs_after(api, last.as_ref()).await?;
            for graph in &page {
                self.verify(api, graph, bar, tally).await?;
            }
            match page.into_iter().next_back() {
                Some(graph) => last = Some(graph),
                None => break,
            }
        }
        if !self.json {
            bar.suspend(|| {
                print(|out| {
                    writeln!(out, "{} verified, {} damaged", counted(tally.walked, "graph"), tally.damaged)
                })
            })?;
        }
        Ok(())
    }

    async fn verify(
        &self,
        api: &mut Api,
        graph: &GraphId,
        bar: &ProgressBar,
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        bar.reset();
        bar.set_message(graph.to_string());
        let found = Verified::of(api, graph, |commits, of| {
            bar.set_length(of);
            bar.set_position(commits);
        });
        let found = found.await.map_err(|e| CliError::new(format!("{graph} can't be verified: {e}")))?;
        tally.walked += 1;
        tally.damaged += u64::from(found.damage.is_some());
        bar.suspend(|| {
            print(|out| match self.json {
                true => writeln!(out, "{}", found.text),
                false => writeln!(out, "{graph}: {}", found.describe()),
            })
        })
    }
}

/// What was found in a history.
pub(super) struct Verified {
    version: Version,
    hash: Hash,
    /// The first version that is damaged, and how.
    pub(super) damage: Option<(Version, String)>,
    /// The same as JSON.
    text: String,
}

impl Verified {
    /// Verifies the history of a graph, however long that takes, and says how many of its commits are.
    pub(super) async fn of(
        api: &mut Api,
        graph: &GraphId,
        progress: impl Fn(u64, u64),
    ) -> Result<Self, Refused> {
        let mut lines = api.get_lines(&format!("/graphs/{graph}/verify")).await?;
        while let Some(text) = lines.next().await? {
            match serde_json::from_str(&text).map_err(|e| Refused::unreadable(&e))? {
                Line::Progress { commits, of } => progress(commits, of),
                Line::Failed { error } => return Err(Refused::Unanswered(reason(&error))),
                Line::Verified { version, hash, first_bad_version, problem } => {
                    lines.finish().await?;
                    let damage = first_bad_version.map(|bad| (bad, problem.unwrap_or_default()));
                    return Ok(Self { version, hash, damage, text });
                }
            }
        }
        Err(Refused::Unanswered("the answer broke off".to_owned()))
    }

    fn describe(&self) -> String {
        let Self { version, hash, .. } = self;
        match &self.damage {
            None => format!("ok, version {version}, hash {hash}"),
            Some((bad, problem)) => format!("DAMAGED at version {bad} of {version}: {problem}"),
        }
    }
}

/// Why a history could not be verified: the sentence of the server, else its code.
fn reason(error: &Value) -> String {
    let told = ["detail", "code"].map(|key| error[key].as_str().filter(|text| !text.is_empty()));
    told.into_iter().flatten().next().unwrap_or("the server gave no reason").to_owned()
}

/// The next graphs of the store by name, also those that are damaged.
pub(super) async fn graphs_after(api: &mut Api, last: Option<&GraphId>) -> Result<Vec<GraphId>, CliError> {
    let failed = |e: Refused| CliError::new(format!("the graphs can't be listed: {e}"));
    let mut page = api.post("/local/graphs", None, &json!({ "after": last })).await.map_err(failed)?;
    serde_json::from_value(page["graphs"].take())
        .map_err(|e| CliError::new(format!("the graphs can't be listed: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_could_not_be_verified_always_has_a_reason() {
        for (error, told) in [
            (json!({"detail": "the store is away", "code": "STORE_UNAVAILABLE"}), "the store is away"),
            (json!({"code": "STORE_UNAVAILABLE"}), "STORE_UNAVAILABLE"),
            (json!({"detail": "", "code": "INTERNAL"}), "INTERNAL"),
            (json!({"status": 500}), "the server gave no reason"),
            (json!("gone"), "the server gave no reason"),
        ] {
            assert_eq!(reason(&error), told, "{error}");
        }
    }
}
