//! Places in a file, for messages and to find repeated keys.

use std::{fmt, sync::Arc};

use dao_projections::Pointer;

/// A document: a file, or a text inside one that is a document itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The file's name as it was given.
    pub(super) file: String,
    /// The dotted path of the text that holds the document; empty for the file itself.
    pub(super) within: String,
}

/// A place in a document.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    pub(super) pointer: Pointer,
}

impl Place {
    /// A file as a whole.
    pub(super) fn of_file(file: &str) -> Self {
        let source = Source { file: file.to_owned(), within: String::new() };
        Self { source: Arc::new(source), pointer: Pointer::root() }
    }

    /// The document in the text at this place.
    pub(super) fn inside(&self) -> Self {
        let source = Source { file: self.source.file.clone(), within: self.path() };
        Self { source: Arc::new(source), pointer: Pointer::root() }
    }

    pub(super) fn child(&self, key: &str) -> Self {
        Self { source: self.source.clone(), pointer: self.pointer.child(key) }
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.child(&index.to_string())
    }

    /// The path from the file's top, dotted: `data.nodes[3]`.
    pub(super) fn path(&self) -> String {
        let mut path = self.source.within.clone();
        for key in self.pointer.keys() {
            match key.bytes().all(|byte| byte.is_ascii_digit()) && !key.is_empty() {
                true => path.push_str(&format!("[{key}]")),
                false if path.is_empty() => path.push_str(&key),
                false => path.push_str(&format!(".{key}")),
            }
        }
        path
    }
}

impl fmt::Display for Place {
    /// `flow.json: data.nodes[3]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        match path.is_empty() {
            true => f.write_str(&self.source.file),
            false => write!(f, "{}: {path}", self.source.file),
        }
    }
}
