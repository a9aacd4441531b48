//! The fingerprint of an operation tells a repeat from a different operation under the same id (rule C3). It is a hash of
//! the user and the commands as they were sent, in a canonical form that hides key order and encoding.
//!
//! The canonical form is hashed as it is made. It may be many times as long as what was sent, and is never held in memory.

use dao_projections::UserId;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::domain::{Fingerprint, IfMissing};

/// The fingerprint of one operation, as its commands are read.
pub(super) struct FingerprintHasher(Sha256);

impl FingerprintHasher {
    /// Of a command by this user.
    pub(super) fn of(user: &UserId) -> Self {
        let mut hash = Sha256::new();
        hash.update((user.as_str().len() as u64).to_be_bytes());
        hash.update(user.as_str());
        Self(hash)
    }

    /// Of an atomic batch by this user, before its members.
    pub(super) fn of_batch(user: &UserId, if_missing: IfMissing) -> Self {
        let batch: &[u8] = match if_missing {
            IfMissing::Refuse => b"BATCH",
            IfMissing::Skip => b"BATCH ifMissing=skip",
        };
        let mut printing = Self::of(user);
        printing.0.update((batch.len() as u64).to_be_bytes());
        printing.0.update(batch);
        printing
    }

    /// The next command, before ids and defaults are filled in.
    pub(super) fn add(&mut self, name: &str, payload: &Value) {
        let length = text_bytes(name) + canonical_bytes(payload);
        self.0.update((length as u64).to_be_bytes());
        self.text(name);
        self.canonical(payload);
    }

    pub(super) fn finish(self) -> Fingerprint {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize()[..8]);
        Fingerprint(first)
    }

    fn length(&mut self, mark: u8, length: usize) {
        let mut bytes = [mark; 9];
        bytes[1..].copy_from_slice(&(length as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.length(b's', text.len());
        self.0.update(text);
    }

    fn canonical(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(value) => self.0.update(if *value { b"t" } else { b"f" }),
            Value::String(text) => self.text(text),
            Value::Number(number) => match whole(number) {
                Some(whole) => {
                    self.0.update(b"i");
                    self.0.update(whole.to_be_bytes());
                }
                None => {
                    self.0.update(b"d");
                    self.0.update(number.as_f64().unwrap_or_default().to_be_bytes());
                }
            },
            Value::Array(items) => {
                self.length(b'[', items.len());
                items.iter().for_each(|item| self.canonical(item));
            }
            Value::Object(fields) => {
                self.length(b'{', fields.len());
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(key, _)| key.as_str());
                for (key, value) in sorted {
                    self.text(key);
                    self.canonical(value);
                }
            }
        }
    }
}

/// A whole number is the same whether an encoder wrote it as integer or float.
fn whole(number: &Number) -> Option<i128> {
    number.as_i128().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() < 1e30).then_some(float as i128)
    })
}

fn text_bytes(text: &str) -> usize {
    9 + text.len()
}

/// How long the canonical form is: it is told before the form itself.
fn canonical_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::String(text) => text_bytes(text),
        Value::Number(number) => 1 + if whole(number).is_some() { 16 } else { 8 },
        Value::Array(items) => 9 + items.iter().map(canonical_bytes).sum::<usize>(),
        Value::Object(fields) => {
            let of_entry = |(key, value): (&String, &Value)| text_bytes(key) + canonical_bytes(value);
            9 + fields.iter().map(of_entry).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The canonical form in one piece, as release 0.1 made it.
    fn in_one_piece(value: &Value, to: &mut Vec<u8>) {
        let text = |text: &str, to: &mut Vec<u8>| {
            to.push(b's');
            to.extend((text.len() as u64).to_be_bytes());
            to.extend(text.as_bytes());
        };
        match value {
            Value::Null => to.push(b'n'),
            Value::Bool(value) => to.push(if *value { b't' } else { b'f' }),
            Value::String(string) => text(string, to),
            Value::Number(number) => match whole(number) {
                Some(whole) => to.extend([&b"i"[..], &whole.to_be_bytes()].concat()),
                None => to.extend([&b"d"[..], &number.as_f64().expect("a float").to_be_bytes()].concat()),
            },
            Value::Array(items) => {
                to.extend([&b"["[..], &(items.len() as u64).to_be_bytes()].concat());
                items.iter().for_each(|item| in_one_piece(item, to));
            }
            Value::Object(fields) => {
                to.extend([&b"{"[..], &(fields.len() as u64).to_be_bytes()].concat());
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(key, _)| key.as_str());
                for (key, value) in sorted {
                    text(key, to);
                    in_one_piece(value, to);
                }
            }
        }
    }

    #[test]
    fn c3_fingerprints_are_those_of_the_form_in_one_piece() {
        let user = UserId::parse("ada").expect("a user");
        let payload =
            json!({"b": [1, 1.0, 1.5, -3, u64::MAX, 1e40, null, true, false, "é\n"], "a": {"": {}}});
        let mut form = [&b"s"[..], &11_u64.to_be_bytes(), b"CREATE_NODE"].concat();
        in_one_piece(&payload, &mut form);
        let mut hash = Sha256::new();
        hash.update([&3_u64.to_be_bytes()[..], b"ada", &(form.len() as u64).to_be_bytes(), &form].concat());
        let mut printing = FingerprintHasher::of(&user);
        printing.add("CREATE_NODE", &payload);
        assert_eq!(printing.finish().0[..], hash.finalize()[..8]);
    }
}
