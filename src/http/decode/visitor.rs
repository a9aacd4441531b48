//! One reading of a body: a visitor that counts, builds, or looks for a place.

use std::cell::{Cell, RefCell};

use dao_projections::Map;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value, map::Entry};

use super::{DocumentLimits, TWO_TO_63, memory::Size, repeated_keys::Repeated};
use crate::{
    domain::memory,
    http::{
        json_path::{Path, shortened},
        json_shape::Malformed,
    },
};

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Counts what the body would occupy, and how long its arrays and objects are; builds nothing.
    Count,
    /// Builds what was counted before: arrays and objects get the room that they need.
    Build,
    /// Both at once, for a short body.
    BuildAndCount,
    /// Ends at the number of 2^63 or more that has this index among those.
    Find(usize),
}

impl Mode {
    fn builds(self) -> bool {
        matches!(self, Self::Build | Self::BuildAndCount)
    }
}

/// A place as it is told, and the member of a batch that it is in.
type Place = (String, Option<usize>);

/// What is noted while a body is read.
pub(super) struct Notes {
    mode: Mode,
    size: Cell<Size>,
    /// The length of each array and object, in the order in which they begin.
    lengths: RefCell<Vec<u32>>,
    next_length: Cell<usize>,
    repeated: RefCell<Repeated>,
    /// How many numbers were read as floats of 2^63 or more: integers too large may be among them.
    huge: Cell<usize>,
    /// Where reading ended.
    broken: RefCell<Option<Place>>,
}

impl Notes {
    pub(super) fn new(mode: Mode, body_bytes: usize) -> Self {
        Self {
            mode,
            size: Cell::new(Size::of(body_bytes)),
            lengths: RefCell::default(),
            next_length: Cell::new(0),
            repeated: RefCell::default(),
            huge: Cell::new(0),
            broken: RefCell::default(),
        }
    }

    /// For the reading that builds what this one counted.
    pub(super) fn into_second_reading(self) -> Self {
        Self { mode: Mode::Build, huge: Cell::new(0), ..self }
    }

    pub(super) fn huge(&self) -> usize {
        self.huge.get()
    }

    pub(super) fn into_parts(self) -> (Repeated, Size) {
        (self.repeated.into_inner(), self.size.get())
    }

    /// Reading ended here. The first who says so is the innermost.
    fn note_end(&self, path: &Path<'_>) {
        self.broken.borrow_mut().get_or_insert_with(|| (shortened(path), path.member()));
    }

    pub(super) fn malformed(&self, problem: String) -> Malformed {
        if self.size.get().is_exceeded() {
            return self.size.get().too_large();
        }
        let (place, index) = self.broken.take().unwrap_or_default();
        Malformed { index, ..Malformed::at(place, problem) }
    }

    /// Counts what something occupies, if this reading counts.
    pub(super) fn occupy<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        if self.mode == Mode::Build {
            return Ok(());
        }
        let size = self.size.get().with(bytes);
        self.size.set(size);
        if size.is_exceeded() { Err(E::custom("it occupies too much")) } else { Ok(()) }
    }

    /// An array or object begins: how long it is, or where to write that.
    fn begin(&self) -> usize {
        let mut lengths = self.lengths.borrow_mut();
        match self.mode {
            Mode::Count => {
                lengths.push(0);
                lengths.len() - 1
            }
            Mode::Build => {
                let next = self.next_length.get();
                self.next_length.set(next + 1);
                lengths.get(next).map_or(0, |length| *length as usize)
            }
            Mode::BuildAndCount | Mode::Find(_) => 0,
        }
    }

    fn end(&self, place: usize, length: usize) {
        if self.mode == Mode::Count
            && let Some(counted) = self.lengths.borrow_mut().get_mut(place)
        {
            *counted = u32::try_from(length).unwrap_or(u32::MAX);
        }
    }

    /// What begins with room for so many.
    fn room(&self, begun: usize) -> usize {
        if self.mode == Mode::Build { begun } else { 0 }
    }
}

/// A place that is being read. What stands for it is worked out once, and only if a key is repeated below it.
pub(super) struct Scope<'a> {
    path: Path<'a>,
    above: Option<&'a Scope<'a>>,
    mark: Cell<Option<u64>>,
}

impl<'a> Scope<'a> {
    pub(super) fn root() -> Self {
        Self { path: Path::Root, above: None, mark: Cell::new(None) }
    }

    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self { path: Path::Key(&self.path, key), above: Some(self), mark: Cell::new(None) }
    }

    fn index(&'a self, index: usize) -> Self {
        Self { path: Path::Index(&self.path, index), above: Some(self), mark: Cell::new(None) }
    }

    /// What stands for it in `repeated`.
    fn mark(&self, repeated: &Repeated) -> u64 {
        if let Some(mark) = self.mark.get() {
            return mark;
        }
        let above = self.above.map_or(0, |above| above.mark(repeated));
        let mark = repeated.step(above, &self.path);
        self.mark.set(Some(mark));
        mark
    }
}

/// Reads one value and keeps count of where it is. A reading that builds nothing makes nulls.
#[derive(Clone, Copy)]
pub(super) struct Strict<'a> {
    pub(super) notes: &'a Notes,
    pub(super) scope: &'a Scope<'a>,
    pub(super) depth: usize,
    pub(super) limits: DocumentLimits,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(&self) -> Result<usize, E> {
        let max = self.limits.depth_max;
        if self.depth >= max {
            return Err(E::custom(format_args!("nested deeper than {max} levels (MAX_JSON_DEPTH)")));
        }
        Ok(self.depth + 1)
    }

    fn text<E: de::Error>(&self, text: &str) -> Result<(), E> {
        self.notes.occupy(memory::text(text))
    }

    fn repeated(&self, key: &str) {
        let mut repeated = self.notes.repeated.borrow_mut();
        let mark = self.scope.mark(&repeated);
        repeated.insert(mark, key);
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Reads a key: text and nothing else.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("keys that are text")
    }

    fn visit_str<E>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_string<E>(self, key: String) -> Result<String, E> {
        Ok(key)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value that JSON can say")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= TWO_TO_63 {
            let index = self.notes.huge.get();
            self.notes.huge.set(index + 1);
            if self.notes.mode == Mode::Find(index) {
                self.notes.note_end(&self.scope.path);
                return Err(E::custom("found"));
            }
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("must be a finite number"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value)?;
        Ok(if self.notes.mode.builds() { Value::from(value) } else { Value::Null })
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.text(&value)?;
        Ok(if self.notes.mode.builds() { Value::String(value) } else { Value::Null })
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let is_batch = matches!(self.scope.path, Path::Key(Path::Root, "operations"));
        let begun = self.notes.begin();
        let mut items = Vec::with_capacity(self.notes.room(begun));
        let mut length = 0;
        loop {
            if is_batch && length > self.limits.operations_max {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            let scope = self.scope.index(length);
            let next = seq.next_element_seed(Strict { scope: &scope, depth, ..self });
            let Some(item) = next.inspect_err(|_| self.notes.note_end(&scope.path))? else { break };
            self.notes.occupy(memory::ITEM_BYTES)?;
            length += 1;
            if self.notes.mode.builds() {
                items.push(item);
            }
        }
        self.notes.end(begun, length);
        self.notes.occupy(memory::array(length))?;
        Ok(if self.notes.mode.builds() { Value::Array(items) } else { Value::Null })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let begun = self.notes.begin();
        let mut fields = Map::with_capacity(self.notes.room(begun));
        let mut length = 0;
        let path = &self.scope.path;
        while let Some(key) = map.next_key_seed(Key).inspect_err(|_| self.notes.note_end(path))? {
            self.notes.occupy(memory::entry(&key))?;
            length += 1;
            let scope = self.scope.key(&key);
            let value = map.next_value_seed(Strict { scope: &scope, depth, ..self });
            let value = value.inspect_err(|_| self.notes.note_end(&scope.path))?;
            if !self.notes.mode.builds() {
                continue;
            }
            match fields.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(mut place) => {
                    self.repeated(place.key());
                    place.insert(value);
                }
            }
        }
        self.notes.end(begun, length);
        self.notes.occupy(memory::object(length))?;
        if !self.notes.mode.builds() {
            return Ok(Value::Null);
        }
        if fields.len() < self.notes.room(begun) {
            // Keys were repeated: what was kept free for them is given back.
            fields = fields.into_iter().collect();
        }
        Ok(Value::Object(fields))
    }
}
