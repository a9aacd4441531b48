//! What instances publish to each other: on which channel, and in which form.
//!
//! A message is the form's number (1 byte), the sender's id (16), a letter, and then for
//! - `C`, commits: of each the length of its version (1), the version in decimal, its hash (32), the
//!   length of its body (4, big-endian), the body;
//! - `H`, a head, of commits that are too large: its hash (32), the version in decimal;
//! - `M`, a broadcast: whatever was given.
//!
//! `append.lua` writes the first two. Invariant: bytes that are none of these are no message, and do
//! no harm.

use bytes::{BufMut, Bytes, BytesMut};
use dao_projections::{GraphId, Hash, Head, Version};
use uuid::Uuid;

use super::keys::Partition;
use crate::store::{Publication, StoredCommit};

/// The number of this form; a sender of another is not understood.
const FORM: u8 = 1;
/// The form's number and the sender's id.
const HEADER_BYTES: usize = 17;
const HASH_BYTES: usize = 32;

/// On which channel a graph's followers are told, and how a message to them begins.
pub(super) struct ChannelAddress {
    pub(super) channel: String,
    pub(super) header: Bytes,
}

/// Who publishes through a store: messages of its own are told apart by this.
#[derive(Clone)]
pub(super) struct Publisher {
    header: Bytes,
    database: u8,
}

impl Publisher {
    /// Channels, unlike keys, are shared by the databases of one server: hence their number.
    pub(super) fn new(database: u8) -> Self {
        let mut header = BytesMut::with_capacity(HEADER_BYTES);
        header.put_u8(FORM);
        header.put_slice(Uuid::now_v7().as_bytes());
        Self { header: header.freeze(), database }
    }

    /// The channel of the graph's followers, in the slot of its keys.
    pub(super) fn channel(&self, partition: Partition, graph: &GraphId) -> String {
        partition.channel(self.database, graph)
    }

    pub(super) fn address(&self, partition: Partition, graph: &GraphId) -> ChannelAddress {
        ChannelAddress { channel: self.channel(partition, graph), header: self.header.clone() }
    }

    /// A broadcast in the form of a message.
    pub(super) fn broadcast(&self, payload: &[u8]) -> Bytes {
        let mut message = BytesMut::with_capacity(HEADER_BYTES + 1 + payload.len());
        message.put_slice(&self.header);
        message.put_u8(b'M');
        message.put_slice(payload);
        message.freeze()
    }

    /// What another sender's message says; `None` for one's own, and for what is no message.
    pub(super) fn read(&self, message: &[u8]) -> Option<Publication> {
        let (header, rest) = message.split_at_checked(HEADER_BYTES)?;
        if header == self.header {
            return None;
        }
        let hint = (header[0] == FORM).then(|| decode(rest)).flatten();
        if hint.is_none() {
            tracing::debug!(bytes = message.len(), "a published message is not understood");
        }
        hint
    }
}

fn decode(rest: &[u8]) -> Option<Publication> {
    let (kind, rest) = rest.split_first()?;
    match kind {
        b'C' => commits(rest).map(Publication::Commits),
        b'H' => {
            let (hash, version) = rest.split_at_checked(HASH_BYTES)?;
            Some(Publication::Head(Head { version: decimal(version)?, hash: Hash::from_bytes(hash).ok()? }))
        }
        b'M' => Some(Publication::Message(Bytes::copy_from_slice(rest))),
        _ => None,
    }
}

/// Bodies are copied: a slice would keep in memory whatever came with it.
fn commits(mut rest: &[u8]) -> Option<Vec<StoredCommit>> {
    let mut commits = Vec::new();
    while let Some((&digits, after)) = rest.split_first() {
        let (version, after) = after.split_at_checked(digits.into())?;
        let (hash, after) = after.split_at_checked(HASH_BYTES)?;
        let (length, after) = after.split_first_chunk()?;
        let (body, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let (version, hash) = (decimal(version)?, Hash::from_bytes(hash).ok()?);
        commits.push(StoredCommit { version, hash, body: Bytes::copy_from_slice(body) });
        rest = after;
    }
    (!commits.is_empty()).then_some(commits)
}

fn decimal(digits: &[u8]) -> Option<Version> {
    Version::new(std::str::from_utf8(digits).ok()?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(commits: &[StoredCommit]) -> Vec<u8> {
        let mut bytes = Publisher::new(0).header.to_vec();
        bytes.push(b'C');
        for StoredCommit { version, hash, body } in commits {
            let digits = version.to_string();
            bytes.put_u8(digits.len() as u8);
            bytes.put_slice(digits.as_bytes());
            bytes.put_slice(hash.as_bytes());
            bytes.put_u32(body.len() as u32);
            bytes.put_slice(body);
        }
        bytes
    }

    fn three() -> Vec<StoredCommit> {
        let mut head = Head { version: Version::new(9).expect("a version"), hash: Hash::EMPTY };
        let bodies = [&b"first"[..], b"", b"smessage\0\xff"];
        bodies
            .map(|body| {
                head = head.after(body);
                StoredCommit { version: head.version, hash: head.hash, body: Bytes::from_static(body) }
            })
            .into()
    }

    #[test]
    fn what_is_published_is_read_by_others_alone() {
        let (a, b) = (Publisher::new(0), Publisher::new(0));
        let message = a.broadcast(b"subscribe");
        assert_eq!(b.read(&message), Some(Publication::Message(Bytes::from_static(b"subscribe"))));
        assert_eq!(a.read(&message), None);
        assert_eq!(a.read(&published(&three())), Some(Publication::Commits(three())));
    }

    #[test]
    fn bytes_that_are_no_message_do_no_harm() {
        let reader = Publisher::new(0);
        let whole = published(&three());
        for length in 0..whole.len() {
            let understood = reader.read(&whole[..length]);
            assert!(
                understood
                    .is_none_or(|hint| matches!(&hint, Publication::Commits(c) if three().starts_with(c)))
            );
        }
        let mut of_another_form = whole.clone();
        of_another_form[0] = FORM + 1;
        assert_eq!(reader.read(&of_another_form), None);
        let mut longer_than_it_is = whole;
        let at = HEADER_BYTES + 1 + 3 + HASH_BYTES;
        longer_than_it_is[at..at + 4].fill(0xff);
        assert_eq!(reader.read(&longer_than_it_is), None);
        let mut head = Publisher::new(0).header.to_vec();
        head.extend([b"H", &[7; HASH_BYTES][..], b"9223372036854775808"].concat());
        assert_eq!(reader.read(&head), None, "no version is so large");
    }
}
