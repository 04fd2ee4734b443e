//! What a fuzz target is.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The longest outcome that is distinguished by all of its text.
const TOLD_APART: usize = 2048;

/// A parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// What its input looks like.
    pub shape: Shape,
    /// Pieces that are worth putting in: names, separators, limits.
    pub words: &'static [&'static str],
    /// Seeds that are better made than committed.
    pub made: fn() -> Vec<Vec<u8>>,
    /// Parses the input, and panics where an invariant does not hold.
    pub run: fn(&[u8]) -> Seen,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name).finish()
    }
}

/// What an input looks like, by which mutations keep it near to what parses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Bytes.
    Bytes,
    /// Lines of text.
    Text,
    /// A JSON document.
    Json,
    /// Netlink: messages with attributes, each behind its length.
    Attributes,
    /// A tar, with checksums in its headers.
    Tar,
}

/// What came of an input. Two inputs with the same outcome are alike to the search for new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen(u64);

impl Seen {
    /// Nothing worth telling from other outcomes.
    pub const NOTHING: Self = Self(0);

    /// An outcome by its text, such as that of an error. Digits and what is between quotes do not
    /// count: they are the input's, not the parser's.
    pub fn text(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        let (mut quoted, mut last) = (false, ' ');
        for character in text.chars().take(TOLD_APART) {
            if character == '"' {
                quoted = !quoted;
            }
            let shown = if character.is_ascii_digit() {
                '0'
            } else {
                character
            };
            if !quoted && shown != last {
                shown.hash(&mut hasher);
            }
            last = shown;
        }
        Self(hasher.finish())
    }

    /// An outcome by how it is shown for debugging.
    pub fn debug(value: &impl fmt::Debug) -> Self {
        Self::text(&format!("{value:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_input_s_own_does_not_count() {
        let seen = Seen::text;
        assert_eq!(seen("Port(80) of \"a\""), seen("Port(8080) of \"bc\""));
        assert_ne!(seen("Port(80)"), seen("Ports(80)"));
    }
}
