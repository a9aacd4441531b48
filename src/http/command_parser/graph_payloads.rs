//! The payloads of commands about a graph as a whole: attributes, the trash (rules L1, L4 to L9).
//!
//! The limits of each attribute are checked here. The limit of all together depends on what the graph has, so
//! `domain` checks it.

use dao_projections::{Attributes, GraphId, Map, MergePatch};
use serde_json::Value;

use super::{CommandParser, version_payloads::version_ref};
use crate::{
    domain::{Command, CopyFrom, CopyPart},
    http::{
        json_path::Path,
        json_shape::{Fields, Malformed},
    },
};

/// Characters of a title, at most (rule L1).
const TITLE_CHARS_MAX: usize = 256;
/// Bytes of a description, at most.
const DESCRIPTION_BYTES_MAX: usize = 4 << 10;
/// Tags of a graph, at most.
const TAGS_MAX: usize = 32;
/// Characters of one tag, at most.
const TAG_CHARS_MAX: usize = 64;
/// Characters of an owner, at most: those of a user id.
const OWNER_CHARS_MAX: usize = 256;
/// Bytes of the reason for which a graph is put into the trash, at most (rule L8).
const REASON_BYTES_MAX: usize = 1 << 10;

impl CommandParser<'_> {
    pub(super) fn create_graph(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let attributes = match fields.optional("attributes") {
            Some(attributes) => self.attributes(attributes, &Path::Key(path, "attributes"))?,
            None => Attributes::default(),
        };
        let document = fields.optional("document");
        let from = fields.optional("from");
        fields.finish()?;
        if let Some(from) = from {
            if document.is_some() {
                return Err(Malformed::at(
                    Path::Key(path, "document"),
                    "can't stand beside from: a copy has contents",
                ));
            }
            return Ok(Command::CopyGraph {
                attributes,
                from: self.copy_from(from, &Path::Key(path, "from"))?,
            });
        }
        let (mut nodes, mut edges, mut viewport) = (vec![], vec![], None);
        if let Some(document) = document {
            let place = Path::Key(path, "document");
            let command = self.batch_update(document, &place)?;
            if let Command::BatchUpdate { nodes: given, edges: linked, viewport: shown } = command {
                (nodes, edges, viewport) = (given, linked.unwrap_or_default(), shown);
            }
        }
        Ok(Command::CreateGraph { attributes, nodes, edges, viewport })
    }

    fn copy_from(&self, value: Value, path: &Path<'_>) -> Result<CopyFrom, Malformed> {
        let mut fields = Fields::of(value, path, self.repeated)?;
        let graph = fields.required_id("graphId", GraphId::parse)?;
        let at = version_ref(&mut fields, "at")?.unwrap_or_default();
        let part = match fields.boolean("history")? {
            Some(true) => CopyPart::History,
            Some(false) | None => CopyPart::Contents,
        };
        fields.finish()?;
        Ok(CopyFrom { graph, at, part })
    }

    /// The attributes of a new graph; null is as if left out.
    fn attributes(&self, value: Value, path: &Path<'_>) -> Result<Attributes, Malformed> {
        let mut given = self.attribute_fields(value, path)?;
        given.retain(|_, value| !value.is_null());
        // What is null deeper in a patch is not kept, so it is not kept here.
        Ok(Attributes::default().patched(&MergePatch::new(given)))
    }

    pub(super) fn update_graph(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let updates = fields.required("updates")?;
        fields.finish()?;
        let patch = self.attribute_fields(updates, &Path::Key(path, "updates"))?;
        Ok(Command::UpdateGraph { patch: MergePatch::new(patch) })
    }

    pub(super) fn delete_graph(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        let mut fields = Fields::of(payload, path, self.repeated)?;
        let reason = fields.text("reason")?;
        if reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
            return Err(fields.wrong("reason", format!("is longer than {REASON_BYTES_MAX} bytes")));
        }
        let moved_to = fields.id("movedTo", GraphId::parse)?;
        fields.finish()?;
        Ok(Command::DeleteGraph { reason: reason.map(Box::from), moved_to })
    }

    pub(super) fn recover_graph(&self, payload: Value, path: &Path<'_>) -> Result<Command, Malformed> {
        Fields::of(payload, path, self.repeated)?.finish()?;
        Ok(Command::RecoverGraph)
    }

    /// Attributes, or a patch of them: null takes one away.
    fn attribute_fields(&self, value: Value, path: &Path<'_>) -> Result<Map, Malformed> {
        let fields = Fields::of(value, path, self.repeated)?.rest();
        for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let place = Path::Key(path, key);
            match key.as_str() {
                "title" => {
                    check_text(value, &place, |text| text.chars().count(), TITLE_CHARS_MAX, "characters")?
                }
                "description" => check_text(value, &place, str::len, DESCRIPTION_BYTES_MAX, "bytes")?,
                "owner" => {
                    check_text(value, &place, |text| text.chars().count(), OWNER_CHARS_MAX, "characters")?
                }
                "tags" => check_tags(value, &place)?,
                "settings" => check_settings(value, &place)?,
                "data" if value.is_object() => {}
                "data" => return Err(Malformed::at(place, "must be an object")),
                _ => return Err(Malformed::at(place, "is not a known field")),
            }
        }
        Ok(fields)
    }
}

fn check_text(
    value: &Value,
    place: &Path<'_>,
    length: fn(&str) -> usize,
    max: usize,
    unit: &str,
) -> Result<(), Malformed> {
    let Some(text) = value.as_str() else { return Err(Malformed::at(place, "must be a string")) };
    if length(text) > max {
        return Err(Malformed::too_many(place, format!("has more than {max} {unit}")));
    }
    Ok(())
}

fn check_tags(value: &Value, place: &Path<'_>) -> Result<(), Malformed> {
    let Some(tags) = value.as_array() else {
        return Err(Malformed::at(place, "must be a list of strings"));
    };
    if tags.len() > TAGS_MAX {
        return Err(Malformed::too_many(place, format!("has more than {TAGS_MAX} tags")));
    }
    let mut tags = tags.iter().enumerate();
    tags.try_for_each(|(index, tag)| {
        check_text(tag, &Path::Index(place, index), |text| text.chars().count(), TAG_CHARS_MAX, "characters")
    })
}

fn check_settings(value: &Value, place: &Path<'_>) -> Result<(), Malformed> {
    let Some(settings) = value.as_object() else { return Err(Malformed::at(place, "must be an object")) };
    for (key, value) in settings {
        let place = Path::Key(place, key);
        match key.as_str() {
            "readOnly" if value.is_boolean() || value.is_null() => {}
            "readOnly" => return Err(Malformed::at(place, "must be true or false")),
            "limits" if value.is_null() => {}
            "limits" => check_limits(value, &place)?,
            _ => return Err(Malformed::at(place, "is not a known setting")),
        }
    }
    Ok(())
}

/// Limits of one graph (rule L14); null takes one away.
fn check_limits(value: &Value, place: &Path<'_>) -> Result<(), Malformed> {
    let Some(limits) = value.as_object() else { return Err(Malformed::at(place, "must be an object")) };
    for (key, value) in limits {
        let place = Path::Key(place, key);
        match key.as_str() {
            "nodes" | "edges" | "entityBytes"
                if value.is_null() || value.as_i64().is_some_and(|limit| limit >= 0) => {}
            "nodes" | "edges" | "entityBytes" => {
                return Err(Malformed::at(place, "must be a non-negative integer"));
            }
            _ => {
                return Err(Malformed::at(
                    place,
                    "is not a known limit: there are nodes, edges and entityBytes",
                ));
            }
        }
    }
    Ok(())
}
