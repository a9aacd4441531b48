//! Rights on graphs: globs and the rights they grant.

use std::fmt;

use dao_projections::GraphId;

/// A right on a graph. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read it: state, changes, streams, history, presence.
    Read,
    /// Read and change it.
    Write,
    /// Everything. On all graphs (`"*"`) also what concerns no single graph.
    Admin,
}

impl Right {
    /// Its name in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a right, or not a glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRight {
    /// None of the three.
    #[error("a right is read, write or admin")]
    Unknown,
    /// It can't match any graph.
    #[error("a glob is a graph id in which * stands for any characters")]
    Glob,
}

impl std::str::FromStr for Right {
    type Err = InvalidRight;

    fn from_str(text: &str) -> Result<Self, InvalidRight> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            _ => Err(InvalidRight::Unknown),
        }
    }
}

/// A pattern of graph ids: `*` matches any run of characters, including none; all others match themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// A glob that some graph id could match.
    pub fn parse(text: &str) -> Result<Self, InvalidRight> {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-' | b'*');
        let is_fine = !text.is_empty() && text.len() <= 256 && text.bytes().all(is_known);
        is_fine.then(|| Self(text.to_owned())).ok_or(InvalidRight::Glob)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches every graph.
    pub fn is_all(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }

    /// Whether the id matches. Takes at most (length of the glob) × (length of the id) steps.
    pub fn matches(&self, graph: &GraphId) -> bool {
        let (glob, id) = (self.0.as_bytes(), graph.as_str().as_bytes());
        let (mut g, mut i) = (0, 0);
        // Where to continue if the text after the last star does not match: the star then takes one more character.
        let mut retry: Option<(usize, usize)> = None;
        while i < id.len() {
            if glob.get(g) == Some(&b'*') {
                retry = Some((g, i));
                g += 1;
            } else if glob.get(g) == Some(&id[i]) {
                (g, i) = (g + 1, i + 1);
            } else if let Some((star, taken)) = retry {
                retry = Some((star, taken + 1));
                (g, i) = (star + 1, taken + 1);
            } else {
                return false;
            }
        }
        glob[g..].iter().all(|b| *b == b'*')
    }
}

/// The rights that one token grants. None by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(Vec<(Glob, Right)>);

impl Rights {
    /// Rights from a list of globs.
    pub fn new(granted: Vec<(Glob, Right)>) -> Self {
        Self(granted)
    }

    /// Every glob with its right.
    pub fn iter(&self) -> impl Iterator<Item = (&Glob, Right)> {
        self.0.iter().map(|(glob, right)| (glob, *right))
    }

    /// The highest right on this graph; `None` if there is none.
    pub fn on(&self, graph: &GraphId) -> Option<Right> {
        self.iter().filter(|(glob, _)| glob.matches(graph)).map(|(_, right)| right).max()
    }

    /// The highest right that is granted on every graph at once.
    pub fn on_all(&self) -> Option<Right> {
        self.iter().filter(|(glob, _)| glob.is_all()).map(|(_, right)| right).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(id: &str) -> GraphId {
        GraphId::parse(id).expect("a graph id")
    }

    #[test]
    fn o1_stars_stand_for_any_run_of_characters() {
        let cases = [
            ("*", "a", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a", "b", false),
            ("team-a.*", "team-a.x", true),
            ("team-a.*", "team-a.", true),
            ("team-a.*", "team-a", false),
            ("team-a.*", "team-ab.x", false),
            ("*.draft", "x.draft", true),
            ("*.draft", "x.draft.old", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "a", true),
            ("a**", "a", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
            ("A", "a", false),
        ];
        for (glob, id, is_match) in cases {
            assert_eq!(Glob::parse(glob).expect(glob).matches(&graph(id)), is_match, "{glob} {id}");
        }
        for bad in ["", "team/*", "a b", "ä*", "%2a"] {
            assert_eq!(Glob::parse(bad), Err(InvalidRight::Glob), "{bad}");
        }
    }

    #[test]
    fn o1_the_highest_match_wins_and_none_means_no_right() {
        let rights = [("team-a.*", Right::Write), ("team-a.x", Right::Read), ("*", Right::Read)];
        let rights = rights.map(|(glob, right)| (Glob::parse(glob).expect(glob), right));
        let rights = Rights::new(rights.into());
        assert_eq!(rights.on(&graph("team-a.x")), Some(Right::Write));
        assert_eq!(rights.on(&graph("other")), Some(Right::Read));
        assert_eq!(rights.on_all(), Some(Right::Read));
        assert_eq!(Rights::default().on(&graph("other")), None);
        assert_eq!(Rights::default().on_all(), None);
    }
}
