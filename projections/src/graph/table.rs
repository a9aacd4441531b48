//! Entities with the fields that the server adds, by id and in creation order.

use std::sync::{Arc, OnceLock};

use imbl::{HashMap, OrdMap};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    entity::{Edge, Node, Timestamp},
    memory::Size,
    version::Version,
};

/// A place in creation order (rule G5): the entities of a graph are numbered as they are created.
pub type Ordinal = u64;

/// An entity with its server fields (rule G2).
#[derive(Debug)]
pub struct Placed<T> {
    /// The node or edge itself.
    pub entity: T,
    /// The place in creation order.
    pub ordinal: Ordinal,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last write.
    pub updated_at: Timestamp,
    /// The version of the commit that last wrote it.
    pub version: Version,
    size: Size,
    json: OnceLock<Box<[u8]>>,
}

impl<T> Placed<T> {
    pub(crate) fn new(
        (entity, size): (T, Size),
        ordinal: Ordinal,
        created_at: Timestamp,
        updated_at: Timestamp,
        version: Version,
    ) -> Self {
        let size = size + Size { held: size_of::<Self>(), json: 0 };
        Self { entity, ordinal, created_at, updated_at, version, size, json: OnceLock::new() }
    }
}

impl<T> Placed<T>
where
    Self: Serialize,
{
    /// The entity as JSON, server fields included; encoded once and cached.
    pub fn json(&self) -> &[u8] {
        self.json.get_or_init(|| match serde_json::to_vec(self) {
            Ok(bytes) => bytes.into_boxed_slice(),
            Err(e) => unreachable!("an entity could not be encoded: {e}"),
        })
    }
}

/// Entities are compared without their cached JSON.
impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entity == other.entity
            && (self.ordinal, self.created_at, self.updated_at, self.version)
                == (other.ordinal, other.created_at, other.updated_at, other.version)
    }
}

macro_rules! serialize_placed {
    ($entity:ty) => {
        impl Serialize for Placed<$entity> {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                let mut map = s.serialize_map(Some(self.entity.field_count() + 3))?;
                self.entity.serialize_fields(&mut map)?;
                map.serialize_entry("createdAt", &self.created_at)?;
                map.serialize_entry("updatedAt", &self.updated_at)?;
                map.serialize_entry("version", &self.version)?;
                map.end()
            }
        }
    };
}
serialize_placed!(Node);
serialize_placed!(Edge);

/// All nodes, or all edges, by id and in creation order.
#[derive(Debug)]
pub struct Table<Id, T> {
    ordinals: HashMap<Id, Ordinal>,
    rows: OrdMap<Ordinal, Arc<Placed<T>>>,
    /// All rows together.
    pub(super) size: Size,
}

impl<Id: Clone, T> Clone for Table<Id, T> {
    fn clone(&self) -> Self {
        Self { ordinals: self.ordinals.clone(), rows: self.rows.clone(), size: self.size }
    }
}

impl<Id: Clone + Eq + std::hash::Hash, T> Default for Table<Id, T> {
    fn default() -> Self {
        Self { ordinals: HashMap::default(), rows: OrdMap::default(), size: Size::default() }
    }
}

impl<Id: Clone + Eq + std::hash::Hash, T> Table<Id, T> {
    /// The entity with this id.
    pub fn get(&self, id: &Id) -> Option<&Arc<Placed<T>>> {
        self.rows.get(self.ordinals.get(id)?)
    }

    /// The entity at this place in creation order.
    pub fn at(&self, ordinal: Ordinal) -> Option<&Arc<Placed<T>>> {
        self.rows.get(&ordinal)
    }

    /// All of them, in creation order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Placed<T>>> {
        self.rows.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Puts an entity in its place. The ids are only written for a new one: an update leaves that
    /// map shared with every copy of the table.
    pub(super) fn insert(&mut self, id: &Id, placed: Placed<T>) {
        let ordinal = placed.ordinal;
        self.size += placed.size;
        match self.rows.insert(ordinal, Arc::new(placed)) {
            Some(old) => self.size -= old.size,
            None => drop(self.ordinals.insert(id.clone(), ordinal)),
        }
    }

    pub(super) fn remove(&mut self, id: &Id) -> Option<Arc<Placed<T>>> {
        let ordinal = self.ordinals.remove(id)?;
        let removed = self.rows.remove(&ordinal)?;
        self.size -= removed.size;
        Some(removed)
    }
}
