//! Positions in a history: versions, hashes, and the head that pairs them (rules V1, V3, V4).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// The number of a commit in its graph, and of the graph after it. Gapless from 1; 0 is the empty
/// graph. At most 2^63 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version before the first commit.
    pub const EMPTY: Self = Self(0);
    /// The highest version.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// Makes a version; `None` from 2^63 on, which no history reaches and no store can keep.
    pub fn new(number: u64) -> Option<Self> {
        (number <= i64::MAX as u64).then_some(Self(number))
    }

    /// The version of the commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The version `n` commits later.
    #[must_use]
    pub fn plus(self, n: u64) -> Self {
        Self(self.0.saturating_add(n).min(i64::MAX as u64))
    }

    /// The number of commits in `(earlier, self]`; 0 if `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The version as a number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct InvalidHash;

/// A SHA-256 that commits to everything up to a version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash before the first commit: 32 zero bytes.
    pub const EMPTY: Self = Self([0; 32]);

    /// The hash after the next commit: `hash(n) = SHA-256( hash(n-1) ‖ SHA-256(body(n)) )`.
    #[must_use]
    pub fn chain(self, body: &[u8]) -> Self {
        self.chain_digest(&Sha256::digest(body).into())
    }

    /// The same of a body of which only its SHA-256 is left: one that was erased.
    #[must_use]
    pub fn chain_digest(self, digest: &[u8; 32]) -> Self {
        let mut link = Sha256::new();
        link.update(self.0);
        link.update(digest);
        Self(link.finalize().into())
    }

    /// The raw bytes, as stores keep them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Makes a hash from the raw bytes of a store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidHash> {
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }

    /// Reads hexadecimal digits of either case.
    pub fn from_hex(text: &str) -> Result<Self, InvalidHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHash)?;
        Ok(Self(bytes))
    }

    /// The hash as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({}…)", &self.to_hex()[..8])
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0_u8; 64];
        match hex::encode_to_slice(self.0, &mut digits) {
            Ok(()) => s.serialize_str(std::str::from_utf8(&digits).unwrap_or_default()),
            Err(e) => Err(serde::ser::Error::custom(e)),
        }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Digits;
        impl de::Visitor<'_> for Digits {
            type Value = Hash;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hexadecimal digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hash, E> {
                Hash::from_hex(text).map_err(E::custom)
            }
        }
        d.deserialize_str(Digits)
    }
}

/// A point in one history: the version and hash of the last commit. Equal heads mean the same commits; equal versions
/// with different hashes mean different histories (rule V4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Head {
    /// The version of the last commit.
    pub version: Version,
    /// The hash of that commit.
    pub hash: Hash,
}

impl Head {
    /// The head of an empty graph.
    pub const EMPTY: Self = Self { version: Version::EMPTY, hash: Hash::EMPTY };

    /// The head after a commit with these stored bytes.
    #[must_use]
    pub fn after(self, body: &[u8]) -> Self {
        Self { version: self.version.next(), hash: self.hash.chain(body) }
    }

    /// The head after a commit whose stored bytes had this SHA-256, and were erased since.
    #[must_use]
    pub fn after_digest(self, digest: &[u8; 32]) -> Self {
        Self { version: self.version.next(), hash: self.hash.chain_digest(digest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_the_chain_hashes_the_hash_of_the_body() {
        // printf 'abc' | sha256sum, then 32 zero bytes before it, hashed again.
        let hash = Hash::EMPTY.chain(b"abc");
        assert_eq!(hash.to_hex(), "589f9ffed4c477966bfb8d41f37895b08c69047df8f911d6f3b57fbe08faee8d");
        assert_eq!(Hash::from_hex(&hash.to_hex().to_uppercase()), Ok(hash));
        assert_eq!(Hash::EMPTY.chain_digest(&Sha256::digest(b"abc").into()), hash, "and needs no more of it");
    }

    #[test]
    fn v7_the_empty_graph_has_a_hash_of_zeros() {
        assert_eq!(Head::EMPTY.hash.to_hex(), "0".repeat(64));
    }
}
