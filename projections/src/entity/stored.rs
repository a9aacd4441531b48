//! The stored form of nodes and edges.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess},
    ser::SerializeMap,
};

use super::{Edge, Node, kept, shape::Map};

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.field_count()))?;
        self.serialize_fields(&mut map)?;
        map.end()
    }
}

impl Serialize for Edge {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.field_count()))?;
        self.serialize_fields(&mut map)?;
        map.end()
    }
}

/// Reads the stored form, which was checked before it was stored.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Stored;
        impl<'de> de::Visitor<'de> for Stored {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let (mut id, mut position, mut attributes) = (None, None, Map::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "id" => id = Some(map.next_value()?),
                        "position" => position = Some(map.next_value()?),
                        _ => {
                            attributes.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(Node {
                    id: id.ok_or_else(|| de::Error::missing_field("id"))?,
                    position: position.ok_or_else(|| de::Error::missing_field("position"))?,
                    attributes: kept(attributes),
                })
            }
        }
        d.deserialize_map(Stored)
    }
}

/// Reads the stored form, which was checked before it was stored.
impl<'de> Deserialize<'de> for Edge {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Stored;
        impl<'de> de::Visitor<'de> for Stored {
            type Value = Edge;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an edge")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Edge, A::Error> {
                let (mut id, mut source, mut target, mut attributes) = (None, None, None, Map::new());
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "id" => id = Some(map.next_value()?),
                        "source" => source = Some(map.next_value()?),
                        "target" => target = Some(map.next_value()?),
                        _ => {
                            attributes.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(Edge {
                    id: id.ok_or_else(|| de::Error::missing_field("id"))?,
                    source: source.ok_or_else(|| de::Error::missing_field("source"))?,
                    target: target.ok_or_else(|| de::Error::missing_field("target"))?,
                    attributes: kept(attributes),
                })
            }
        }
        d.deserialize_map(Stored)
    }
}
