//! `dao-api list`, `create`, `trash` and `recover`: graphs as things (rules L).
//!
//! What is written is in the list at once ([`Api::fold`]).

use clap::Args;
use dao_projections::{GraphId, Hash, Timestamp, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    api::{Api, with_query},
    error::CliError,
    output::print,
    reach::Reach,
};
use crate::{config::Config, domain::readable};

/// Graphs asked of the store at once.
const PAGE: &str = "200";

#[derive(Args)]
pub(super) struct List {
    /// Only graphs whose ids begin like this
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// Only graphs with this text in the id, title, description or a tag
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Only graphs with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only graphs with this label
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Only graphs in the trash
    #[arg(long)]
    trashed: bool,
    /// Print a line of JSON for each, like `GET /graphs`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Args)]
pub(super) struct Create {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Its title
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// A tag; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    #[command(flatten)]
    written: Written,
}

#[derive(Args)]
pub(super) struct Trash {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The graph that takes its place
    #[arg(long, value_name = "GRAPH")]
    moved_to: Option<GraphId>,
    #[command(flatten)]
    written: Written,
}

#[derive(Args)]
pub(super) struct Recover {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    #[command(flatten)]
    written: Written,
}

/// What all commands that write have.
#[derive(Args)]
pub(super) struct Written {
    /// The author in the history
    #[arg(long, value_name = "USER", default_value = "cli")]
    pub(super) user: UserId,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) reach: Reach,
}

/// A page of the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    graphs: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// What is said of a graph.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    graph_id: GraphId,
    attributes: Value,
    version: Version,
    updated_at: Timestamp,
    updated_by: UserId,
    nodes: u64,
    edges: u64,
    trashed: Option<Value>,
}

impl List {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let listed = self.list(&mut api).await;
        api.close().await;
        listed
    }

    async fn list(&self, api: &mut Api) -> Result<(), CliError> {
        let failed = |e: &dyn std::fmt::Display| CliError::new(format!("the graphs can't be listed: {e}"));
        let (mut count, mut cursor) = (0, None::<String>);
        loop {
            let query = [
                ("sort", Some("id")),
                ("limit", Some(PAGE)),
                ("prefix", Some(self.prefix.as_str()).filter(|prefix| !prefix.is_empty())),
                ("q", self.q.as_deref()),
                ("tag", self.tag.as_deref()),
                ("label", self.label.as_deref()),
                ("trashed", self.trashed.then_some("only")),
                ("cursor", cursor.as_deref()),
            ];
            let page: Page = api.read(&with_query("/graphs", &query)).await.map_err(|e| failed(&e))?;
            count += page.graphs.len();
            if self.json {
                print(|out| page.graphs.iter().try_for_each(|row| writeln!(out, "{}", row.get())))?;
            } else {
                let rows = page.graphs.iter().map(|row| serde_json::from_str(row.get()));
                let rows: Vec<Row> = rows.collect::<Result<_, _>>().map_err(|e| failed(&e))?;
                print(|out| rows.iter().try_for_each(|row| writeln!(out, "{}", row.line())))?;
            }
            if page.next_cursor.is_none() {
                return if self.json { Ok(()) } else { print(|out| writeln!(out, "graphs: {count}")) };
            }
            cursor = page.next_cursor;
        }
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { graph_id, version, nodes, edges, .. } = self;
        let title = self.attributes["title"].as_str().map(|title| format!(" {title:?}")).unwrap_or_default();
        let (by, when) = (&self.updated_by, readable(self.updated_at));
        let trashed = if self.trashed.is_some() { ", in the trash" } else { "" };
        format!(
            "{graph_id}{title} at version {version}, {nodes} nodes, {edges} edges, changed by {by} at {when}{trashed}"
        )
    }
}

impl Create {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut attributes = serde_json::Map::new();
        attributes.extend(self.title.map(|title| ("title".to_owned(), Value::from(title))));
        if !self.tag.is_empty() {
            attributes.insert("tags".to_owned(), self.tag.into());
        }
        let payload = json!({"attributes": attributes});
        self.written.execute(config, &self.graph, ("CREATE_GRAPH", "created"), payload).await
    }
}

impl Trash {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let payload = json!({"reason": self.reason, "movedTo": self.moved_to});
        self.written.execute(config, &self.graph, ("DELETE_GRAPH", "in the trash"), payload).await
    }
}

impl Recover {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let payload = json!({});
        self.written.execute(config, &self.graph, ("RECOVER_GRAPH", "recovered"), payload).await
    }
}

/// The answer to a command that was written.
#[derive(Deserialize)]
pub(super) struct Done {
    pub(super) version: Version,
    pub(super) hash: Hash,
    pub(super) outcome: String,
    /// What the command was about.
    #[serde(default)]
    pub(super) result: Value,
}

impl Done {
    /// Whether it was so already.
    pub(super) fn is_unchanged(&self) -> bool {
        self.outcome == "unchanged"
    }
}

impl Written {
    /// Runs the command of this name and says what it did.
    async fn execute(
        &self,
        config: Config,
        graph: &GraphId,
        (name, what): (&str, &str),
        payload: Value,
    ) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let command = json!({"type": name, "payload": payload});
        let tell = |Done { version, outcome, .. }: &Done| {
            print(|out| match self.json {
                true => {
                    writeln!(out, "{}", json!({"graphId": graph, "version": version, "outcome": outcome}))
                }
                false => writeln!(out, "{graph} is {what}, at version {version}"),
            })
        };
        let done = self.run(&mut api, graph, &command, tell).await;
        api.close().await;
        done
    }

    /// Runs a command, tells what it did, and brings the list of graphs up to it.
    pub(super) async fn run(
        &self,
        api: &mut Api,
        graph: &GraphId,
        command: &Value,
        tell: impl FnOnce(&Done) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let done = api.post(&format!("/graphs/{graph}/command"), Some(&self.user), command).await;
        let done = done.map_err(|refused| match refused.is_certain() {
            true => CliError::new(format!("{graph}: {refused}")),
            false => unanswered(graph, &refused),
        })?;
        let done: Done = serde_json::from_value(done).map_err(|e| unanswered(graph, &e))?;
        let told = tell(&done);
        told.and(api.fold(graph, done.version).await)
    }
}

/// A command without an answer may have been executed, and each run of it is another operation.
fn unanswered(graph: &GraphId, why: &dyn std::fmt::Display) -> CliError {
    CliError::new(format!(
        "{graph}: {why}. It may be done all the same: look with `dao-api history {graph}` before you run it again"
    ))
}
