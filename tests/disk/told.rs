//! What the victim had said, when power was cut, of what it asked the store and was answered. One line each:
//!
//! - `try GRAPH VERSION ATTEMPT COUNT SIZE`: it asks for commits from this version on. Then `ok`, `no` or `unknown`, with the
//!   same words.
//! - `put N`, then `put-ok N` or `put-no N`: the document becomes this number.
//! - `purge GRAPH`, then `purged GRAPH` or `purge-no GRAPH`.

use std::collections::{BTreeMap, BTreeSet};

use dao_projections::OperationId;
use uuid::Uuid;

/// One append: commits of a size that follow on each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Append {
    pub(crate) graph: String,
    /// The first commit's.
    pub(crate) version: u64,
    /// Tells apart appends that were tried for the same version.
    pub(crate) attempt: u64,
    pub(crate) count: u64,
    pub(crate) size: usize,
}

impl Append {
    /// The words that say it.
    pub(crate) fn words(&self) -> String {
        let Self { graph, version, attempt, count, size } = self;
        format!("{graph} {version} {attempt} {count} {size}")
    }

    fn read(words: &[&str]) -> Self {
        let number = |at: usize| words[at].parse().unwrap();
        let [version, attempt, count, size] = [number(1), number(2), number(3), number(4)];
        Self { graph: words[0].to_owned(), version, attempt, count, size: size as usize }
    }

    /// The bodies of its commits.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let Self { graph, version, attempt, count, size } = self;
        let body = |n| {
            format!("{graph} {n} {attempt} {}", char::from(b'a' + (n % 26) as u8).to_string().repeat(*size))
        };
        (*version..version + count).map(body).collect()
    }

    /// The operation of its so manieth commit.
    pub(crate) fn operation(&self, n: u64) -> OperationId {
        let name = format!("{} {} {}", self.graph, self.version + n, self.attempt);
        OperationId::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }
}

/// What is known of one graph.
#[derive(Debug, Default)]
pub(crate) struct ToldOfGraph {
    /// In order.
    pub(crate) acknowledged: Vec<Append>,
    /// Asked for, and not answered; or nobody knows.
    pub(crate) open: Option<Append>,
    pub(crate) is_purge_asked: bool,
    pub(crate) is_purged: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) graphs: BTreeMap<String, ToldOfGraph>,
    /// What the document may be; `None` if it may not be there.
    pub(crate) documents: BTreeSet<Option<u64>>,
}

impl Told {
    pub(crate) fn take(&mut self, lines: &str) {
        for line in lines.lines() {
            self.take_line(&line.split(' ').collect::<Vec<_>>());
        }
    }

    fn take_line(&mut self, words: &[&str]) {
        if self.documents.is_empty() {
            self.documents.insert(None);
        }
        let [kind, rest @ ..] = words else { return };
        let number = || rest[0].parse().ok();
        let graph = self.graphs.entry(rest[0].to_owned());
        match *kind {
            "put" | "put-ok" | "put-no" => {}
            "try" => graph.or_default().open = Some(Append::read(rest)),
            "ok" => {
                let of_graph = graph.or_default();
                of_graph.acknowledged.extend(of_graph.open.take());
            }
            "no" => graph.or_default().open = None,
            "unknown" => {}
            "purge" => graph.or_default().is_purge_asked = true,
            "purged" => graph.or_default().is_purged = true,
            "purge-no" => graph.or_default().is_purge_asked = false,
            other => panic!("the victim says {other}"),
        }
        match *kind {
            "put" => drop(self.documents.insert(number())),
            "put-ok" => self.documents = [number()].into(),
            "put-no" => drop(self.documents.remove(&number())),
            _ => {}
        }
    }
}
