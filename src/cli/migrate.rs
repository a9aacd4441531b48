//! `dao-api migrate`: upgrades the store to the format of this release, step by step.
//!
//! Not here: commits. They are never rewritten (rule V3), and older ones are upcast when they are read.

use clap::Args;
use dao_projections::{Catalog, GraphId, Head, PROJECTIONS, Projection};

use super::{
    error::CliError,
    open,
    output::{counted, print},
};
use crate::{
    config::{Config, StoreConfig},
    project::{self, FoldError, Stores},
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
        let rows = rows(&stores, mode).await;
        stores.events.close().await;
        let Rows { older, damaged } = rows?;
        if older > 0 {
            let rows = counted(older, "projection");
            print(|out| writeln!(out, "{would}done: rows of {rows} rebuilt from the log"))?;
        }
        if !damaged.is_empty() {
            return Err(CliError::new(format!(
                "{} can't be read and {} not in the list: {}. Check with `dao-api verify`",
                counted(damaged.len() as u64, "graph"),
                if damaged.len() == 1 { "is" } else { "are" },
                damaged.join("; ")
            )));
        }
        if older == 0 && steps.is_empty() {
            return print(|out| writeln!(out, "nothing to do: the store has the format of this release"));
        }
        Ok(())
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

/// What became of rows that are not of this release.
#[derive(Default)]
struct Rows {
    /// Projections of graphs that are rebuilt, or would be.
    older: u64,
    /// Graphs whose histories can't be folded, each with the cause.
    damaged: Vec<String>,
}

/// Rebuilds projections with rows of an older format, and puts graphs into the list that are not in it. A graph that
/// can't be read stops no other.
async fn rows(stores: &Stores, mode: Mode) -> Result<Rows, CliError> {
    let failed =
        |e: &dyn std::fmt::Display| CliError::new(format!("rows can't be rebuilt: {e}; run it again"));
    let (mut last, mut rows) = (None::<GraphId>, Rows::default());
    loop {
        let page = stores.events.graphs(last.as_ref(), GRAPHS_PAGE).await.map_err(|e| failed(&e))?;
        for graph in &page {
            match rows_of(stores, graph, mode).await {
                Ok(older) => rows.older += older,
                Err(FoldError::Store(error)) => return Err(failed(&error)),
                Err(error @ FoldError::Poison { .. }) => rows.damaged.push(format!("{graph} ({error})")),
            }
        }
        match page.into_iter().next_back() {
            Some(graph) => last = Some(graph),
            None => return Ok(rows),
        }
    }
}

/// How many projections of this graph are rebuilt, or would be.
async fn rows_of(stores: &Stores, graph: &GraphId, mode: Mode) -> Result<u64, FoldError> {
    let (mut older, mut first_error) = (0, None);
    for projection in PROJECTIONS.iter() {
        let found = stores.rows.rows(graph, projection.name, &[]).await?.at;
        // Other projections without rows are made from what the feed tells, which lists of older stores are not.
        let is_older = match found {
            Some(at) => at.format < projection.format,
            None => projection.name == Catalog::NAME && stores.events.head(graph).await? != Head::EMPTY,
        };
        if !is_older {
            continue;
        }
        let rebuilt = match mode {
            Mode::Make => project::rebuild(stores, graph, Some(projection.name), |_| {}).await.map(drop),
            Mode::Tell => Ok(()),
        };
        match rebuilt {
            Ok(()) => older += 1,
            Err(error) => drop(first_error.get_or_insert(error)),
        }
    }
    first_error.map_or(Ok(older), Err)
}
