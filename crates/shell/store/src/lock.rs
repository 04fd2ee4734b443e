//! One daemon per data root.

use crate::private::private;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// Holding one means that no other daemon uses the data root. The kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub(crate) struct RootLock(#[expect(dead_code, reason = "held, not used")] File);

/// Why a data root could not be locked.
pub(crate) enum LockError {
    /// Another process holds it; its id, as far as it could be read.
    Held(Option<u32>),
    Io(io::Error),
}

impl RootLock {
    /// Takes the lock, or says at once who has it.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = open(path).map_err(LockError::Io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(LockError::Held(holder(&mut file))),
            Err(error) => return Err(LockError::Io(error.into())),
        }
        write_holder(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    private(options).open(path)
}

/// The process id in the file is for the reader of an error message, so one that cannot be read
/// is only left out.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// On a full disk the id is left out: the lock itself needs no room.
fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    match writeln!(file, "{}", std::process::id()) {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
