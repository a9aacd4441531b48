//! Projections: rows that commits are folded into.
//!
//! A projection names the rows that a commit reads or writes, and changes them. The server decides where rows are
//! kept, how many commits are folded at once, and what happens after a crash: it writes changed rows together with
//! their head, so a commit is never counted twice.
//!
//! Invariants:
//! - Folding is a function of the rows and the commit; it cannot fail.
//! - A fold touches only rows whose keys [`Projection::keys`] gave for that commit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};

use crate::commit::Commit;

/// The rows of one graph that are in memory, by key.
#[derive(Debug)]
pub struct Rows<R> {
    slots: BTreeMap<String, Slot<R>>,
}

#[derive(Debug)]
struct Slot<R> {
    row: Option<R>,
    is_changed: bool,
    /// Of the row as it was loaded, or taken as changed, last.
    bytes: usize,
}

impl<R> Slot<R> {
    fn changed(row: Option<R>) -> Self {
        Self { row, is_changed: true, bytes: 0 }
    }
}

/// What a row counts for beside its bytes, so that small ones are bounded too.
const ROW_BYTES: usize = 256;

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self { slots: BTreeMap::new() }
    }
}

impl<R> Rows<R> {
    /// The row with this key, if there is one.
    pub fn get(&self, key: &str) -> Option<&R> {
        self.slots.get(key)?.row.as_ref()
    }

    /// Writes a row.
    pub fn put(&mut self, key: impl Into<String>, row: R) {
        self.slots.insert(key.into(), Slot::changed(Some(row)));
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &str) -> Option<R> {
        self.slots.insert(key.to_owned(), Slot::changed(None))?.row
    }

    /// All rows in memory, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &R)> {
        self.slots.iter().filter_map(|(key, slot)| Some((key.as_str(), slot.row.as_ref()?)))
    }
}

/// A fold of commits into rows.
pub trait Projection: Send + Sync + 'static {
    /// The content of a row.
    type Row: Send;

    /// The name, part of stored keys; never changes.
    const NAME: &'static str;
    /// The format of the rows. Raise it when their meaning changes: rows of another format are rebuilt from the log.
    const FORMAT: u32;

    /// Names every row that folding this commit may read or write.
    fn keys(commit: &Commit, keys: &mut BTreeSet<String>);

    /// Folds the next commit of the graph.
    fn fold(rows: &mut Rows<Self::Row>, commit: &Commit);

    /// Encodes a row.
    fn encode(row: &Self::Row) -> Vec<u8>;

    /// Decodes a row.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self::Row, RowError>;
}

/// Why stored bytes can't be read as a row of their projection.
#[derive(Debug, thiserror::Error)]
#[error("the row {key:?} can't be read: {problem}")]
pub struct RowError {
    /// The key of the row.
    pub key: String,
    /// The problem with the bytes.
    pub problem: String,
}

/// Encodes a row as MessagePack with named fields, which any language can read.
pub(crate) fn encode(row: &impl Serialize) -> Vec<u8> {
    match rmp_serde::to_vec_named(row) {
        Ok(bytes) => bytes,
        Err(e) => unreachable!("a row could not be encoded: {e}"),
    }
}

pub(crate) fn decode<R: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<R, RowError> {
    rmp_serde::from_slice(bytes).map_err(|e| RowError { key: key.to_owned(), problem: e.to_string() })
}

/// A projection behind one type, to run all of them.
#[derive(Clone, Copy)]
pub struct Registered {
    /// The name, in stored keys and in messages.
    pub name: &'static str,
    /// The format of its rows.
    pub format: u32,
    start: fn() -> Box<dyn Folding>,
}

impl Registered {
    pub(crate) const fn of<P: Projection>() -> Self {
        Self { name: P::NAME, format: P::FORMAT, start: || Box::new(Fold::<P>(Rows::default())) }
    }

    /// Starts with no rows in memory.
    pub fn start(&self) -> Box<dyn Folding> {
        (self.start)()
    }
}

/// The rows of one graph and one projection, while commits are folded into them.
pub trait Folding: Send {
    /// The keys of rows that folding `commit` needs and that are not in memory.
    fn missing(&self, commit: &Commit, keys: &mut BTreeSet<String>);

    /// Adds a row from the store; `None` if the store has none.
    fn load(&mut self, key: String, row: Option<&[u8]>) -> Result<(), RowError>;

    /// Folds the next commit, whose rows are all in memory.
    fn fold(&mut self, commit: &Commit);

    /// All rows in memory.
    fn rows(&self) -> Vec<(String, Vec<u8>)>;

    /// The rows that changed since the last call; `None` for removed ones.
    fn take_changes(&mut self) -> Vec<(String, Option<Vec<u8>>)>;

    /// As [`take_changes`](Self::take_changes), of rows that are needed no more: each goes as it is encoded.
    fn into_changes(self: Box<Self>) -> Vec<(String, Option<Vec<u8>>)>;

    /// How many rows are in memory, also those that the store does not have.
    fn count(&self) -> usize;

    /// How many bytes the rows in memory would be if they were stored, with their keys and something for each.
    fn bytes(&self) -> usize;
}

struct Fold<P: Projection>(Rows<P::Row>);

impl<P: Projection> Folding for Fold<P> {
    fn missing(&self, commit: &Commit, keys: &mut BTreeSet<String>) {
        let mut touched = BTreeSet::new();
        P::keys(commit, &mut touched);
        keys.extend(touched.into_iter().filter(|key| !self.0.slots.contains_key(key)));
    }

    fn load(&mut self, key: String, row: Option<&[u8]>) -> Result<(), RowError> {
        let bytes = row.map_or(0, <[u8]>::len);
        let row = row.map(|bytes| P::decode(&key, bytes)).transpose()?;
        self.0.slots.entry(key).or_insert(Slot { row, is_changed: false, bytes });
        Ok(())
    }

    fn fold(&mut self, commit: &Commit) {
        P::fold(&mut self.0, commit);
    }

    fn rows(&self) -> Vec<(String, Vec<u8>)> {
        self.0.iter().map(|(key, row)| (key.to_owned(), P::encode(row))).collect()
    }

    fn take_changes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = self.0.slots.iter_mut().filter(|(_, slot)| slot.is_changed);
        changed
            .map(|(key, slot)| {
                let row = slot.row.as_ref().map(P::encode);
                (slot.is_changed, slot.bytes) = (false, row.as_ref().map_or(0, Vec::len));
                (key.clone(), row)
            })
            .collect()
    }

    fn into_changes(self: Box<Self>) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = self.0.slots.into_iter().filter(|(_, slot)| slot.is_changed);
        changed.map(|(key, slot)| (key, slot.row.map(|row| P::encode(&row)))).collect()
    }

    fn count(&self) -> usize {
        self.0.slots.len()
    }

    fn bytes(&self) -> usize {
        self.0.slots.iter().map(|(key, slot)| ROW_BYTES + key.len() + slot.bytes).sum()
    }
}
