//! A whole document as an editor saves it, and what its saver wants changed: the difference from the graph that the
//! saver started from to the document (rules DS2, DS5 and DS6).
//!
//! Invariants:
//! - What the saver left alone is not part of the intent, whatever the document holds there.
//! - The commands of an intent are in an order in which each can be decided after those before it: parents are
//!   written before their children, and nothing is deleted before what refers to it was changed.
//!
//! Not here: how an intent is judged against what others did (`conflict::save`).

mod difference;
mod intent;

use dao_projections::{ClientId, Commit, Edge, Head, Node, Pointer, UserId, Version, Viewport};

pub(super) use self::intent::effective_base;
pub use self::intent::{Change, Intent};
use super::weight::weight_of_document;
pub use difference::Ignored;

/// What a document lacks: deleted, or left alone because the editor sends only what it knows (rule DS6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// Entities and fields that the document lacks are removed.
    #[default]
    Delete,
    /// They stay.
    Keep,
}

/// `SAVE_DOCUMENT`: a document, and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Save {
    /// What was sent.
    pub document: Document,
    /// How it is read.
    pub reading: Reading,
    /// What its saver started from.
    pub base: Base,
    /// Whether what stands is kept where it conflicts with the document, and the rest applied (rule DS9).
    pub keeps: bool,
    /// How many nodes the saver says that it deletes (rule DS11).
    pub deletes: Option<usize>,
    /// Fields of the document that are ignored and were in it.
    pub ignored: Vec<Pointer>,
    /// The state that the graph must have, where the saver takes no other (`If-Match`).
    pub only_at: Option<ExpectedHead>,
}

/// A head as an entity tag names it: the version, and the beginning of its hash in hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedHead {
    /// The version.
    pub version: Version,
    /// Digits of the hash; empty where only the version is known.
    pub hash_start: String,
}

impl ExpectedHead {
    /// Before the first commit.
    pub fn empty() -> Self {
        Self { version: Version::EMPTY, hash_start: String::new() }
    }

    fn names(&self, head: Head) -> bool {
        head.version == self.version && head.hash.to_hex().starts_with(&self.hash_start)
    }
}

/// What a saver started from (rule DS3).
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// A version, which the member's `client_version` says and a claim of the operation proves.
    Known {
        /// Own commits since that the base names.
        own: Vec<Version>,
    },
    /// It was not said: the document is compared with the graph as it stands.
    Unknown(WithoutBase),
}

/// A document without a base (rule DS7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutBase {
    /// Only a graph that nobody has written to is saved to.
    Create,
    /// Adds and updates, deletes nothing.
    Merge,
    /// The graph becomes exactly this.
    Replace,
}

/// How a document is to be read (rules DS5 and DS6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What the document lacks.
    pub absent: Absent,
    /// Fields of nodes and edges that are ignored beside those that always are.
    pub ignore: Vec<Pointer>,
    /// Whether the viewport is written although the graph has one.
    pub saves_viewport: bool,
}

/// The nodes, edges and viewport of a graph as an editor sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// In the order of the document.
    pub nodes: Vec<Node>,
    /// In the order of the document.
    pub edges: Vec<Edge>,
    /// `None` where the document has none.
    pub viewport: Option<Viewport>,
}

/// Whose commits since the base count as the saver's own (rule DS3).
#[derive(Clone, Copy, Debug)]
pub struct Saver<'a> {
    /// Who saves.
    pub user: &'a UserId,
    /// Through which client, where the saver named it.
    pub client: Option<&'a ClientId>,
    /// The versions that the base names.
    pub versions: &'a [Version],
}

impl Saver<'_> {
    /// Whether it is the saver's own.
    pub fn owns(&self, commit: &Commit) -> bool {
        let body = &commit.body;
        let is_named = self.client.is_some_and(|client| body.is_client_named && body.client_id == *client);
        body.user_id == *self.user && (is_named || self.versions.contains(&commit.version))
    }
}

impl Save {
    /// Whether it may only be applied to another head than this one.
    pub fn expects_another(&self, head: Head) -> bool {
        self.only_at.as_ref().is_some_and(|expected| !expected.names(head))
    }

    /// Own commits that the base names.
    pub fn named_versions(&self) -> &[Version] {
        match &self.base {
            Base::Known { own } => own,
            Base::Unknown(_) => &[],
        }
    }
}

impl Document {
    /// How many entities and fields it has: a measure of the work it makes.
    pub fn weight(&self) -> usize {
        weight_of_document(&self.nodes, &self.edges)
    }
}
