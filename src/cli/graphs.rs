//! `dao-api list`, `create`, `trash` and `recover`: graphs as things (rules L).
//!
//! What is written is in the list at once ([`super::writing`]).

use std::io::Write;

use clap::Args;
use dao_projections::{CatalogRow, GraphId, Head, Outcome, Timestamp, UserId};
use serde_json::{Value, json};

use super::{CliError, open, print, writing::Writing};
use crate::{
    config::Config,
    domain::readable,
    http::{parse_command, wire::catalog_row_json},
    project::{self, Stores},
    read::{self, CatalogFilter, CatalogFound, CatalogPage, ListOrder, ListSort, TrashFilter},
    write::{CommandResult, Effect, Ending},
};

/// Graphs asked of the store at once.
const PAGE: usize = 200;

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
}

impl List {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let stores = open::stores(&config).await?;
        let listed = self.list(&stores).await;
        stores.events.close().await;
        listed
    }

    async fn list(&self, stores: &Stores) -> Result<(), CliError> {
        let filter = CatalogFilter {
            text: self.q.as_ref().map(|text| text.to_lowercase()),
            tag: self.tag.clone(),
            label: self.label.clone(),
            trashed: if self.trashed { TrashFilter::Only } else { TrashFilter::No },
            ..CatalogFilter::default()
        };
        let mut page = CatalogPage {
            sort: ListSort::Id,
            order: ListOrder::Ascending,
            prefixes: vec![self.prefix.clone()],
            after: None,
            limit: PAGE,
        };
        let mut count = 0;
        loop {
            let now = Timestamp(project::now_ms());
            let found = read::catalog(&*stores.rows, project::READER, now, &page, &filter, |_| true).await;
            let found = found.map_err(|e| CliError::new(format!("the graphs can't be listed: {e}")))?;
            count += found.graphs.len();
            print(|out| self.describe(&found, out))?;
            if found.next.is_none() {
                return if self.json { Ok(()) } else { print(|out| writeln!(out, "graphs: {count}")) };
            }
            page.after = found.next;
        }
    }

    fn describe(&self, found: &CatalogFound, out: &mut dyn Write) -> std::io::Result<()> {
        for (id, row) in &found.graphs {
            match self.json {
                true => {
                    out.write_all(&catalog_row_json(id, row))?;
                    out.write_all(b"\n")?;
                }
                false => writeln!(out, "{}", line(id, row))?,
            }
        }
        Ok(())
    }
}

fn line(id: &GraphId, row: &CatalogRow) -> String {
    let title = row.attributes.fields().get("title").and_then(Value::as_str);
    let title = title.map(|title| format!(" {title:?}")).unwrap_or_default();
    let (version, nodes, edges) = (row.version, row.nodes, row.edges);
    let (by, when) = (&row.updated_by, readable(row.updated_at));
    let trashed = if row.trashed.is_some() { ", in the trash" } else { "" };
    format!(
        "{id}{title} at version {version}, {nodes} nodes, {edges} edges, changed by {by} at {when}{trashed}"
    )
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

/// What a command that was written came to.
pub(super) struct Done {
    pub(super) effect: Effect,
    pub(super) head: Head,
    pub(super) results: Vec<CommandResult>,
}

impl Done {
    /// In a word.
    pub(super) fn outcome(&self) -> &'static str {
        match self.effect {
            Effect::Unchanged => "unchanged",
            Effect::Committed(Outcome::Applied) => "applied",
            Effect::Committed(Outcome::Merged) => "merged",
        }
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
        let done = self.run(config, graph, json!({"type": name, "payload": payload})).await?;
        let version = done.head.version;
        print(|out| match self.json {
            true => {
                writeln!(out, "{}", json!({"graphId": graph, "version": version, "outcome": done.outcome()}))
            }
            false => writeln!(out, "{graph} is {what}, at version {version}"),
        })
    }

    /// Runs a command, by the rules of `POST …/command`.
    pub(super) async fn run(
        &self,
        config: Config,
        graph: &GraphId,
        command: Value,
    ) -> Result<Done, CliError> {
        let operation = parse_command(command, &self.user).map_err(CliError::new)?;
        let writing = Writing::open(&config).await?;
        let answers = writing.graphs().execute(graph, vec![operation]).await;
        let answer = answers.map(|answers| answers.into_iter().next().map(|answer| answer.ending));
        let done = match answer {
            Ok(Some(Ending::Completed { effect, head, results })) => {
                writing.fold(graph, head.version).await.map(|()| Done { effect, head, results })
            }
            Ok(Some(Ending::Refused { refusal, .. })) => {
                Err(CliError::new(format!("{graph}: {}", refusal.message)))
            }
            Ok(None) => Err(unanswered(graph, &"there was no answer")),
            Err(e) => Err(unanswered(graph, &e)),
        };
        writing.close().await;
        done
    }
}

/// A command without an answer may have been executed, and each run of it is another operation.
fn unanswered(graph: &GraphId, why: &dyn std::fmt::Display) -> CliError {
    CliError::new(format!(
        "{graph}: {why}. It may be done all the same: look with `dao-api history {graph}` before you run it again"
    ))
}
