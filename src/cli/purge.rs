//! `dao-api purge`: removes a graph that is in the trash, with everything that belongs to it (rule L10).

use std::io::{self, Write};

use clap::Args;
use dao_projections::{GraphId, OperationId, UserId};
use serde_json::json;

use super::{api::Api, error::CliError, graphs::Done, output::print, reach::Reach};
use crate::config::Config;

#[derive(Args)]
#[command(
    after_help = "The graph must be in the trash: `dao-api trash GRAPH`. Until it is purged, `dao-api recover GRAPH` takes it out.\n\n\
    Exit codes: 0 purged, 1 refused or failed, 2 wrong usage"
)]
pub(super) struct PurgeGraph {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// The operation: sent again it is not done again
    #[arg(long, value_name = "UUID", value_parser = operation)]
    operation_id: Option<OperationId>,
    /// Who purges
    #[arg(long, value_name = "USER", default_value = "cli")]
    user: UserId,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

fn operation(text: &str) -> Result<OperationId, String> {
    OperationId::parse(text).map_err(|e| e.to_string())
}

impl PurgeGraph {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let operation = self.operation_id.unwrap_or_else(|| OperationId::from(uuid::Uuid::now_v7()));
        let mut api = Api::connect(&config, &self.reach).await?;
        if !self.yes {
            api = api.once_asked((&config, &self.reach), |place| ask(&self.graph, place)).await?;
        }
        let path = format!("/graphs/{}/purge", self.graph);
        let purged = api.post(&path, Some(&self.user), &json!({"operationId": operation})).await;
        api.close().await;
        let graph = &self.graph;
        let purged = purged.map_err(|refused| match refused.code() {
            "NOT_TRASHED" => CliError::new(format!(
                "{graph} is not in the trash. Put it there first: `dao-api trash {graph}`"
            )),
            "GRAPH_NOT_FOUND" => CliError::new(format!("graph {graph} does not exist")),
            "OPERATION_ID_REUSED" => {
                CliError::new(format!("{operation} was used for another operation. Use another id"))
            }
            _ if refused.is_certain() => CliError::new(format!("{graph}: {refused}")),
            _ => unanswered(graph, operation, &refused),
        })?;
        let Done { version, hash, .. } =
            serde_json::from_value(purged).map_err(|e| unanswered(graph, operation, &e))?;
        print(|out| match self.json {
            true => {
                let all = json!({
                    "graphId": graph, "operationId": operation, "version": version, "hash": hash, "outcome": "applied",
                });
                writeln!(out, "{all}")
            }
            false => writeln!(out, "{graph} is purged. Its last version was {version}"),
        })
    }
}

fn unanswered(graph: &GraphId, operation: OperationId, why: &dyn std::fmt::Display) -> CliError {
    let again = format!("Run the same command again with --operation-id {operation}");
    CliError::new(format!("{graph}: {why}. {again}"))
}

/// Asks for the name of the graph.
fn ask(graph: &GraphId, place: &str) -> Result<(), CliError> {
    eprint!(
        "Nothing of {graph} at {place} will be left, and nobody can recover it. Type its id to purge it: "
    );
    let _flushed_or_not = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|e| CliError::new(format!("no answer could be read: {e}. Add --yes to skip the question")))?;
    match answer.trim() == graph.as_str() {
        true => Ok(()),
        false => Err(CliError::new("nothing was purged. Type the id of the graph, or add --yes")),
    }
}
