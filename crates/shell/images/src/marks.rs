//! What a layer removes, written among its files as overlayfs reads it.

use crate::extract::{Unpacker, itself};
use crate::{ImageError, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags, lsetxattr, mknodat, openat, statat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Marks removed paths and opaque folders.
pub(crate) fn write(
    folder: &Path,
    removed: &BTreeSet<PathBuf>,
    opaque: &BTreeSet<PathBuf>,
) -> Result<()> {
    let mut unpacker = Unpacker::new(folder)?;
    let failed = |path: &Path, source| ImageError::Unpack {
        path: path.into(),
        source,
    };
    for path in removed {
        let name = path.file_name().unwrap_or_default();
        let parent = unpacker.parent_of(path);
        let marked = parent.and_then(|parent| whiteout(&parent, name));
        marked.map_err(|source| failed(path, source))?;
    }
    for path in opaque {
        let folder = unpacker.parent_of(&path.join("x"));
        let marked = folder.and_then(|folder| make_opaque(&itself(&folder)));
        marked.map_err(|source| failed(path, source))?;
    }
    Ok(())
}

/// What this layer has under the name itself stays: it is in the place of what is removed.
fn whiteout(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        make_opaque(&itself(&openat(parent, name, flags, Mode::empty())?))?;
    }
    Ok(())
}

fn make_opaque(folder: &Path) -> io::Result<()> {
    Ok(lsetxattr(
        folder,
        "trusted.overlay.opaque",
        b"y",
        XattrFlags::empty(),
    )?)
}
