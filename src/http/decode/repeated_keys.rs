//! Where keys stand more than once in their object: noted without spelling out any place, however many keys are
//! repeated and however long those above them are.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use crate::http::json_path::Path;

/// The places of repeated keys, as hashes of 64 bits. The hashes are keyed at random for each document, so nobody
/// can choose two places that have the same one.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Repeated {
    keyed: RandomState,
    places: HashSet<u64>,
}

impl Repeated {
    /// Whether `key` stands more than once in the object at `path`.
    #[cfg(test)]
    pub(in crate::http) fn is_repeated(&self, path: &Path<'_>, key: &str) -> bool {
        self.first_of([key].into_iter(), path).is_some()
    }

    /// The first of these keys of the object at `path` that stands there more than once.
    pub(in crate::http) fn first_of<'k>(
        &self,
        mut keys: impl Iterator<Item = &'k str>,
        path: &Path<'_>,
    ) -> Option<&'k str> {
        if self.places.is_empty() {
            return None;
        }
        let mark = self.mark(path);
        keys.find(|key| self.places.contains(&self.key(mark, key)))
    }

    /// Notes a key of the object that `mark` stands for.
    pub(super) fn insert(&mut self, mark: u64, key: &str) {
        let place = self.key(mark, key);
        self.places.insert(place);
    }

    /// What stands for a place, from what stands for the place above it.
    pub(super) fn step(&self, above: u64, path: &Path<'_>) -> u64 {
        match path {
            Path::Root => 0,
            Path::Key(_, key) => self.key(above, key),
            Path::Index(_, index) => self.keyed.hash_one((above, index)),
        }
    }

    fn mark(&self, path: &Path<'_>) -> u64 {
        match path {
            Path::Root => 0,
            Path::Key(above, _) | Path::Index(above, _) => self.step(self.mark(above), path),
        }
    }

    fn key(&self, above: u64, key: &str) -> u64 {
        self.keyed.hash_one((above, key))
    }
}
