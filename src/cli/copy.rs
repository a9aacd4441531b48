//! `dao-api copy`: a new graph with the contents of another one, or with its history (rule L7).
//!
//! Those who own the store copy graphs of any size, in pieces if need be; a server elsewhere copies what one command
//! can.

use clap::Args;
use dao_projections::{GraphId, Hash, OperationId, Origin, Version};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use uuid::Uuid;

use super::{
    api::{Api, Refused, query_name},
    error::CliError,
    graphs::{Done, Written},
    output::print,
};
use crate::{config::Config, domain::VersionRef};

#[derive(Args)]
#[command(
    after_help = "Large graphs are copied in pieces. If that is interrupted, run the same command again.\n\n\
    Exit codes: 0 done, 1 refused or failed, 2 wrong usage"
)]
pub(super) struct Copy {
    /// The graph to copy
    #[arg(value_name = "SOURCE")]
    source: GraphId,
    /// The new graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Copy this version, label or time
    #[arg(long, value_name = "VERSION|LABEL|TIME", default_value = "head")]
    at: VersionRef,
    /// Copy the commits, with authors, times and hashes, not only the contents
    #[arg(long)]
    history: bool,
    /// The title of the copy; that of the source by default
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    #[command(flatten)]
    written: Written,
}

/// A copy that was made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Copied {
    version: Version,
    hash: Hash,
    forked_from: Origin,
}

impl Copy {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.written.reach).await?;
        let copied = self.copy(&mut api).await;
        api.close().await;
        let Copied { version, hash, forked_from } = copied?;
        let graph = &self.graph;
        print(|out| match self.written.json {
            true => writeln!(
                out,
                "{}",
                json!({"graphId": graph, "version": version, "hash": hash, "forkedFrom": forked_from})
            ),
            false => {
                let Origin { graph_id, version: of, .. } = &forked_from;
                writeln!(out, "{graph} is a copy of {graph_id} at version {of}, at version {version}")
            }
        })
    }

    async fn copy(&self, api: &mut Api) -> Result<Copied, CliError> {
        api.existing(&self.source).await?;
        let copied = match api.owns_store() {
            true => self.copy_all(api).await,
            false => self.copy_at_once(api).await,
        };
        let copied = copied.map_err(|refused| match refused.is_certain() {
            true => CliError::new(refused.to_string()),
            false => CliError::new(format!("{}: {refused}. Run the same command again", self.graph)),
        })?;
        self.refuse_trashed(api).await?;
        Ok(copied)
    }

    /// The same copy may have been made before, and be in the trash since.
    async fn refuse_trashed(&self, api: &mut Api) -> Result<(), CliError> {
        #[derive(Deserialize)]
        struct Row {
            trashed: Option<IgnoredAny>,
        }
        let graph = &self.graph;
        let row: Result<Row, Refused> = api.read(&format!("/graphs/{graph}")).await;
        let row = row.map_err(|why| {
            CliError::new(format!("{graph} is copied, but can't be read: {why}. Run the same command again"))
        })?;
        match row.trashed {
            None => Ok(()),
            Some(_) => Err(CliError::new(format!("{graph} is in the trash: `dao-api recover {graph}`"))),
        }
    }

    async fn copy_all(&self, api: &mut Api) -> Result<Copied, Refused> {
        let asked = json!({"source": self.source, "at": query_name(&self.at), "history": self.history, "title": self.title});
        let path = format!("/local/graphs/{}/copy", self.graph);
        let copied = api.post(&path, Some(&self.written.user), &asked).await?;
        serde_json::from_value(copied).map_err(|e| Refused::unreadable(&e))
    }

    /// The operation is named after what is copied, so that a server that has done it says so again.
    async fn copy_at_once(&self, api: &mut Api) -> Result<Copied, Refused> {
        let version = api.version_of(&self.source, &self.at).await?;
        let origin = self.origin(api, version).await?;
        let mut payload = json!({"from": {"graphId": self.source, "at": version, "history": self.history}});
        if let Some(title) = &self.title {
            payload["attributes"] = json!({"title": title});
        }
        let mut command =
            json!({"type": "CREATE_GRAPH", "operationId": self.operation_id(&origin), "payload": payload});
        let path = format!("/graphs/{}/command", self.graph);
        let done = match api.post(&path, Some(&self.written.user), &command).await {
            // Nothing was copied then, or somebody else did: this is another operation.
            Err(refused) if refused.is_of_before() => {
                command["operationId"] = json!(OperationId::from(Uuid::now_v7()));
                api.post(&path, Some(&self.written.user), &command).await?
            }
            done => done?,
        };
        let Done { version, hash, .. } = serde_json::from_value(done).map_err(|e| Refused::unreadable(&e))?;
        Ok(Copied { version, hash, forked_from: origin })
    }

    /// What is copied, with the hash of that version.
    async fn origin(&self, api: &mut Api, version: Version) -> Result<Origin, Refused> {
        #[derive(Deserialize)]
        struct Page {
            changes: Vec<Head>,
        }
        let before = version.get().saturating_sub(1);
        let path = format!("/graphs/{}/changes?since={before}&limit=1", self.source);
        let page: Page = api.read(&path).await?;
        let head = page.changes.into_iter().find(|head| head.version == version);
        let Head { hash, .. } = head.ok_or_else(|| {
            Refused::Unanswered(format!("version {version} of {} can't be read", self.source))
        })?;
        Ok(Origin { graph_id: self.source.clone(), version, hash })
    }

    /// The same for the same copy.
    fn operation_id(&self, origin: &Origin) -> OperationId {
        let title = self.title.as_deref().unwrap_or_default();
        let what = format!(
            "dao-api copy {}\0{}\0{}\0{}\0{title}",
            self.source, origin.hash, self.graph, self.history
        );
        Uuid::new_v5(&Uuid::NAMESPACE_URL, what.as_bytes()).into()
    }
}

/// The parts of a commit that are needed.
#[derive(Deserialize)]
struct Head {
    version: Version,
    hash: Hash,
}
