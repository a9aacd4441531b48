//! `dao-api import`: documents become commands, through the path that every command takes.
//!
//! Nodes are brought in by `BATCH_UPDATE`s of bounded size, in the document's order; then one more
//! sets the edges and the viewport. Importing the same document again changes nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use dao_projections::{GraphId, UserId};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::{CliError, open};
use crate::{
    config::Config,
    http::{parse_command, parse_document},
    write::{Answer, Effect, Ending, Graphs},
};

/// Nodes in one command at most.
const NODES_MAX: usize = 500;
/// Bytes of nodes in one command, beyond its first node.
const BYTES_MAX: usize = 4 << 20;

#[derive(Args)]
pub(super) struct Import {
    /// JSON files with `nodes`, `edges` and perhaps a `viewport`, at the top or below `data`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Put all of them into this graph
    #[arg(long, value_name = "ID", required_unless_present = "each", conflicts_with = "each")]
    graph: Option<GraphId>,
    /// Put each into a graph named like its file
    #[arg(long)]
    each: bool,
    /// Who the history names as the author
    #[arg(long, value_name = "USER", default_value = "import")]
    user: UserId,
}

/// What is to be one graph.
struct Document {
    graph: GraphId,
    files: Vec<PathBuf>,
    nodes: Vec<Value>,
    edges: Vec<Value>,
    viewport: Option<Value>,
}

impl Import {
    pub(super) async fn run(self, config: Config) -> Result<(), CliError> {
        // Everything is read and looked at before anything is written.
        let documents = self.read()?;
        let graphs = open::graphs(&config).await?;
        let total: usize = documents.iter().map(|d| d.nodes.len() + d.edges.len()).sum();
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {pos}/{len} nodes and edges, {eta} left  {msg}")
        {
            bar.set_style(style);
        }
        let mut imported = Ok(());
        for document in documents {
            bar.set_message(document.graph.to_string());
            imported = bring_in(&graphs, document, &self.user, &bar).await;
            if imported.is_err() {
                break;
            }
        }
        bar.finish_and_clear();
        open::close(&graphs).await;
        imported
    }

    fn read(&self) -> Result<Vec<Document>, CliError> {
        let mut documents: Vec<Document> = Vec::new();
        for file in &self.files {
            let (nodes, edges, viewport) = read_file(file)?;
            let graph = match &self.graph {
                Some(graph) => graph.clone(),
                None => graph_named_like(file)?,
            };
            match documents.iter_mut().find(|document| document.graph == graph) {
                Some(document) => {
                    document.files.push(file.clone());
                    document.nodes.extend(nodes);
                    document.edges.extend(edges);
                    document.viewport = viewport.or(document.viewport.take());
                }
                None => documents.push(Document { graph, files: vec![file.clone()], nodes, edges, viewport }),
            }
        }
        Ok(documents)
    }
}

type Parts = (Vec<Value>, Vec<Value>, Option<Value>);

fn read_file(file: &Path) -> Result<Parts, CliError> {
    let name = file.display();
    let text = std::fs::read(file).map_err(|e| CliError::new(format!("{name} can't be read: {e}")))?;
    let document = parse_document(&text).map_err(|e| CliError::new(format!("{name} is no JSON: {e}")))?;
    drop(text);
    let mut fields = match document {
        Value::Object(mut fields) => match fields.remove("data") {
            Some(Value::Object(inner)) if !fields.contains_key("nodes") => inner,
            _ => fields,
        },
        _ => Map::new(),
    };
    let mut list = |key: &str| match fields.remove(key) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(CliError::new(format!(
            "{name} has no list `{key}`: expected a React Flow document or a Langflow or Flowise export"
        ))),
    };
    let (nodes, edges) = (list("nodes")?, list("edges")?);
    Ok((nodes, edges, fields.remove("viewport").filter(|viewport| !viewport.is_null())))
}

/// The file's name without its ending, with `-` for what a graph id may not hold.
fn graph_named_like(file: &Path) -> Result<GraphId, CliError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(allowed).take(128).collect();
    GraphId::parse(&name)
        .map_err(|e| CliError::new(format!("{} gives no graph id ({e}): use --graph", file.display())))
}

async fn bring_in(
    graphs: &Graphs,
    document: Document,
    user: &UserId,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    let files: Vec<_> = document.files.iter().map(|file| file.display().to_string()).collect();
    let (node_count, edge_count) = (document.nodes.len(), document.edges.len());
    let mut version = 0;
    let mut changed = false;
    let mut commands: Vec<(usize, Value)> =
        in_chunks(document.nodes).into_iter().map(|nodes| (nodes.len(), json!({"nodes": nodes}))).collect();
    let mut last = json!({"edges": document.edges});
    if let (Some(viewport), Some(fields)) = (document.viewport, last.as_object_mut()) {
        fields.insert("viewport".to_owned(), viewport);
    }
    commands.push((edge_count, last));
    for (size, payload) in commands {
        let command = json!({"type": "BATCH_UPDATE", "payload": payload});
        let operation = parse_command(command, user)
            .map_err(|problem| CliError::new(format!("{}: {problem}", files.join(", "))))?;
        let answers = graphs.execute(&document.graph, vec![operation]).await;
        let answers = answers.map_err(|e| CliError::new(format!("the import stopped: {e}")))?;
        let (at, committed) = accepted(answers.first(), &files)?;
        (version, changed) = (at, changed || committed);
        bar.inc(size as u64);
    }
    let what = if changed { "now at" } else { "was so already, at" };
    bar.suspend(|| {
        println!(
            "{}: {} and {} from {}; {what} version {version}",
            document.graph,
            counted(node_count, "node"),
            counted(edge_count, "edge"),
            files.join(", ")
        );
    });
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn accepted(answer: Option<&Answer>, files: &[String]) -> Result<(u64, bool), CliError> {
    match answer.map(|answer| &answer.ending) {
        Some(Ending::Completed { effect, head, .. }) => {
            Ok((head.version.get(), matches!(effect, Effect::Committed(_))))
        }
        Some(Ending::Refused { refusal, .. }) => {
            Err(CliError::new(format!("{}: {}", files.join(", "), refusal.message)))
        }
        None => Err(CliError::new("the import stopped: there was no answer")),
    }
}

fn in_chunks(nodes: Vec<Value>) -> Vec<Vec<Value>> {
    let mut chunks: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for node in nodes {
        let size = node.to_string().len();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < NODES_MAX && bytes + size <= BYTES_MAX => {
                bytes += size;
                chunk.push(node);
            }
            _ => {
                bytes = size;
                chunks.push(vec![node]);
            }
        }
    }
    chunks
}
