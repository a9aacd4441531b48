//! Reading JSON objects of known shape, with the place of every mistake.

use std::fmt::Display;

use dao_projections::{ClientId, Map, OperationId, ShapeError, Version, json_kind};
use serde_json::Value;

use super::{
    decode::Repeated,
    json_path::{Path, shortened},
};

/// A request that is not what it should be: 400, naming the place (rule H1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The JSON path, dotted; empty for the body as a whole.
    pub(super) place: String,
    pub(super) problem: String,
    /// The member of a batch that it is in.
    pub(super) index: Option<usize>,
    pub(super) severity: Severity,
}

/// Which status a malformed request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// 400.
    Wrong,
    /// 422: well-formed, and more than may be.
    TooMany,
    /// 413: what it would occupy is more than may be.
    TooLarge,
}

impl Malformed {
    pub(super) fn at(place: impl Display, problem: impl Into<String>) -> Self {
        Self { place: shortened(&place), problem: problem.into(), index: None, severity: Severity::Wrong }
    }

    pub(super) fn body(problem: impl Into<String>) -> Self {
        Self::at("", problem)
    }

    pub(super) fn too_many(place: impl Display, problem: impl Into<String>) -> Self {
        Self { severity: Severity::TooMany, ..Self::at(place, problem) }
    }

    pub(super) fn too_large(problem: impl Into<String>) -> Self {
        Self { severity: Severity::TooLarge, ..Self::body(problem) }
    }

    pub(super) fn shape(path: &Path<'_>, error: ShapeError) -> Self {
        let place = match (path, error.field.is_empty()) {
            (Path::Root, _) => error.field,
            (path, true) => path.to_string(),
            (path, false) => format!("{path}.{}", error.field),
        };
        Self::at(place, error.problem)
    }
}

impl Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.place.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Refuses an object in which a key stands more than once; `path` is where it is.
pub(super) fn refuse_repeated(fields: &Map, path: &Path<'_>, repeated: &Repeated) -> Result<(), Malformed> {
    match repeated.first_of(fields.keys().map(String::as_str), path) {
        Some(key) => Err(Malformed::at(Path::Key(path, key), "stands here more than once")),
        None => Ok(()),
    }
}

/// The fields of one object, taken out one by one.
pub(super) struct Fields<'a> {
    map: Map,
    path: &'a Path<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of an object in which no key may stand twice.
    pub(super) fn of(value: Value, path: &'a Path<'a>, repeated: &Repeated) -> Result<Self, Malformed> {
        let fields = Self::unchecked(value, path)?;
        refuse_repeated(&fields.map, path, repeated)?;
        Ok(fields)
    }

    fn unchecked(value: Value, path: &'a Path<'a>) -> Result<Self, Malformed> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            other => Err(Malformed::at(path, format!("must be an object, not {}", json_kind(&other)))),
        }
    }

    /// An optional field; null is as if left out.
    pub(super) fn optional(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn required(&mut self, key: &str) -> Result<Value, Malformed> {
        self.optional(key).ok_or_else(|| self.wrong(key, "is required"))
    }

    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Malformed> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, format!("must be a string, not {}", json_kind(&other)))),
        }
    }

    /// An identifier, checked by its own rule.
    pub(super) fn id<T>(
        &mut self,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
    ) -> Result<Option<T>, Malformed> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|e| self.wrong(key, e.to_string()))
    }

    pub(super) fn required_id<T>(
        &mut self,
        key: &str,
        parse: fn(&str) -> Result<T, dao_projections::InvalidId>,
    ) -> Result<T, Malformed> {
        self.id(key, parse)?.ok_or_else(|| self.wrong(key, "is required"))
    }

    pub(super) fn operation_id(&mut self, key: &str) -> Result<Option<OperationId>, Malformed> {
        self.id(key, OperationId::parse)
    }

    pub(super) fn client_id(&mut self) -> Result<Option<ClientId>, Malformed> {
        self.id("clientId", ClientId::parse)
    }

    pub(super) fn version(&mut self, key: &str) -> Result<Option<Version>, Malformed> {
        match self.optional(key) {
            None => Ok(None),
            Some(value) => match value.as_u64().and_then(Version::new) {
                Some(version) => Ok(Some(version)),
                None => Err(self.wrong(key, "must be a non-negative integer below 2^63")),
            },
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, Malformed> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(self.wrong(key, format!("must be a boolean, not {}", json_kind(&other)))),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<Value>>, Malformed> {
        match self.optional(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(self.wrong(key, format!("must be a list, not {}", json_kind(&other)))),
        }
    }

    /// Ends the reading of an object of fixed shape: what is left is unknown.
    pub(super) fn finish(self) -> Result<(), Malformed> {
        match self.map.keys().next() {
            Some(stranger) => Err(self.wrong(stranger, "is not a known field")),
            None => Ok(()),
        }
    }

    /// What is left, for objects that may hold anything.
    pub(super) fn rest(self) -> Map {
        self.map
    }

    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> Malformed {
        Malformed::at(Path::Key(self.path, key), problem)
    }
}
