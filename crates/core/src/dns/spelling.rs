//! Spelling: the case of the letters in which an upstream is asked.
//!
//! Names are alike whatever their case, and a server repeats the question as it was written. So
//! each letter is a coin that a forger has to guess, beside the id and the port. A server that
//! does not play is known by what it says, and is asked in small letters for a while.

use super::query::Query;
use std::time::{Duration, Instant};

/// How long a server that does not play is asked in small letters.
const PLAIN: Duration = Duration::from_secs(600);

/// What is known of an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spelling(State);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// It may not know the names of mixed letters, or may not repeat them.
    #[default]
    Untried,
    /// It does both.
    Keeps,
    /// It does not.
    Plain { until: Instant },
}

/// How a question is written to an upstream, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// Every letter is large or small by chance, and must come back so.
    Mixed,
    /// As the client wrote it: nothing can be forged where it is sent, or it is signed.
    Kept,
    /// Small, because the server is known not to play.
    Small,
    /// Small, because the server denied or ignored a name of mixed letters.
    SmallAfterDenial,
    /// Small, because the server repeated a name of mixed letters in others.
    SmallAfterFolding,
}

impl Spelling {
    /// How the next question is written.
    pub fn letters(&self, now: Instant) -> Letters {
        match self.0 {
            State::Plain { until } if now < until => Letters::Small,
            State::Untried | State::Keeps | State::Plain { .. } => Letters::Mixed,
        }
    }

    /// Whether a denial of a name written so has to be confirmed in small letters.
    pub fn doubts(&self, letters: Letters) -> bool {
        letters == Letters::Mixed && !matches!(self.0, State::Keeps)
    }

    /// A question written so was answered; `found` says whether with what was asked for.
    pub fn answered(&mut self, letters: Letters, found: bool, now: Instant) {
        match letters {
            Letters::Mixed if found => self.0 = State::Keeps,
            Letters::SmallAfterFolding => self.0 = State::Plain { until: now + PLAIN },
            Letters::SmallAfterDenial if found => self.0 = State::Plain { until: now + PLAIN },
            Letters::Mixed | Letters::SmallAfterDenial | Letters::Kept | Letters::Small => {}
        }
    }
}

impl Letters {
    /// The question of a query, written so. `coins` decides letter by letter; a name has fewer
    /// letters than it has bits.
    pub fn write(self, query: &Query<'_>, coins: &[u8; 32]) -> Vec<u8> {
        let mut question = query.question().to_vec();
        // Lengths of labels are below the letters. Type and class may have bytes that are letters.
        let name = question.len().saturating_sub(4);
        let name = &mut question[..name];
        match self {
            Self::Kept => {}
            Self::Small | Self::SmallAfterDenial | Self::SmallAfterFolding => {
                name.make_ascii_lowercase();
            }
            Self::Mixed => {
                let letters = name.iter_mut().filter(|byte| byte.is_ascii_alphabetic());
                for (i, letter) in letters.enumerate() {
                    let coin = coins[i / 8 % coins.len()] >> (i % 8) & 1;
                    *letter = letter.to_ascii_lowercase() ^ coin << 5;
                }
            }
        }
        question
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::address_query;
    use super::*;
    use crate::dns::some_instant;
    use crate::model::IpFamily;

    #[test]
    fn a_server_is_asked_in_mixed_letters_until_it_shows_that_it_does_not_play() {
        let start = some_instant();
        let mut spelling = Spelling::default();
        assert_eq!(spelling.letters(start), Letters::Mixed);
        assert!(spelling.doubts(Letters::Mixed) && !spelling.doubts(Letters::Small));
        spelling.answered(Letters::Mixed, false, start);
        spelling.answered(Letters::SmallAfterDenial, false, start);
        assert!(spelling.doubts(Letters::Mixed), "nothing is known yet");
        spelling.answered(Letters::Mixed, true, start);
        assert!(!spelling.doubts(Letters::Mixed));
        spelling.answered(Letters::SmallAfterFolding, false, start);
        assert_eq!(spelling.letters(start), Letters::Small);
        assert_eq!(spelling.letters(start + PLAIN), Letters::Mixed);
        let mut strict = Spelling::default();
        strict.answered(Letters::SmallAfterDenial, true, start);
        assert_eq!(strict.letters(start), Letters::Small);
    }

    #[test]
    fn only_letters_of_the_name_are_written_otherwise() {
        let bytes = address_query(7, "Ab-1.eXample", IpFamily::V6).unwrap();
        let query = Query::parse(&bytes).unwrap();
        let small = Letters::Small.write(&query, &[0; 32]);
        assert_eq!(&small[..14], b"\x04ab-1\x07example\x00");
        assert_eq!(small[14..], query.question()[14..]);
        let large = Letters::Mixed.write(&query, &[0xff; 32]);
        assert_eq!(&large[..14], b"\x04AB-1\x07EXAMPLE\x00");
        let mixed = Letters::Mixed.write(&query, &[0b1001; 32]);
        assert_eq!(&mixed[..14], b"\x04Ab-1\x07eXamplE\x00");
        assert_eq!(Letters::Kept.write(&query, &[0; 32]), query.question());
    }
}
