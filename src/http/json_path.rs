//! A place in a JSON document, and how it is shown.

use std::fmt;

/// A place in a document: a chain of keys and indices, written out only for an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    /// `operations[3].payload.position.x`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Path<'_> {
    /// The member of a batch that it is in.
    pub(super) fn member(&self) -> Option<usize> {
        match self {
            Self::Index(Path::Key(Path::Root, "operations"), index) => Some(*index),
            Self::Root => None,
            Self::Key(parent, _) | Self::Index(parent, _) => parent.member(),
        }
    }
}

/// Characters of a place in an error message; its keys may be long.
pub(super) const PLACE_CHARS_MAX: usize = 200;

/// The beginning of a place, for an error message. No more of it is ever written out.
pub(super) fn shortened(place: &impl fmt::Display) -> String {
    struct Beginning {
        text: String,
        chars_left: usize,
    }
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for c in text.chars() {
                if self.chars_left == 0 {
                    self.text.push('…');
                    return Err(fmt::Error);
                }
                self.chars_left -= 1;
                self.text.push(c);
            }
            Ok(())
        }
    }
    let mut beginning = Beginning { text: String::new(), chars_left: PLACE_CHARS_MAX };
    // An error says that there is more of it.
    let _there_is_more = fmt::write(&mut beginning, format_args!("{place}"));
    beginning.text
}
