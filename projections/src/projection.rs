//! What every projection is: rows that commits fold into, and nothing else.
//!
//! A projection names the rows that a commit looks at or writes, and changes them. Where rows are
//! kept, how many commits are folded at once and what happens after a crash is the server's: it
//! writes changed rows together with the head they are true of, so a commit is never counted twice.
//!
//! Invariants:
//! - Folding is a function of the rows and the commit; it cannot fail.
//! - A fold touches only rows whose keys [`Projection::keys`] gave for that commit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};

use crate::{activity::Activity, commit::Commit, snapshot::Snapshot};

/// Every projection there is. A new one is a file beside this one, and a line here.
pub const PROJECTIONS: &[Registered] = &[Registered::of::<Snapshot>(), Registered::of::<Activity>()];

/// Rows of one graph, by key, as far as they are in memory.
#[derive(Debug)]
pub struct Rows<R> {
    slots: BTreeMap<String, Slot<R>>,
}

#[derive(Debug)]
struct Slot<R> {
    row: Option<R>,
    is_changed: bool,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self { slots: BTreeMap::new() }
    }
}

impl<R> Rows<R> {
    /// The row of this key, if there is one.
    pub fn get(&self, key: &str) -> Option<&R> {
        self.slots.get(key)?.row.as_ref()
    }

    /// Writes a row.
    pub fn put(&mut self, key: impl Into<String>, row: R) {
        self.slots.insert(key.into(), Slot { row: Some(row), is_changed: true });
    }

    /// Takes a row away.
    pub fn remove(&mut self, key: &str) -> Option<R> {
        self.slots.insert(key.to_owned(), Slot { row: None, is_changed: true })?.row
    }

    /// All rows in memory, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &R)> {
        self.slots.iter().filter_map(|(key, slot)| Some((key.as_str(), slot.row.as_ref()?)))
    }
}

/// A fold of commits into rows.
pub trait Projection: Send + Sync + 'static {
    /// What a row holds.
    type Row: Send;

    /// Part of the name of what is stored; never changes.
    const NAME: &'static str;
    /// Grows when the rows come to mean something else: rows of another format are not read, but
    /// made anew from the log.
    const FORMAT: u32;

    /// Names every row that folding this commit may look at or write.
    fn keys(commit: &Commit, keys: &mut BTreeSet<String>);

    /// Folds the next commit of the graph.
    fn fold(rows: &mut Rows<Self::Row>, commit: &Commit);

    /// A row as it is stored.
    fn encode(row: &Self::Row) -> Vec<u8>;

    /// A stored row.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self::Row, RowError>;
}

/// Stored bytes that are no row of their projection.
#[derive(Debug, thiserror::Error)]
#[error("the row {key:?} can't be read: {problem}")]
pub struct RowError {
    /// Whose.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A row as MessagePack with named fields, as any language reads it.
pub(crate) fn encode(row: &impl Serialize) -> Vec<u8> {
    match rmp_serde::to_vec_named(row) {
        Ok(bytes) => bytes,
        Err(e) => unreachable!("a row could not be encoded: {e}"),
    }
}

pub(crate) fn decode<R: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<R, RowError> {
    rmp_serde::from_slice(bytes).map_err(|e| RowError { key: key.to_owned(), problem: e.to_string() })
}

/// A projection for those who run them all.
#[derive(Clone, Copy)]
pub struct Registered {
    /// Its name, as part of stored keys and in messages.
    pub name: &'static str,
    /// Its format.
    pub format: u32,
    start: fn() -> Box<dyn Folding>,
}

impl Registered {
    const fn of<P: Projection>() -> Self {
        Self { name: P::NAME, format: P::FORMAT, start: || Box::new(Fold::<P>(Rows::default())) }
    }

    /// Begins with no rows in memory.
    pub fn start(&self) -> Box<dyn Folding> {
        (self.start)()
    }
}

/// One graph's rows of one projection while commits are folded into them.
pub trait Folding: Send {
    /// Those rows that folding `commit` needs and that are not in memory.
    fn missing(&self, commit: &Commit, keys: &mut BTreeSet<String>);

    /// Takes a row from the store; `None` where it has none.
    fn load(&mut self, key: String, row: Option<&[u8]>) -> Result<(), RowError>;

    /// Folds the next commit, whose rows are all in memory.
    fn fold(&mut self, commit: &Commit);

    /// All rows in memory.
    fn rows(&self) -> Vec<(String, Vec<u8>)>;

    /// The rows that changed since the last call, `None` for those that are gone.
    fn take_changes(&mut self) -> Vec<(String, Option<Vec<u8>>)>;
}

struct Fold<P: Projection>(Rows<P::Row>);

impl<P: Projection> Folding for Fold<P> {
    fn missing(&self, commit: &Commit, keys: &mut BTreeSet<String>) {
        let mut touched = BTreeSet::new();
        P::keys(commit, &mut touched);
        keys.extend(touched.into_iter().filter(|key| !self.0.slots.contains_key(key)));
    }

    fn load(&mut self, key: String, row: Option<&[u8]>) -> Result<(), RowError> {
        let row = row.map(|bytes| P::decode(&key, bytes)).transpose()?;
        self.0.slots.entry(key).or_insert(Slot { row, is_changed: false });
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
                slot.is_changed = false;
                (key.clone(), slot.row.as_ref().map(P::encode))
            })
            .collect()
    }
}
