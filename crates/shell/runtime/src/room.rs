//! Room that is kept in the exec root for the ends of containers: conmon writes down how they ended, and
//! on a full disk that they did would be lost.

use crate::files;
use rustix::fs::statvfs;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that takes the room up until it is needed.
const FILE: &str = "spare";
/// A page for each of several containers that end at once.
const BYTES: usize = 64 << 10;

/// The room.
#[derive(Debug)]
pub(crate) struct Room {
    exec_root: PathBuf,
}

impl Room {
    /// The room of an exec root, taken if it was not.
    pub(crate) fn of(exec_root: &Path) -> Self {
        let room = Self {
            exec_root: exec_root.into(),
        };
        room.take();
        room
    }

    /// Takes the room, as long as there is any.
    pub(crate) fn take(&self) {
        let path = self.exec_root.join(FILE);
        if path.exists() {
            return;
        }
        if let Err(error) = files::write(&path, &[0; BYTES]) {
            tracing::debug!(%error, "no room is kept for the ends of containers");
        }
    }

    /// Gives the room up if the disk is full, before a container is ended.
    pub(crate) fn give_up(&self) {
        if !statvfs(&self.exec_root).is_ok_and(|disk| disk.f_bavail == 0) {
            return;
        }
        if let Err(error) = fs::remove_file(self.exec_root.join(FILE)) {
            tracing::warn!(%error, "the disk of the exec root is full, and no room is kept");
        }
    }
}
