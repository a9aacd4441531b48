//! Reads files into documents: Unicode text that is JSON, YAML or an export of commits, by the rules of the wire.

use std::{fs::File, io::Read, path::Path};

use dao_projections::Pointer;
use serde_json::Value;

use super::{exported_commits, place::Place, yaml};
use crate::{
    cli::error::CliError,
    http::{ReadDocument, RequestLimits, Unreadable, read_document},
};

/// The most bytes of a file, unless `MAX_BODY_BYTES` is more: its content becomes one commit, which is made in memory.
/// A larger file is refused.
const FILE_BYTES_MAX: usize = 64 << 20;

/// The document in a file.
pub(super) struct Document {
    pub(super) place: Place,
    pub(super) value: Value,
    pub(super) repeated: Vec<Pointer>,
    /// The program that wrote it, if known.
    pub(super) family: Option<&'static str>,
}

/// Reads a file.
pub(super) fn read_file(file: &Path, limits: &RequestLimits) -> Result<Document, CliError> {
    let place = Place::of_file(&file.display().to_string());
    let max = FILE_BYTES_MAX.max(limits.body_bytes_max);
    let bytes = bounded(file, max)?;
    let text = as_text(&bytes, &place)?;
    if exported_commits::is_history(&text) {
        return exported_commits::read_history(&text, place, limits);
    }
    if is_yaml(file, &text) {
        return read_yaml(&text, place, max, limits);
    }
    document(read_document(text.as_bytes(), limits), place, "JSON")
}

/// Reads a document that is a text inside another one.
pub(super) fn read_text(text: &str, place: Place, limits: &RequestLimits) -> Result<Document, CliError> {
    match text.trim_start().starts_with(['{', '[']) {
        true => document(read_document(text.as_bytes(), limits), place, "JSON"),
        false => read_yaml(text, place, FILE_BYTES_MAX.max(limits.body_bytes_max), limits),
    }
}

fn read_yaml(text: &str, place: Place, max: usize, limits: &RequestLimits) -> Result<Document, CliError> {
    let failed = |problem: String| Unreadable { place: String::new(), problem };
    let read = yaml::as_json(text, max).map_err(failed).and_then(|json| {
        // Lines and columns of the converted JSON mean nothing to the user.
        let cut = |problem: &str| problem.split(" at line ").next().unwrap_or(problem).to_owned();
        read_document(&json, limits).map_err(|e| Unreadable { problem: cut(&e.problem), ..e })
    });
    document(read, place, "YAML")
}

fn document(
    read: Result<ReadDocument, Unreadable>,
    place: Place,
    notation: &str,
) -> Result<Document, CliError> {
    match read {
        Ok(ReadDocument { value, repeated }) => Ok(Document { place, value, repeated, family: None }),
        Err(unreadable) => Err(unreadable_at(&unreadable, &place, notation)),
    }
}

/// The error: one line that names the file and the place.
pub(super) fn unreadable_at(unreadable: &Unreadable, place: &Place, notation: &str) -> CliError {
    let Unreadable { place: inner, problem } = unreadable;
    let problem = problem.lines().next().unwrap_or_default();
    let problem = problem.strip_prefix("bad JSON: ").unwrap_or(problem);
    let inner = if inner.is_empty() { String::new() } else { format!(" {inner}:") };
    CliError::new(format!("{place}:{inner} can't be read as {notation}: {problem}"))
}

fn bounded(file: &Path, max: usize) -> Result<Vec<u8>, CliError> {
    let name = file.display();
    let failed = |e: std::io::Error| CliError::new(format!("{name} can't be read: {e}"));
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(file).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > max {
        return Err(CliError::new(format!(
            "{name} is larger than {max} bytes. An import is one commit: split the file, or raise MAX_BODY_BYTES \
             (and MAX_BODIES_BYTES) for this command"
        )));
    }
    Ok(bytes)
}

/// Decodes UTF-8, or UTF-16 as Windows programs write it, by the byte order mark.
fn as_text(bytes: &[u8], place: &Place) -> Result<String, CliError> {
    let utf16 = |of: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return Ok(utf16(u16::from_le_bytes, rest)),
        [0xfe, 0xff, rest @ ..] => return Ok(utf16(u16::from_be_bytes, rest)),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Err(CliError::new(format!("{place}: line {line} is not UTF-8 text. Save the file as UTF-8")))
        }
    }
}

/// Whether a file is YAML: by its name, or because it does not begin like JSON.
fn is_yaml(file: &Path, text: &str) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "yml" | "yaml" => true,
        "json" | "canvas" | "ndjson" | "jsonl" => false,
        _ => !text.trim_start().starts_with(['{', '[', '"']),
    }
}
