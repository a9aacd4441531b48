//! A round: the appends of one transaction of the journal, in memory and as bytes of one row there.
//!
//! The bytes are a version, then MessagePack without names: short-lived, and read by recovery and backups only. Invariant:
//! what is decoded is what was encoded, or nothing. Not here: the file (`journal`), and what is moved into the tables
//! (`moving`).

use bytes::Bytes;
use dao_projections::{GraphId, Hash, Head, OperationId, Version};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, Bytes as Blob};

use crate::store::{Entry, StoredCommit};

/// The first byte of the encoded form.
const FORM: u8 = 1;

/// One append as it came in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AppendRequest {
    pub(super) graph: GraphId,
    pub(super) expected: Head,
    /// Commits without operations, before the entries.
    pub(super) copied: Vec<StoredCommit>,
    pub(super) entries: Vec<Entry>,
}

impl AppendRequest {
    /// All commits, in order.
    pub(super) fn commits(&self) -> impl Iterator<Item = &StoredCommit> {
        self.copied.iter().chain(self.entries.iter().filter_map(|entry| entry.commit.as_ref()))
    }

    /// Whether it has nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.copied.is_empty() && self.entries.is_empty()
    }

    /// The head after it.
    pub(super) fn head(&self) -> Head {
        let last = self.entries.iter().rev().find_map(|entry| entry.commit.as_ref());
        last.or(self.copied.last()).map_or(self.expected, StoredCommit::head)
    }
}

/// The appends of one transaction of the journal: those that were accepted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Round {
    /// Its number: the first is 1, and none is left out.
    pub(super) seq: i64,
    /// When it was written, in milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) appends: Vec<AppendRequest>,
}

impl Round {
    /// Records of operations in it: copied commits have none.
    pub(super) fn records(&self) -> usize {
        self.appends.iter().map(|append| append.entries.len()).sum()
    }

    pub(super) fn entries(&self) -> usize {
        self.appends.iter().map(|append| append.copied.len() + append.entries.len()).sum()
    }
}

#[derive(Serialize, Deserialize)]
struct CommitForm<'a>(u64, ByteArray<32>, #[serde(borrow)] &'a Blob);

#[derive(Serialize, Deserialize)]
struct EntryForm<'a>(
    ByteArray<16>,
    #[serde(borrow)] &'a Blob,
    Option<u64>,
    #[serde(borrow)] Option<CommitForm<'a>>,
);

#[derive(Serialize, Deserialize)]
struct AppendForm<'a>(
    &'a str,
    u64,
    ByteArray<32>,
    #[serde(borrow)] Vec<CommitForm<'a>>,
    #[serde(borrow)] Vec<EntryForm<'a>>,
);

#[derive(Serialize, Deserialize)]
struct RoundForm<'a>(i64, #[serde(borrow)] Vec<AppendForm<'a>>);

impl<'a> CommitForm<'a> {
    fn of(commit: &'a StoredCommit) -> Self {
        Self(commit.version.get(), ByteArray::new(*commit.hash.as_bytes()), Blob::new(&commit.body))
    }

    fn read(self) -> Option<StoredCommit> {
        let hash = Hash::from_bytes(&self.1[..]).ok()?;
        Some(StoredCommit { version: Version::new(self.0)?, hash, body: Bytes::copy_from_slice(self.2) })
    }
}

impl<'a> EntryForm<'a> {
    fn of(entry: &'a Entry) -> Self {
        let commit = entry.commit.as_ref().map(CommitForm::of);
        let refused_at = entry.refused_at.map(Version::get);
        Self(ByteArray::new(*entry.operation.as_bytes()), Blob::new(&entry.record), refused_at, commit)
    }

    fn read(self) -> Option<Entry> {
        Some(Entry {
            operation: OperationId::from(uuid::Uuid::from_bytes(self.0.into_array())),
            record: Bytes::copy_from_slice(self.1),
            refused_at: self.2.map(Version::new).map_or(Some(None), |read| read.map(Some))?,
            commit: self.3.map(CommitForm::read).map_or(Some(None), |read| read.map(Some))?,
        })
    }
}

impl<'a> AppendForm<'a> {
    fn of(append: &'a AppendRequest) -> Self {
        Self(
            append.graph.as_str(),
            append.expected.version.get(),
            ByteArray::new(*append.expected.hash.as_bytes()),
            append.copied.iter().map(CommitForm::of).collect(),
            append.entries.iter().map(EntryForm::of).collect(),
        )
    }

    fn read(self) -> Option<AppendRequest> {
        let expected = Head { version: Version::new(self.1)?, hash: Hash::from_bytes(&self.2[..]).ok()? };
        Some(AppendRequest {
            graph: GraphId::parse(self.0).ok()?,
            expected,
            copied: self.3.into_iter().map(CommitForm::read).collect::<Option<_>>()?,
            entries: self.4.into_iter().map(EntryForm::read).collect::<Option<_>>()?,
        })
    }
}

/// The row of a round without its number.
pub(super) fn encode<'a>(
    at_ms: i64,
    appends: impl Iterator<Item = &'a AppendRequest>,
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut row = vec![FORM];
    rmp_serde::encode::write(&mut row, &RoundForm(at_ms, appends.map(AppendForm::of).collect()))?;
    Ok(row)
}

/// The round that such a row holds; why it can't be read where it can't.
pub(super) fn decode(seq: i64, row: &[u8]) -> Result<Round, String> {
    let Some((&FORM, row)) = row.split_first() else { return Err("its form is not known".into()) };
    let form: RoundForm<'_> = rmp_serde::from_slice(row).map_err(|error| error.to_string())?;
    let appends = form.1.into_iter().map(AppendForm::read).collect::<Option<_>>();
    Ok(Round { seq, at_ms: form.0, appends: appends.ok_or("it holds something that can't be")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Round {
        let one = Head::EMPTY.after(b"one");
        let commit = |head: Head, body: &'static [u8]| StoredCommit {
            version: head.version,
            hash: head.hash,
            body: Bytes::from_static(body),
        };
        let entry = |n, commit, refused_at| Entry {
            operation: OperationId::from(uuid::Uuid::from_u128(n)),
            record: Bytes::from(vec![n as u8; n as usize]),
            commit,
            refused_at,
        };
        let append = AppendRequest {
            graph: GraphId::parse("g").expect("an id"),
            expected: Head::EMPTY,
            copied: vec![commit(one, b"one")],
            entries: vec![
                entry(1, Some(commit(one.after(b""), b"")), None),
                entry(2, None, Some(Version::EMPTY)),
                entry(3, None, None),
            ],
        };
        Round { seq: 7, at_ms: 1_795_385_575_023, appends: vec![append.clone(), append] }
    }

    #[test]
    fn a_round_is_read_as_it_was_written() {
        let round = some();
        let row = encode(round.at_ms, round.appends.iter()).expect("bytes");
        assert_eq!(decode(7, &row).expect("a round"), round);
    }

    #[test]
    fn bytes_that_are_no_round_are_refused() {
        let round = some();
        let row = encode(round.at_ms, round.appends.iter()).expect("bytes");
        for end in 0..row.len() {
            assert!(decode(7, &row[..end]).is_err(), "the first {end} bytes");
        }
        let mut later = row;
        later[0] = FORM + 1;
        assert!(decode(7, &later).is_err());
    }
}
