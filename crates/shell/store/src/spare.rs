//! Room on the disk that is kept for removals: to write down that something is gone takes room, too,
//! and with none left nothing could be removed that takes it up.

use crate::private;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that takes the room up until it is needed.
const FILE: &str = "sealane.spare";
/// More than the pages that a removal writes.
const BYTES: usize = 1 << 20;

/// The room.
#[derive(Debug)]
pub(crate) struct Spare {
    path: PathBuf,
    there: bool,
}

impl Spare {
    /// Takes the room, if there is any, or has it from before.
    pub(crate) fn of(root: &Path) -> Self {
        let path = root.join(FILE);
        let whole = fs::metadata(&path).is_ok_and(|found| found.len() == BYTES as u64);
        let mut spare = Self { path, there: whole };
        spare.take_again();
        spare
    }

    /// Gives the room up. Says whether there was any.
    pub(crate) fn give_up(&mut self) -> bool {
        let given = self.there && fs::remove_file(&self.path).is_ok();
        self.there = false;
        given
    }

    /// Takes the room again where it was given up.
    pub(crate) fn take_again(&mut self) {
        if self.there {
            return;
        }
        match self.take() {
            Ok(()) => self.there = true,
            Err(error) => {
                tracing::debug!(%error, "no room is kept for removals");
                // Half of it would only be in the way.
                if let Err(error) = fs::remove_file(&self.path) {
                    tracing::debug!(%error, "nothing to take back");
                }
            }
        }
    }

    /// Zeros that are written are on the disk; a length alone would not be.
    fn take(&self) -> io::Result<()> {
        private::write(&self.path, vec![0; BYTES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_up_once_and_taken_again() {
        let root = tempfile::tempdir().unwrap();
        let size = || fs::metadata(root.path().join(FILE)).map(|found| found.len());
        let mut spare = Spare::of(root.path());
        assert_eq!(size().unwrap(), BYTES as u64);
        assert!(spare.give_up() && !spare.give_up());
        assert!(size().is_err());
        spare.take_again();
        assert_eq!(size().unwrap(), BYTES as u64);
        assert!(Spare::of(root.path()).there);
    }
}
