//! Reads the output of `dao-api export`, one commit per line, into the graph of these commits.
//!
//! Authors and times are not imported. An import is a command of the importing user, and only the write path writes
//! history (decision 0093).

use std::sync::Arc;

use dao_projections::{Event, Graph, Map, Timestamp, Version};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    parse::{Document, unreadable_at},
    place::{Place, Source},
};
use crate::{
    cli::error::CliError,
    http::{RequestLimits, read_document},
};

/// The parts of a commit that the graph needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    graph_id: String,
    version: u64,
    events: Vec<Event>,
}

/// Whether a text is commits, one per line.
pub(super) fn is_history(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marks {
        #[serde(rename = "graphId")]
        _graph_id: IgnoredAny,
        #[serde(rename = "version")]
        _version: IgnoredAny,
        #[serde(rename = "commandType")]
        _command_type: IgnoredAny,
        events: Vec<IgnoredAny>,
    }
    let first = text.trim_start().lines().next().unwrap_or_default();
    first.starts_with('{') && serde_json::from_str::<Marks>(first).is_ok_and(|marks| !marks.events.is_empty())
}

/// Folds the commits of a whole history.
pub(super) fn read_history(text: &str, place: Place, limits: &RequestLimits) -> Result<Document, CliError> {
    let file = place.source.file.clone();
    let mut graph = Graph::empty();
    let mut last: Option<Line> = None;
    for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let source = Source { file: format!("{file}:{}", index + 1), within: String::new() };
        let at = Place { source: Arc::new(source), ..place.clone() };
        let line = read_line(text, &at, limits)?;
        let follows = last.as_ref().map_or(1, |last| last.version + 1);
        if line.version != follows {
            return Err(CliError::new(format!(
                "{at}: this is version {}, but {follows} is expected here. Import a whole history, as `dao-api \
                 export` prints it",
                line.version
            )));
        }
        if let Some(last) = last.filter(|last| last.graph_id != line.graph_id) {
            return Err(CliError::new(format!(
                "{at}: this is a commit of {}, but those before it are of {}. Import one graph's history at a time",
                line.graph_id, last.graph_id
            )));
        }
        let version = Version::new(line.version).unwrap_or(Version::EMPTY);
        line.events.iter().for_each(|event| graph.apply_event(event, version, Timestamp(0)));
        last = Some(Line { events: vec![], ..line });
    }
    Ok(Document { place, value: state(&graph), repeated: vec![], family: Some("dao-api history") })
}

fn read_line(text: &str, at: &Place, limits: &RequestLimits) -> Result<Line, CliError> {
    let read = read_document(text.as_bytes(), limits).map_err(|e| unreadable_at(&e, at, "JSON"))?;
    if let Some(twice) = read.repeated.first() {
        return Err(CliError::new(format!("{at}: the key at {} is repeated. Remove one", twice.as_str())));
    }
    serde_json::from_value(read.value).map_err(|e| CliError::new(format!("{at}: not a commit: {e}")))
}

fn state(graph: &Graph) -> Value {
    let list = |fields: Vec<Map>| Value::Array(fields.into_iter().map(Value::Object).collect());
    let mut state = Map::new();
    let nodes = graph.nodes().iter().map(|node| node.entity.to_json()).collect();
    let edges = graph.edges().iter().map(|edge| edge.entity.to_json()).collect();
    state.insert("nodes".to_owned(), list(nodes));
    state.insert("edges".to_owned(), list(edges));
    state.insert("viewport".to_owned(), graph.viewport().to_json());
    Value::Object(state)
}
