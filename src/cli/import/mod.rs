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
};

use clap::Args;
use dao_projections::{Graph, GraphId, UserId, Version};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    flow::Flow,
    plan::{How, Plan, Request},
    validate::{Rules, Wanted},
};
use super::{
    api::{Api, Refused},
    error::CliError,
    output::print,
    reach::Reach,
    state::State,
};
use crate::{
    config::Config,
    domain::{AutoCreate, Limits},
};

#[derive(Args)]
#[command(
    after_help = "Files are React Flow documents (also of Langflow, Flowise, Dify, RAGFlow, Vue Flow, Liveblocks), exports of n8n, \
    Node-RED, ComfyUI, Drawflow, Rete, Cytoscape, D3, vis-network, Graphology, JSON Canvas, activepieces or sim, or what \
    `dao-api export` prints. docs/import.md has the details.\n\
    Each graph is imported as a whole or not at all.\n\
    Exit codes: 0 done, 1 refused or failed (the output says what is written all the same), 2 invalid command line"
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
    #[command(flatten)]
    reach: Reach,
}

impl Import {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        let mut rules = Rules { requests: config.requests, limits: config.limits, user: self.user.clone() };
        let wanted = self.read(&rules)?;
        let mut api = Api::connect(&config, &self.reach).await?;
        if api.is_elsewhere() {
            // Its limits count, and it refuses by itself.
            let (auto_create, max) = (AutoCreate::On, usize::MAX);
            rules.limits =
                Limits { entity_bytes_max: max, nodes_max: max, edges_max: max, auto_create, ..rules.limits };
        }
        let plans = match self.plan(&mut api, wanted, &rules).await {
            Ok(plans) => plans,
            Err(why) => {
                api.close().await;
                return Err(why);
            }
        };
        if !self.dry_run && self.replace && !self.yes && plans.iter().any(report::deletes) {
            // If others write to the same entities meanwhile, the command is refused (rule D5).
            api = api.once_asked((&config, &self.reach), ask).await?;
        }
        let done = self.bring_in(&mut api, &plans).await;
        api.close().await;
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

    /// What would change, announced.
    async fn plan(&self, api: &mut Api, wanted: Vec<Wanted>, rules: &Rules) -> Result<Vec<Plan>, CliError> {
        let how = if self.replace { How::Replace } else { How::Merge };
        let mut plans = Vec::new();
        for wanted in wanted {
            wanted.check_sizes(&rules.limits)?;
            let graph = self.look(api, &wanted.graph).await?;
            plans.push(Plan::of(wanted, &graph, how, rules)?);
        }
        for plan in &plans {
            self.announce(plan)?;
        }
        Ok(plans)
    }

    async fn bring_in(&self, api: &mut Api, plans: &[Plan]) -> Result<(), CliError> {
        if self.dry_run {
            return self
                .print_all(plans.iter().map(|plan| report::json(plan, &plan.before, false)).collect());
        }
        let (mut written, mut answers) = (Vec::new(), Vec::new());
        let done = self.write_all(api, plans, &mut written, &mut answers).await;
        // Of what is done also if the rest is not.
        let told = if done.is_ok() || !answers.is_empty() { self.print_all(answers) } else { Ok(()) };
        let mut folded = Ok(());
        for (graph, version) in written {
            folded = folded.and(api.fold(graph, version).await);
        }
        done.and(told).and(folded)
    }

    /// Writes and tells of it; `written` are the graphs that the list of graphs does not know so yet.
    async fn write_all<'a>(
        &self,
        api: &mut Api,
        plans: &'a [Plan],
        written: &mut Vec<(&'a GraphId, Version)>,
        answers: &mut Vec<Value>,
    ) -> Result<(), CliError> {
        for plan in plans {
            let name = &plan.wanted.graph;
            let graph = match &plan.request {
                None => self.look(api, name).await?,
                Some(request) => {
                    let version = self.write(api, plan, request).await?;
                    written.push((name, version));
                    self.look(api, name).await.map_err(|CliError(why)| {
                        CliError::new(format!("{name} is written at version {version}, but {why}"))
                    })?
                }
            };
            if !self.json {
                print(|out| report::done(plan, &graph, out))?;
            }
            answers.push(report::json(plan, &graph, plan.request.is_some()));
        }
        Ok(())
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

    async fn look(&self, api: &mut Api, graph: &GraphId) -> Result<Graph, CliError> {
        let state = api.read::<State>(&format!("/graphs/{graph}/state")).await;
        let state = state.map_err(|e| CliError::new(format!("graph {graph} can't be read: {e}")))?;
        Ok(state.into_graph(&self.user))
    }

    /// Writes, and says at which version.
    async fn write(&self, api: &mut Api, plan: &Plan, request: &Request) -> Result<Version, CliError> {
        #[derive(Deserialize)]
        struct Done {
            version: Version,
        }
        let (graph, files) = (&plan.wanted.graph, plan.wanted.files.join(", "));
        let path = format!("/graphs/{graph}/{}", request.route);
        let written = api.post(&path, Some(&self.user), &request.body).await;
        let written = written
            .and_then(|done| serde_json::from_value::<Done>(done).map_err(|e| Refused::unreadable(&e)));
        written.map(|done| done.version).map_err(|refused| {
            CliError::new(if refused.is_conflict() {
                format!(
                    "{files}: {graph} was changed at the same time ({refused}). Nothing was written to it. Run the command again"
                )
            } else if refused.is_certain() {
                format!("{files}: {refused}. Nothing was written to {graph}")
            } else {
                format!("{files}: {refused}. Run the same command again: what is already imported stays as it is")
            })
        })
    }

    fn print_all(&self, answers: Vec<Value>) -> Result<(), CliError> {
        if !self.json {
            return Ok(());
        }
        print(|out| writeln!(out, "{}", json!({"dryRun": self.dry_run, "graphs": answers})))
    }
}

/// Asks for confirmation.
fn ask(place: &str) -> Result<(), CliError> {
    eprint!("Delete this at {place}? [y/N] ");
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
