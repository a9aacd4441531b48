//! `dao-api history`: prints the operations of a graph, or the changes of one node or edge (rules A1, A4).

use std::io::Write;

use clap::Args;
use dao_projections::{EdgeId, Event, GraphId, NodeId, Subject};

use super::{CliError, diff::changes, open, print};
use crate::{
    config::Config,
    domain::readable,
    http::audit::wire::{operation_json, touch_json},
    read::{self, AuditFilter, AuditQuery, EntityChange, ListedOperation, Order},
    write::Graphs,
};

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
}

impl History {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let graphs = open::graphs(&config).await?;
        let shown = self.show(&graphs).await;
        open::close(&graphs).await;
        shown
    }

    async fn show(&self, graphs: &Graphs) -> Result<(), CliError> {
        open::existing(graphs, &self.graph).await?;
        let subject = match (&self.node, &self.edge) {
            (Some(node), _) => Some(Subject::Node(node.clone())),
            (None, Some(edge)) => Some(Subject::Edge(edge.clone())),
            (None, None) => None,
        };
        let shown = match subject {
            Some(subject) => self.of_entity(graphs, &subject).await?,
            None => self.of_graph(graphs).await?,
        };
        if shown == self.limit {
            eprintln!("the latest {shown} entries; raise --limit for more");
        }
        Ok(())
    }

    async fn of_graph(&self, graphs: &Graphs) -> Result<usize, CliError> {
        let mut question = AuditQuery {
            filter: AuditFilter::default(),
            order: Order::NewestFirst,
            limit: 0,
            after: None,
            min_version: None,
        };
        let mut shown = 0;
        while shown < self.limit {
            question.limit = PAGE_MAX.min(self.limit - shown);
            let listing = read::operations(graphs, &self.graph, &question).await;
            let listing = listing.map_err(|e| self.failed(&e))?;
            shown += listing.operations.len();
            print(|out| {
                listing.operations.iter().try_for_each(|listed| match self.json {
                    true => {
                        let id = listed.accepted().map(|commit| commit.body.operation_id);
                        let undone_by = id.and_then(|id| listing.undone_by.get(&id).copied());
                        line(operation_json(listed, undone_by), out)
                    }
                    false => describe_operation(listed, out),
                })
            })?;
            let Some(next) = listing.next else { break };
            question.after = Some(next);
        }
        Ok(shown)
    }

    async fn of_entity(&self, graphs: &Graphs, subject: &Subject) -> Result<usize, CliError> {
        let (mut shown, mut before) = (0, None);
        while shown < self.limit {
            let limit = PAGE_MAX.min(self.limit - shown);
            let page = read::history(graphs, &self.graph, subject, before, limit, None).await;
            let page = page.map_err(|e| self.failed(&e))?;
            shown += page.touches.len();
            print(|out| {
                page.touches.iter().try_for_each(|touch| match self.json {
                    true => line(touch_json(touch), out),
                    false => describe_touch(touch, out),
                })
            })?;
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        if shown == 0 && self.limit > 0 {
            let (graph, id) = (&self.graph, subject.as_str());
            return Err(CliError::new(format!("the history of {graph} has no change of {id}; check the id")));
        }
        Ok(shown)
    }

    fn failed(&self, error: &read::ReadError) -> CliError {
        CliError::new(format!("the history of {} can't be read: {error}", self.graph))
    }
}

fn line(mut json: Vec<u8>, out: &mut dyn Write) -> std::io::Result<()> {
    json.push(b'\n');
    out.write_all(&json)
}

fn describe_operation(listed: &ListedOperation, out: &mut dyn Write) -> std::io::Result<()> {
    match listed {
        ListedOperation::Accepted(commit) => {
            let (body, what) = (&commit.body, events(&commit.body.events));
            let (at, command) = (readable(body.timestamp), body.command_type.as_str());
            writeln!(out, "{:>8}  {at}  {}  {command}  {what}", commit.version, body.user_id)
        }
        ListedOperation::Refused { by, refusal, .. } => {
            let (at, command, why) = (readable(by.at), by.command.as_str(), &refusal.message);
            writeln!(out, "{:>8}  {at}  {}  {command}  refused: {why}", by.version, by.user)
        }
    }
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

fn describe_touch(touch: &EntityChange, out: &mut dyn Write) -> std::io::Result<()> {
    let body = &touch.commit.body;
    let (at, command) = (readable(body.timestamp), body.command_type.as_str());
    writeln!(out, "{:>8}  {at}  {}  {command}", touch.commit.version, body.user_id)?;
    changes(&touch.changes, out)
}
