//! The keys by which a client leaves a terminal: reading them, and finding them in what is typed.

use bytes::Bytes;
use std::fmt;

/// Ctrl-P, Ctrl-Q.
const USUAL: [u8; 2] = [0x10, 0x11];
/// What may be typed with Ctrl, by code: 0 is Ctrl-@.
const CONTROLS: &str = "@abcdefghijklmnopqrstuvwxyz[\\]^_";
const DELETE: u8 = 127;

/// Keys that part a client from a terminal when it types them one after the other. The process
/// does not see them, and runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(USUAL.to_vec())
    }
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q` or `a,ctrl-@,DEL`; nothing stands for the usual ones. `None` for
    /// what are no keys.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        text.split(',').map(key).collect::<Option<_>>().map(Self)
    }
}

fn key(name: &str) -> Option<u8> {
    if let [byte] = name.as_bytes() {
        return Some(*byte);
    }
    if name == "DEL" {
        return Some(DELETE);
    }
    let typed = name.strip_prefix("ctrl-")?;
    let code = (typed.len() == 1).then(|| CONTROLS.find(typed))??;
    u8::try_from(code).ok()
}

/// How a client may leave, and what to do then.
pub(crate) struct Leave {
    keys: Vec<u8>,
    /// What was typed and may become the keys.
    held: Vec<u8>,
    /// Called when it leaves.
    told: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Leave {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Leave");
        shown.field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Leave {
    pub(crate) fn new(keys: DetachKeys, told: impl FnOnce() + Send + 'static) -> Self {
        Self {
            keys: keys.0,
            held: Vec::new(),
            told: Box::new(told),
        }
    }

    /// Takes what was typed. Returns what the process is to see, and whether the keys are complete.
    pub(crate) fn typed(&mut self, input: &[u8]) -> (Bytes, bool) {
        let mut seen = Vec::with_capacity(input.len() + self.held.len());
        for byte in input {
            self.held.push(*byte);
            while !self.keys.starts_with(&self.held) {
                seen.push(self.held.remove(0));
            }
            if self.held.len() == self.keys.len() {
                return (seen.into(), true);
            }
        }
        (seen.into(), false)
    }

    /// What was held back when nothing more is typed.
    pub(crate) fn rest(self) -> Bytes {
        self.held.into()
    }

    /// Tells that the client has left.
    pub(crate) fn tell(self) {
        (self.told)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Option<Vec<u8>> {
        DetachKeys::parse(text).map(|keys| keys.0)
    }

    #[test]
    fn keys_are_letters_and_controls() {
        assert_eq!(codes(""), Some(vec![16, 17]));
        assert_eq!(codes("ctrl-p,ctrl-q"), Some(vec![16, 17]));
        assert_eq!(
            codes("a,ctrl-@,ctrl-_,ctrl-\\,DEL"),
            Some(vec![b'a', 0, 31, 28, 127])
        );
        for wrong in ["ctrl-A", "ctrl-", "ctrl-pq", "ab", "a,,b", ",", "ctrl-p, q"] {
            assert_eq!(codes(wrong), None, "{wrong}");
        }
    }

    fn leave(keys: &str) -> Leave {
        Leave::new(DetachKeys::parse(keys).unwrap(), || {})
    }

    #[test]
    fn the_process_sees_all_but_the_keys() {
        let mut leave = leave("ctrl-p,ctrl-q");
        assert_eq!(leave.typed(b"ls\x10"), (Bytes::from_static(b"ls"), false));
        assert_eq!(leave.typed(b"x"), (Bytes::from_static(b"\x10x"), false));
        assert_eq!(
            leave.typed(b"y\x10\x11z"),
            (Bytes::from_static(b"y"), true),
            "what is typed after them has no reader"
        );
    }

    #[test]
    fn keys_that_begin_alike_are_found() {
        let mut leave = leave("a,a,b");
        assert_eq!(leave.typed(b"aaab"), (Bytes::from_static(b"a"), true));
    }

    #[test]
    fn what_is_held_back_is_not_lost() {
        let mut leave = leave("a,b");
        assert_eq!(leave.typed(b"xa"), (Bytes::from_static(b"x"), false));
        assert_eq!(leave.rest(), "a");
    }
}
