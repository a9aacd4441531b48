//! `dao-api import`: turns files into commands, and sends them through the normal command path.
//!
//! Files are read and validated before the store is opened, and the changes are announced before anything is written.
//! Each graph gets one commit or none (decision 0093).

mod exported_commits;
mod flow;
mod formats;
mod layout;
mod parse;
mod place;
mod plan;
mod report;
mod validate;
mod yaml;

use std::{
    collections::HashSet,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use dao_projections::{GraphId, UserId};
use serde_json::{Value, json};

use self::{
    flow::Flow,
    plan::Plan,
    validate::{Rules, Wanted},
};
use super::{CliError, print, writing::Writing};
use crate::{
    config::Config,
    write::{Ending, Graphs, View},
};

#[derive(Args)]
#[command(
    after_help = "Files are React Flow documents (also of Langflow, Flowise, Dify, RAGFlow, Vue Flow, Liveblocks), exports of n8n, \
    Node-RED, ComfyUI, Drawflow, Rete, Cytoscape, D3, vis-network, Graphology, JSON Canvas, activepieces or sim, or what \
    `dao-api export` prints. docs/import.md has the details.\n\n\
    Exit codes: 0 done, 1 refused or failed and nothing written, 2 invalid command line"
)]
pub(super) struct Import {
    /// Files to import: JSON, YAML, or commits as lines of JSON
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Import all files into this graph; further flows of a file go to ID.NAME
    #[arg(long, value_name = "ID", required_unless_present = "each", conflicts_with = "each")]
    graph: Option<GraphId>,
    /// Import each file into a graph of its name
    #[arg(long)]
    each: bool,
    /// Add and update, delete nothing (the default)
    #[arg(long, conflicts_with = "replace")]
    merge: bool,
    /// Make the graph equal to the file: delete what the file does not have. Asks first
    #[arg(long)]
    replace: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print what would change, path by path, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// The author in the history
    #[arg(long, value_name = "USER", default_value = "import")]
    user: UserId,
}

/// What to do with entities that the file does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Keep them.
    Merge,
    /// Delete them.
    Replace,
}

impl Import {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let rules = Rules { requests: config.requests, limits: config.limits, user: self.user.clone() };
        let wanted = self.read(&rules)?;
        let writing = Writing::open(&config).await?;
        let done = self.bring_in(&writing, wanted, &rules).await;
        writing.close().await;
        done
    }

    /// Reads the files into the entities to import per graph.
    fn read(&self, rules: &Rules) -> Result<Vec<Wanted>, CliError> {
        let mut of_graph: Vec<(GraphId, Vec<Flow>)> = Vec::new();
        for file in &self.files {
            let document = parse::read_file(file, &rules.requests)?;
            let flows = formats::flows_of(document, &rules.requests)?;
            let base = match &self.graph {
                Some(graph) => graph.clone(),
                None => graph_named_like(file)?,
            };
            let taken: HashSet<GraphId> = of_graph.iter().map(|(graph, _)| graph.clone()).collect();
            for (graph, flow) in named(base, flows)? {
                if self.each && taken.contains(&graph) {
                    return Err(CliError::new(format!(
                        "{} would go into graph {graph}, as another file does. Rename it, or use --graph",
                        file.display()
                    )));
                }
                match of_graph.iter_mut().find(|(there, _)| *there == graph) {
                    Some((_, flows)) => flows.push(flow),
                    None => of_graph.push((graph, vec![flow])),
                }
            }
        }
        of_graph.into_iter().map(|(graph, flows)| Wanted::of(graph, flows, rules)).collect()
    }

    async fn bring_in(&self, writing: &Writing, wanted: Vec<Wanted>, rules: &Rules) -> Result<(), CliError> {
        let graphs = writing.graphs();
        let how = if self.replace { How::Replace } else { How::Merge };
        let mut plans = Vec::new();
        for wanted in wanted {
            let view = look(graphs, &wanted.graph).await?;
            plans.push(Plan::of(wanted, &view.graph, how, rules)?);
        }
        for plan in &plans {
            self.announce(plan)?;
        }
        if self.dry_run {
            return self
                .print_all(plans.iter().map(|plan| report::json(plan, &plan.before, false)).collect());
        }
        if self.replace && !self.yes && plans.iter().any(report::deletes) {
            ask()?;
        }
        let mut answers = Vec::new();
        for plan in &plans {
            if let Some(operation) = &plan.operation {
                write(graphs, plan, operation.clone()).await?;
            }
            let view = look(graphs, &plan.wanted.graph).await?;
            if !self.json {
                print(|out| report::done(plan, &view.graph, out))?;
            }
            answers.push(report::json(plan, &view.graph, plan.operation.is_some()));
            if plan.operation.is_some() {
                writing.fold(&plan.wanted.graph, view.graph.head().version).await?;
            }
        }
        self.print_all(answers)
    }

    /// Announces the changes; with --json on standard error, since standard output is for the JSON.
    fn announce(&self, plan: &Plan) -> Result<(), CliError> {
        let mut beside = io::stderr().lock();
        let told = report::notes(plan, &mut beside)
            .and_then(|()| if self.json { report::announce(plan, &mut beside) } else { Ok(()) });
        told.map_err(|e| CliError::new(format!("the output can't be written: {e}")))?;
        if self.json {
            return Ok(());
        }
        print(|out| {
            report::announce(plan, out)?;
            if self.dry_run { report::difference(plan, out) } else { Ok(()) }
        })
    }

    fn print_all(&self, answers: Vec<Value>) -> Result<(), CliError> {
        if !self.json {
            return Ok(());
        }
        print(|out| writeln!(out, "{}", json!({"dryRun": self.dry_run, "graphs": answers})))
    }
}

async fn look(graphs: &Graphs, graph: &GraphId) -> Result<Arc<View>, CliError> {
    let view = graphs.refresh(graph).await;
    view.map_err(|e| CliError::new(format!("graph {graph} can't be read: {e}")))
}

async fn write(graphs: &Graphs, plan: &Plan, operation: crate::domain::Operation) -> Result<(), CliError> {
    let (graph, files) = (&plan.wanted.graph, plan.wanted.files.join(", "));
    let answers = graphs.execute(graph, vec![operation]).await;
    let answers = answers.map_err(|e| {
        CliError::new(format!(
            "{files}: {e}. Run the same command again: what is already imported stays as it is"
        ))
    })?;
    match answers.into_iter().next().map(|answer| answer.ending) {
        Some(Ending::Completed { .. }) => Ok(()),
        Some(Ending::Refused { refusal, .. }) if refusal.is_conflict() => Err(CliError::new(format!(
            "{files}: {graph} was changed at the same time ({}). Nothing was written to it. Run the command again",
            refusal.message
        ))),
        Some(Ending::Refused { refusal, .. }) => {
            Err(CliError::new(format!("{files}: {}. Nothing was written to {graph}", refusal.message)))
        }
        None => {
            Err(CliError::new(format!("{files}: the import was not answered. Run the same command again")))
        }
    }
}

/// Asks for confirmation.
fn ask() -> Result<(), CliError> {
    eprint!("Delete this? [y/N] ");
    let _flushed_or_not = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|e| CliError::new(format!("no answer could be read: {e}. Add --yes to skip the question")))?;
    if answer.is_empty() {
        eprintln!();
    }
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::new("nothing was written. Answer y to continue, or add --yes")),
    }
}

/// The graph id for a file: its name without the extension, with `-` for invalid characters.
fn graph_named_like(file: &Path) -> Result<GraphId, CliError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    GraphId::parse(&as_id(&stem)).map_err(|e| {
        CliError::new(format!("{} is not usable as a graph id ({e}): use --graph", file.display()))
    })
}

/// A graph for each flow of a file: the first has the id of the file, the others add their names.
fn named(base: GraphId, flows: Vec<Flow>) -> Result<Vec<(GraphId, Flow)>, CliError> {
    let mut named: Vec<(GraphId, Flow)> = Vec::new();
    let mut taken = HashSet::from([base.clone()]);
    for (index, flow) in flows.into_iter().enumerate() {
        if index == 0 {
            named.push((base.clone(), flow));
            continue;
        }
        let name =
            flow.name.as_deref().map(as_id).filter(|name| name.contains(|c: char| c.is_ascii_alphanumeric()));
        let name = name.unwrap_or_else(|| (index + 1).to_string());
        let numbered = (1_usize..).map(|n| if n == 1 { name.clone() } else { format!("{name}-{n}") });
        let ids =
            numbered.map(|name| as_id(&format!("{base}.{name}"))).filter_map(|id| GraphId::parse(&id).ok());
        // A base of 128 characters has no room for names.
        let free = ids.take(GRAPHS_MAX).find(|id| taken.insert(id.clone()));
        let graph = free.ok_or_else(|| {
            CliError::new(format!(
                "{}: no free graph id for flow {}: use a shorter --graph",
                flow.place,
                index + 1
            ))
        })?;
        named.push((graph, flow));
    }
    Ok(named)
}

/// Flows of one name in one file.
const GRAPHS_MAX: usize = 10_000;
/// Characters of a graph id.
const GRAPH_ID_CHARS_MAX: usize = 128;

fn as_id(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '-' };
    text.chars().map(allowed).take(GRAPH_ID_CHARS_MAX).collect()
}
