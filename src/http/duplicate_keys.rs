//! The places of keys that occur more than once in their object, as shown to people. Reading bodies needs less: it only asks
//! whether a key is repeated ([`super::decode`]).

use std::{cell::RefCell, collections::HashSet, fmt};

use dao_projections::Pointer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{json_path::Path, json_repair::repair};

/// Places that are reported, the first ones.
const PLACES_MAX: usize = 100;

/// The places of repeated keys in JSON that was read already, so that its depth is bounded.
pub(super) fn duplicate_keys(json: &[u8]) -> Vec<Pointer> {
    let found = RefCell::default();
    let json = repair(json);
    let mut deserializer = serde_json::Deserializer::from_slice(&json);
    // What could not be read was refused before.
    let _read = KeyVisitor { found: &found, path: Path::Root }.deserialize(&mut deserializer);
    found.into_inner()
}

/// Looks at a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct KeyVisitor<'a> {
    found: &'a RefCell<Vec<Pointer>>,
    path: Path<'a>,
}

impl KeyVisitor<'_> {
    fn note(&self, key: &str) {
        let mut found = self.found.borrow_mut();
        if found.len() < PLACES_MAX {
            found.push(pointer(&self.path).child(key));
        }
    }
}

fn pointer(path: &Path<'_>) -> Pointer {
    match path {
        Path::Root => Pointer::root(),
        Path::Key(above, key) => pointer(above).child(key),
        Path::Index(above, index) => pointer(above).child(&index.to_string()),
    }
}

impl<'de> DeserializeSeed<'de> for KeyVisitor<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while seq.next_element_seed(KeyVisitor { path: Path::Index(&self.path, index), ..self })?.is_some() {
            index += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(KeyVisitor { path: Path::Key(&self.path, &key), ..self })?;
            if seen.contains(&key) {
                self.note(&key);
            } else {
                seen.insert(key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h1_each_repeated_key_is_told_with_its_place() {
        let json = br#"{"a": {"b": 1, "b": 2}, "a": {"c": [{"d": null, "d": true}], "e/f": "", "e/f": 1.5}}"#;
        let places: Vec<_> = duplicate_keys(json).iter().map(|place| place.as_str().to_owned()).collect();
        assert_eq!(places, ["/a/b", "/a/c/0/d", "/a/e~1f", "/a"]);
        assert!(duplicate_keys(br#"{"a": [{"a": 1}, {"a": 1}]}"#).is_empty());
        let many = format!("{{{}\"k\": 0}}", "\"k\": 0,".repeat(PLACES_MAX * 2));
        assert_eq!(duplicate_keys(many.as_bytes()).len(), PLACES_MAX);
    }
}
