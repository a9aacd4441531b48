//! Which commits a stream is about (rules S3, S4).
//!
//! Invariant: one function, [`CommitFilter::wants`], judges replayed and live commits alike. A commit is
//! wanted or not as a whole.

use dao_projections::{Commit, Event, GraphId, InvalidId, UserId};
use serde::{Deserialize, Serialize};

/// Names in one list of a filter; more are refused.
const NAMES_MAX: usize = 100;

/// Which commits are wanted: those that satisfy every list that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitFilter {
    types: Option<Vec<EventType>>,
    graphs: Option<Vec<Glob>>,
    users: Option<Vec<UserId>>,
}

/// What is wrong with a list of a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A list, or a name in it, is empty.
    #[error("must not be empty")]
    Empty,
    /// A list is too long.
    #[error("must be at most {NAMES_MAX} names")]
    TooMany,
    /// No event has this type.
    #[error("{0:?} is no event type; there are {names}", names = Event::NAMES.join(", "))]
    UnknownType(String),
    /// Nothing that could match a graph id.
    #[error("{0:?} is neither a graph id nor one with * in it")]
    BadGlob(String),
    /// Not a user id.
    #[error("{0}")]
    BadUser(#[from] InvalidId),
}

/// The lists of a filter as they are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterLists {
    /// Event types.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub types: Option<Vec<String>>,
    /// Graph ids, or globs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub graphs: Option<Vec<String>>,
    /// User ids.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub users: Option<Vec<String>>,
}

impl CommitFilter {
    /// What these lists say; an error is about the list of that name.
    pub fn of(lists: &FilterLists) -> Result<Self, (&'static str, FilterError)> {
        let types = lists.types.as_deref().map(|list| each(list, EventType::parse)).transpose();
        let graphs = lists.graphs.as_deref().map(|list| each(list, Glob::parse)).transpose();
        let user = |name: &str| Ok(UserId::parse(name)?);
        let users = lists.users.as_deref().map(|list| each(list, user)).transpose();
        Ok(Self {
            types: types.map_err(|error| ("types", error))?,
            graphs: graphs.map_err(|error| ("graphs", error))?,
            users: users.map_err(|error| ("users", error))?,
        })
    }

    /// Only commits with an event of one of these types, named with commas between them.
    pub fn with_types(mut self, text: &str) -> Result<Self, FilterError> {
        self.types = Some(names(text, EventType::parse)?);
        Ok(self)
    }

    /// Only commits of these graphs: ids, or globs in which `*` is any text, with commas between them.
    pub fn with_graphs(mut self, text: &str) -> Result<Self, FilterError> {
        self.graphs = Some(names(text, Glob::parse)?);
        Ok(self)
    }

    /// Only commits by these users, with commas between them. So a user with a comma can't be named.
    pub fn with_users(mut self, text: &str) -> Result<Self, FilterError> {
        self.users = Some(names(text, |name| Ok(UserId::parse(name)?))?);
        Ok(self)
    }

    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a commit is wanted.
    pub fn wants(&self, graph: &GraphId, commit: &Commit) -> bool {
        let is_type = |event: &Event| self.types.iter().flatten().any(|wanted| wanted.0 == event.name());
        self.wants_graph(graph)
            && (self.users.as_ref()).is_none_or(|users| users.contains(&commit.body.user_id))
            && (self.types.is_none() || commit.body.events.iter().any(is_type))
    }

    /// Whether a commit of this graph can be wanted at all.
    pub fn wants_graph(&self, graph: &GraphId) -> bool {
        self.graphs.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(graph.as_str())))
    }
}

fn names<T>(text: &str, parse: impl Fn(&str) -> Result<T, FilterError>) -> Result<Vec<T>, FilterError> {
    if text.split(',').count() > NAMES_MAX {
        return Err(FilterError::TooMany);
    }
    let one = |name: &str| if name.is_empty() { Err(FilterError::Empty) } else { parse(name) };
    text.split(',').map(|name| one(name.trim())).collect()
}

fn each<T>(list: &[String], parse: impl Fn(&str) -> Result<T, FilterError>) -> Result<Vec<T>, FilterError> {
    match list.len() {
        0 => Err(FilterError::Empty),
        count if count > NAMES_MAX => Err(FilterError::TooMany),
        _ => list
            .iter()
            .map(|name| if name.is_empty() { Err(FilterError::Empty) } else { parse(name) })
            .collect(),
    }
}

/// The type of an event, as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EventType(&'static str);

impl EventType {
    fn parse(name: &str) -> Result<Self, FilterError> {
        let known = Event::NAMES.into_iter().find(|known| *known == name);
        known.map(Self).ok_or_else(|| FilterError::UnknownType(shown(name)))
    }
}

/// A graph id in which `*` stands for any text, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(String);

impl Glob {
    /// Refuses what no graph id can match: a glob that never matches is a mistake.
    fn parse(text: &str) -> Result<Self, FilterError> {
        // With one character for each `*` it must be a graph id; a `*` may stand for nothing.
        let sample = text.replace('*', "a");
        let shortest = text.replace('*', "");
        match GraphId::parse(&sample).is_ok() || (text.contains('*') && GraphId::parse(&shortest).is_ok()) {
            true => Ok(Self(text.to_owned())),
            false => Err(FilterError::BadGlob(shown(text))),
        }
    }

    fn matches(&self, text: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == text };
        let Some(mut text) = text.strip_prefix(start) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        // Leftmost matches leave the most for what follows.
        for part in parts {
            let Some(at) = text.find(part) else { return false };
            text = &text[at + part.len()..];
        }
        text.ends_with(end)
    }
}

/// Enough of what was sent to recognise it.
fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Glob::parse(glob).expect("a glob").matches(text)
    }

    #[test]
    fn s3_a_star_is_any_text() {
        for (glob, text) in [
            ("*", "g"),
            ("g", "g"),
            ("team-a.*", "team-a."),
            ("team-a.*", "team-a.b.c"),
            ("*-a", "x-a-a"),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c-c"),
            ("a**c", "ac"),
            ("*a*a*", "aa"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in [
            ("g", "gg"),
            ("team-a.*", "team-ab"),
            ("a*b*c", "acb"),
            ("*a*a*", "a"),
            ("ab*ba", "aba"),
            ("a*", "A"),
        ] {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }

    #[test]
    fn s3_what_can_match_nothing_is_refused() {
        let filter = CommitFilter::default;
        assert_eq!(filter().with_types(""), Err(FilterError::Empty));
        assert_eq!(filter().with_users("a,,b"), Err(FilterError::Empty));
        assert_eq!(filter().with_graphs(","), Err(FilterError::Empty));
        assert_eq!(filter().with_types("nodecreated"), Err(FilterError::UnknownType("nodecreated".into())));
        for glob in [".*", "a b", "a/*", "[ab]", "?", "é*"] {
            assert_eq!(filter().with_graphs(glob), Err(FilterError::BadGlob(glob.into())), "{glob}");
        }
        assert_eq!(filter().with_graphs(&"a".repeat(129)), Err(FilterError::BadGlob("a".repeat(100))));
        assert_eq!(filter().with_graphs(&["a"; 101].join(",")), Err(FilterError::TooMany));
        assert!(filter().with_graphs(&["a"; 100].join(",")).is_ok());
        assert!(filter().with_types(&Event::NAMES.join(",")).is_ok(), "every type has a name");
        assert!(matches!(filter().with_users("a\nb"), Err(FilterError::BadUser(_))));
    }
}
