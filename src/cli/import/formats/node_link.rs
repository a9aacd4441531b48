//! Lists of nodes and of links between them: D3 and networkx (`links`), vis-network (`from`, `to`), Graphology
//! (`key`, `attributes`).

use dao_projections::Map;
use serde_json::Value;

use super::fields::{object, objects};
use crate::cli::{
    error::CliError,
    import::{
        flow::{Ends, Flow, Item, items, position_of, take, text, text_id},
        place::Place,
    },
};

pub(super) fn is_node_link(fields: &Map) -> bool {
    let links = objects(fields.get("links"));
    let is_link = |link: &&Map| link.contains_key("source") && link.contains_key("target");
    fields.get("nodes").is_some_and(Value::is_array)
        && fields.get("links").and_then(Value::as_array).is_some_and(|all| all.len() == links.len())
        && links.iter().all(is_link)
}

pub(super) fn is_vis(fields: &Map) -> bool {
    let edges = objects(fields.get("edges"));
    let is_edge =
        |edge: &&Map| edge.contains_key("from") && edge.contains_key("to") && !edge.contains_key("source");
    fields.get("nodes").is_some_and(Value::is_array) && !edges.is_empty() && edges.iter().all(is_edge)
}

pub(super) fn is_graphology(fields: &Map) -> bool {
    let nodes = objects(fields.get("nodes"));
    let is_node = |node: &&Map| node.contains_key("key") && !node.contains_key("id");
    !nodes.is_empty() && nodes.iter().all(is_node) && fields.get("edges").is_some_and(Value::is_array)
}

pub(super) fn convert(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    converted(
        "D3 node-link",
        value,
        at,
        Words { id: "id", links: "links", source: "source", target: "target" },
    )
}

pub(super) fn convert_vis(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    converted("vis-network", value, at, Words { id: "id", links: "edges", source: "from", target: "to" })
}

pub(super) fn convert_graphology(value: Value, at: &Place) -> Result<Vec<Flow>, CliError> {
    converted(
        "Graphology",
        value,
        at,
        Words { id: "key", links: "edges", source: "source", target: "target" },
    )
}

/// The names of the parts.
struct Words {
    id: &'static str,
    links: &'static str,
    source: &'static str,
    target: &'static str,
}

fn converted(format: &'static str, value: Value, at: &Place, words: Words) -> Result<Vec<Flow>, CliError> {
    let mut fields = object(value, at)?;
    let mut flow = Flow::new(format, at);
    let mut by_index = Vec::new();
    let mut have_ids = false;
    for (index, Item { place, fields: mut node }) in
        items(take(&mut fields, "nodes"), &at.child("nodes"))?.into_iter().enumerate()
    {
        let own = node.shift_remove(words.id).as_ref().and_then(text_id);
        have_ids |= own.is_some();
        // Older D3 examples have names, and links by index.
        let id = own.or_else(|| text(&node, "name").map(str::to_owned)).unwrap_or_else(|| index.to_string());
        by_index.push(id.clone());
        let inner = node.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
        let stands = position_of(&node, "x", "y").or_else(|| position_of(&inner, "x", "y"));
        let names = ["label", "name", "title"];
        let label = names.iter().find_map(|key| text(&node, key).or_else(|| text(&inner, key)));
        let label = label.unwrap_or(&id).to_owned();
        flow.add_node(place, id.into(), stands, &label, node);
    }
    for Item { place, fields: mut link } in items(take(&mut fields, words.links), &at.child(words.links))? {
        let mut end = |key: &str| {
            let end = take(&mut link, key);
            match &end {
                // A D3 simulation replaces the id by the node itself.
                Value::Object(node) => {
                    node.get(words.id).or_else(|| node.get("name")).cloned().unwrap_or(end)
                }
                Value::Number(index) if !have_ids => {
                    let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                    index.and_then(|index| by_index.get(index)).map_or(end, |id| id.as_str().into())
                }
                _ => end,
            }
        };
        let (source, target) = (end(words.source), end(words.target));
        let id = link.shift_remove(words.id).filter(|id| !id.is_null());
        flow.add_edge(place, Ends { id, source, target }, link);
    }
    Ok(vec![flow])
}
