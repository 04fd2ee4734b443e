//! Copying layers one over the other, where overlayfs cannot stack them.

use crate::Result;
use crate::extract::itself;
use crate::files::failed;
use crate::layers::About;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
    XattrFlags, chmodat, chownat, lgetxattr, llistxattr, lsetxattr, lstat, mknodat, open, openat2,
    utimensat,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Applies a layer to a folder: first what it removes, then what it adds.
pub(crate) fn apply(layer: &Path, about: &About, target: &Path) -> Result<()> {
    for path in &about.removed {
        let name = path.file_name().unwrap_or_default();
        let removed = within(target, path.parent().unwrap_or(Path::new("")), |folder| {
            remove(&folder.join(name))
        });
        removed.map_err(failed("remove", &target.join(path)))?;
    }
    for path in &about.opaque {
        within(target, path, empty).map_err(failed("empty", &target.join(path)))?;
    }
    let mut copier = Copier {
        linked: HashMap::new(),
    };
    copier
        .folder(layer, target)
        .map_err(failed("copy a layer to", target))
}

/// Does something in a folder below `root`, unless a link is on the way there: what is behind a
/// link is not what the layer means, and may be anywhere on the host.
fn within(
    root: &Path,
    path: &Path,
    action: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty())?;
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(folder) => action(&itself(&folder)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives a folder the owner, mode, attributes and times of another.
pub(crate) fn dress_like(source: &Path, target: &Path) -> Result<()> {
    let dressed = lstat(source)
        .map_err(Into::into)
        .and_then(|about| dress(source, target, &about));
    dressed.map_err(failed("copy the mode to", target))
}

struct Copier {
    /// Where files with several names were copied to, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Copier {
    /// Copies a folder. Neither side is followed through a link: each part of a path is looked
    /// at, and made, before the next.
    fn folder(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        for entry in fs::read_dir(source)? {
            let name = entry?.file_name();
            self.copy(&source.join(&name), &target.join(&name))?;
        }
        dress(source, target, &lstat(source)?)
    }

    fn copy(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        let about = lstat(source)?;
        let kind = FileType::from_raw_mode(about.st_mode);
        if kind == FileType::CharacterDevice && about.st_rdev == 0 {
            // A whiteout of overlayfs, from when it worked here; removed is what it removes.
            return Ok(());
        }
        if kind == FileType::Directory {
            if !fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
                remove(target)?;
                fs::create_dir(target)?;
            }
            return self.folder(source, target);
        }
        remove(target)?;
        let several = about.st_nlink > 1;
        if let Some(first) = self
            .linked
            .get(&(about.st_dev, about.st_ino))
            .filter(|_| several)
        {
            return fs::hard_link(first, target);
        }
        match kind {
            FileType::RegularFile => drop(fs::copy(source, target)?),
            FileType::Symlink => symlink(fs::read_link(source)?, target)?,
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice => {
                mknodat(CWD, target, kind, Mode::from_raw_mode(0o600), about.st_rdev)?;
            }
            FileType::Directory | FileType::Unknown => return Err(Errno::INVAL.into()),
        }
        if several {
            self.linked
                .insert((about.st_dev, about.st_ino), target.into());
        }
        dress(source, target, &about)
    }
}

/// Gives a copy its owner, mode, attributes and times.
fn dress(source: &Path, target: &Path, about: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid));
    chownat(CWD, target, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::Symlink {
        chmodat(
            CWD,
            target,
            Mode::from_raw_mode(about.st_mode),
            AtFlags::empty(),
        )?;
    }
    attributes(source, target)?;
    let time = Timespec {
        tv_sec: about.st_mtime,
        tv_nsec: about.st_mtime_nsec as _,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn attributes(source: &Path, target: &Path) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match llistxattr(source, names.as_mut_slice()) {
        Err(Errno::NOTSUP) => return Ok(()),
        listed => listed?,
    };
    let mut value = vec![0; 64 * 1024];
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if name.to_bytes().starts_with(b"trusted.overlay.") {
            continue;
        }
        let length = lgetxattr(source, name, value.as_mut_slice())?;
        match lsetxattr(target, name, &value[..length], XattrFlags::empty()) {
            Err(Errno::NOTSUP) => {}
            set => set?,
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        remove(&entry?.path())?;
    }
    Ok(())
}
