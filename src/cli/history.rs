//! `dao-api history`: prints the operations of a graph, or the changes of one node or edge (rules A1, A4).

use std::io::Write;

use clap::Args;
use dao_projections::{EdgeId, Event, GraphId, NodeId, Timestamp, UserId, Version};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    api::{Api, with_query},
    diff::{Change, changes},
    error::CliError,
    output::print,
    reach::Reach,
};
use crate::{client::percent_encoded, config::Config, domain::readable, http::refusal_message};

/// Entries per page.
const PAGE_MAX: usize = 1_000;

#[derive(Args)]
pub(super) struct History {
    /// The graph
    #[arg(value_name = "GRAPH")]
    graph: GraphId,
    /// Only changes of this node, with its values before and after
    #[arg(long, value_name = "ID", conflicts_with = "edge")]
    node: Option<NodeId>,
    /// Only changes of this edge, with its values before and after
    #[arg(long, value_name = "ID")]
    edge: Option<EdgeId>,
    /// Print this many of the latest entries
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Print each entry as a line of JSON, like HTTP
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// A page of operations, or of changes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(alias = "operations", alias = "history")]
    entries: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// What is said of one entry: of an operation its events or why it was refused, of a change what changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    version: Version,
    user_id: UserId,
    timestamp: Timestamp,
    command_type: String,
    #[serde(default)]
    events: Vec<Event>,
    error: Option<Problem>,
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl History {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut api = Api::connect(&config, &self.reach).await?;
        let shown = self.show(&mut api).await;
        api.close().await;
        shown
    }

    async fn show(&self, api: &mut Api) -> Result<(), CliError> {
        api.existing(&self.graph).await?;
        let entity = match (&self.node, &self.edge) {
            (Some(node), _) => Some(("nodes", node.as_str())),
            (None, Some(edge)) => Some(("edges", edge.as_str())),
            (None, None) => None,
        };
        let shown = match entity {
            Some((kind, id)) => {
                self.list(api, &format!("{kind}/{}/history", percent_encoded(id)), describe_change).await?
            }
            None => self.list(api, "operations", describe_operation).await?,
        };
        if let (Some((_, id)), 0, 1..) = (entity, shown, self.limit) {
            let graph = &self.graph;
            return Err(CliError::new(format!("the history of {graph} has no change of {id}; check the id")));
        }
        if shown == self.limit {
            eprintln!("the latest {shown} entries; raise --limit for more");
        }
        Ok(())
    }

    async fn list(
        &self,
        api: &mut Api,
        what: &str,
        describe: fn(&Entry, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<usize, CliError> {
        let (mut shown, mut cursor) = (0, None::<String>);
        while shown < self.limit {
            let limit = PAGE_MAX.min(self.limit - shown).to_string();
            let query = [("limit", Some(limit.as_str())), ("cursor", cursor.as_deref())];
            let path = with_query(&format!("/graphs/{}/{what}", self.graph), &query);
            let page: Page = api.read(&path).await.map_err(|e| self.failed(&e))?;
            shown += page.entries.len();
            if self.json {
                print(|out| page.entries.iter().try_for_each(|entry| writeln!(out, "{}", entry.get())))?;
            } else {
                let entries = page.entries.iter().map(|entry| serde_json::from_str(entry.get()));
                let entries: Vec<Entry> = entries.collect::<Result<_, _>>().map_err(|e| self.failed(&e))?;
                print(|out| entries.iter().try_for_each(|entry| describe(entry, out)))?;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(shown)
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::new(format!("the history of {} can't be read: {error}", self.graph))
    }
}

fn describe_operation(entry: &Entry, out: &mut dyn Write) -> std::io::Result<()> {
    let what = match &entry.error {
        Some(Problem { code, detail }) => format!("refused: {}", refusal_message(code, detail)),
        None => events(&entry.events),
    };
    let (at, command) = (readable(entry.timestamp), &entry.command_type);
    writeln!(out, "{:>8}  {at}  {}  {command}  {what}", entry.version, entry.user_id)
}

/// The events in words; a long list is shortened.
fn events(events: &[Event]) -> String {
    const SHOWN_MAX: usize = 3;
    let mut words: Vec<String> =
        events.iter().take(SHOWN_MAX).map(|event| format!("{} {}", event.name(), event.entity())).collect();
    if events.len() > SHOWN_MAX {
        words.push(format!("and {} more", events.len() - SHOWN_MAX));
    }
    words.join(", ")
}

fn describe_change(entry: &Entry, out: &mut dyn Write) -> std::io::Result<()> {
    let (at, command) = (readable(entry.timestamp), &entry.command_type);
    writeln!(out, "{:>8}  {at}  {}  {command}", entry.version, entry.user_id)?;
    changes(&entry.changes, out)
}
