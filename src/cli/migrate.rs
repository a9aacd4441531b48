//! `dao-api migrate`: upgrades the store to the format of this release, step by step.
//!
//! Not here: commits. They are never rewritten (rule V3), and older ones are upcast when they are read.

use clap::Args;
use dao_projections::{GraphId, PROJECTIONS};

use super::{CliError, open, print};
use crate::{
    config::{Config, StoreConfig},
    project::{self, Stores},
    store::{Migrate as Mode, embedded, redis},
};

/// Graphs per page of the list.
const GRAPHS_PAGE: usize = 1_000;

#[derive(Args)]
pub(super) struct Migrate {
    /// Print the steps, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Migrate {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mode = if self.dry_run { Mode::Tell } else { Mode::Make };
        let steps = steps(&config, mode).await?;
        let would = if self.dry_run { "would be " } else { "" };
        for step in &steps {
            print(|out| writeln!(out, "{would}done: {step}"))?;
        }
        if self.dry_run && !steps.is_empty() {
            return print(|out| {
                writeln!(out, "then rows of older projections would be rebuilt, if there are any")
            });
        }
        let stores = open::stores(&config).await?;
        // Graphs of an older format are in no catalog yet.
        let missing: &[&str] = if steps.is_empty() { &[] } else { &["catalog"] };
        let rows = rows(&stores, mode, missing).await;
        stores.events.close().await;
        let rows = rows?;
        match (rows, steps.is_empty()) {
            (0, true) => {
                print(|out| writeln!(out, "nothing to do: the store has the format of this release"))
            }
            (0, false) => Ok(()),
            (rows, _) => {
                print(|out| writeln!(out, "{would}done: rows of {rows} projections rebuilt from the log"))
            }
        }
    }
}

async fn steps(config: &Config, mode: Mode) -> Result<Vec<String>, CliError> {
    match config.store.clone() {
        StoreConfig::Embedded(config) => {
            let migrated = tokio::task::spawn_blocking(move || embedded::migrate(&config.dir, mode)).await;
            let migrated = migrated
                .map_err(|e| CliError::new(format!("the migration was interrupted: {e}; run it again")))?;
            migrated.map_err(|e| CliError::new(e.to_string()))
        }
        StoreConfig::Redis(config) => {
            redis::migrate(config, mode).await.map_err(|e| CliError::new(e.to_string()))
        }
    }
}

/// Rebuilds projections with rows of an older format, and those of `missing` that have none; returns how many there are,
/// or were.
async fn rows(stores: &Stores, mode: Mode, missing: &[&str]) -> Result<u64, CliError> {
    let failed =
        |e: &dyn std::fmt::Display| CliError::new(format!("rows can't be rebuilt: {e}; run it again"));
    let (mut last, mut older) = (None::<GraphId>, 0);
    loop {
        let page = stores.events.graphs(last.as_ref(), GRAPHS_PAGE).await.map_err(|e| failed(&e))?;
        for graph in &page {
            for projection in PROJECTIONS.iter() {
                let found = stores.rows.rows(graph, projection.name, &[]).await.map_err(|e| failed(&e))?.at;
                let is_older =
                    found.map_or(missing.contains(&projection.name), |at| at.format < projection.format);
                if !is_older {
                    continue;
                }
                older += 1;
                if mode == Mode::Make {
                    let rebuilt = project::rebuild(stores, graph, Some(projection.name), |_| {}).await;
                    rebuilt.map_err(|e| failed(&e))?;
                }
            }
        }
        match page.into_iter().next_back() {
            Some(graph) => last = Some(graph),
            None => return Ok(older),
        }
    }
}
