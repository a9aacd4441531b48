//! What commands that write have in common: the graphs, and rows that are brought up to what was written, so that
//! `dao-api list` knows of it also if no server runs.

use std::sync::Arc;

use dao_projections::{GraphId, Version};

use super::{CliError, open};
use crate::{
    config::Config,
    project::{self, Stores},
    telemetry::Metrics,
    write::Graphs,
};

/// A store that is written to.
pub(super) struct Writing {
    graphs: Arc<Graphs>,
    stores: Stores,
    checkpoint_every: u64,
}

impl Writing {
    /// Opens the configured store.
    pub(super) async fn open(config: &Config) -> Result<Self, CliError> {
        let stores = open::stores(config).await?;
        let graphs = open::graphs_over(&stores, config, Metrics::default());
        Ok(Self { graphs, stores, checkpoint_every: config.projector.checkpoint_every })
    }

    pub(super) fn graphs(&self) -> &Graphs {
        &self.graphs
    }

    /// Brings the rows of a graph up to this version.
    pub(super) async fn fold(&self, graph: &GraphId, to: Version) -> Result<(), CliError> {
        let folded = project::fold_graph(&self.stores, graph, to, self.checkpoint_every).await;
        folded.map_err(|e| {
            CliError::new(format!(
                "{graph} is written, but the list is behind: {e}. Run `dao-api rebuild --graph {graph}`"
            ))
        })
    }

    pub(super) async fn close(self) {
        open::close(&self.graphs).await;
    }
}
