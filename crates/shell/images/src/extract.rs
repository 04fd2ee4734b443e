//! Unpacking a layer, which is untrusted.
//!
//! Every path is resolved by the kernel inside the folder (`openat2` with `RESOLVE_IN_ROOT`), so
//! neither `..` nor a link, old or just unpacked, leads out of it. The last part of a path is
//! never followed. Devices are made as asked: we run as root, and so does the container.

use crate::metadata::Metadata;
use crate::{ImageError, Result};
use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Mode, OFlags, ResolveFlags, Timestamps, linkat, makedev, mkdirat,
    mknodat, open, openat, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names of this beginning are the business of a file system that made such layers once.
const OTHER_MARK: &[u8] = b".wh..wh.";

/// What a layer says about the layers below it, and how big it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Bytes of its files.
    pub(crate) size: u64,
    /// Paths that it removes.
    pub(crate) removed: BTreeSet<PathBuf>,
    /// Folders whose content below does not show.
    pub(crate) opaque: BTreeSet<PathBuf>,
}

/// Unpacks a plain tar into an empty folder.
pub(crate) fn unpack(tar: impl Read, folder: &Path) -> Result<Unpacked> {
    let mut unpacker = Unpacker::new(folder)?;
    let mut archive = Archive::new(tar);
    let entries = archive
        .entries()
        .map_err(|source| ImageError::Stream("read", source))?;
    for entry in entries {
        let mut entry = entry.map_err(|source| ImageError::Stream("read", source))?;
        unpacker.entry(&mut entry)?;
    }
    unpacker.finish()
}

pub(crate) struct Unpacker {
    root: OwnedFd,
    unpacked: Unpacked,
    /// Set at the end: unpacking into a folder changes them.
    folder_times: Vec<(PathBuf, Timestamps)>,
    /// The folder that was used last, because the next entry is often in it, too.
    parent: Option<(PathBuf, OwnedFd)>,
}

impl Unpacker {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(folder, flags, Mode::empty())
            .map_err(|errno| crate::files::failed("open", folder)(errno.into()))?;
        Ok(Self {
            root,
            unpacked: Unpacked::default(),
            folder_times: Vec::new(),
            parent: None,
        })
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = clean(&entry.path_bytes())?;
        let failed = |source| ImageError::Unpack {
            path: path.clone(),
            source,
        };
        let Some(name) = path.file_name() else {
            return self.root_itself(entry).map_err(failed);
        };
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.mark(&path, name.as_bytes());
        }
        let parent = self.parent_of(&path).map_err(failed)?;
        self.make(entry, kind, &path, &parent, name)
            .map_err(failed)?;
        self.parent = Some((path.parent().unwrap_or(Path::new("")).into(), parent));
        Ok(())
    }

    /// Makes what an entry describes, and gives it its owner, mode, attributes and times.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the kinds of entries are not ours"
    )]
    fn make<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        kind: EntryType,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
        let is_folder = kind == EntryType::Directory;
        if !self.make_room(path, parent, name, is_folder)? {
            mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
        }
        match kind {
            EntryType::Directory => {}
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = openat(parent, name, flags, Mode::from_raw_mode(0o600))?;
                self.unpacked.size += io::copy(entry, &mut File::from(file))?;
            }
            EntryType::Symlink => symlinkat(link_target(entry)?, parent, name)?,
            EntryType::Link => return self.hard_link(entry, parent, name),
            EntryType::Char => node(entry, FileType::CharacterDevice, parent, name)?,
            EntryType::Block => node(entry, FileType::BlockDevice, parent, name)?,
            EntryType::Fifo => node(entry, FileType::Fifo, parent, name)?,
            other => {
                let reason = format!(
                    "entries of type {:?} are not known",
                    other.as_byte() as char
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
        let about = Metadata::of(entry)?;
        about.apply(parent, name, kind == EntryType::Symlink)?;
        if is_folder {
            self.folder_times.push((path.into(), about.times));
        } else {
            utimensat(parent, name, &about.times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Removes what is in the way. True if nothing is left to be made before the entry: always,
    /// but for a folder that does not exist yet.
    fn make_room(
        &mut self,
        path: &Path,
        parent: &OwnedFd,
        name: &OsStr,
        is_folder: bool,
    ) -> io::Result<bool> {
        let found = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(!is_folder),
            found => FileType::from_raw_mode(found?.st_mode),
        };
        match (found == FileType::Directory, is_folder) {
            (true, true) => return Ok(true),
            (true, false) => remove_tree(parent, name)?,
            (false, _) => unlinkat(parent, name, AtFlags::empty())?,
        }
        self.parent = None;
        self.folder_times
            .retain(|(folder, _)| !folder.starts_with(path));
        Ok(!is_folder)
    }

    fn hard_link<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
        let target = clean(link_target(entry)?.as_os_str().as_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let target_name = target.file_name().ok_or(Errno::INVAL)?;
        let folder = inside(&self.root, target.parent().unwrap_or(Path::new("")))?;
        linkat(&folder, target_name, parent, name, AtFlags::empty())?;
        Ok(())
    }

    /// Notes a whiteout, and removes what this layer itself has there.
    fn mark(&mut self, path: &Path, name: &[u8]) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        if name == OPAQUE {
            self.unpacked.opaque.insert(folder.into());
            return Ok(());
        }
        if name.starts_with(OTHER_MARK) {
            return Ok(());
        }
        let hidden = &name[WHITEOUT.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            let text = format!("invalid whiteout \"{}\"", path.display());
            return Err(ImageError::InvalidArchive(text));
        }
        self.unpacked
            .removed
            .insert(folder.join(OsStr::from_bytes(hidden)));
        Ok(())
    }

    fn root_itself<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        if entry.header().entry_type() != EntryType::Directory {
            return Err(Errno::EXIST.into());
        }
        let about = Metadata::of(entry)?;
        about.apply(&self.root, OsStr::new("."), false)?;
        self.folder_times.push((PathBuf::new(), about.times));
        Ok(())
    }

    /// Opens the folder an entry is in, and makes it if no entry did.
    pub(crate) fn parent_of(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let wanted = path.parent().unwrap_or(Path::new(""));
        if let Some((known, folder)) = self.parent.take()
            && known == wanted
        {
            return Ok(folder);
        }
        match inside(&self.root, wanted) {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        }
        let mut made = PathBuf::new();
        let mut folder = inside(&self.root, &made)?;
        for part in wanted.components() {
            made.push(part);
            folder = match inside(&self.root, &made) {
                Err(Errno::NOENT) => {
                    mkdirat(&folder, part.as_os_str(), Mode::from_raw_mode(0o755))?;
                    inside(&self.root, &made)?
                }
                opened => opened?,
            };
        }
        Ok(folder)
    }

    fn finish(self) -> Result<Unpacked> {
        for (path, times) in self.folder_times.iter().rev() {
            let set = inside(&self.root, path)
                .and_then(|folder| utimensat(CWD, itself(&folder), times, AtFlags::empty()));
            set.map_err(|errno| ImageError::Unpack {
                path: path.clone(),
                source: errno.into(),
            })?;
        }
        Ok(self.unpacked)
    }
}

/// Opens a folder below `root`, wherever links lead: not out of it.
fn inside(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(
        root,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

/// A path to an open folder.
pub(crate) fn itself(folder: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/", folder.as_raw_fd()))
}

/// The path of an entry, relative and without `.` and `..`.
fn clean(bytes: &[u8]) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        let inside = match component {
            Component::Normal(part) => {
                clean.push(part);
                true
            }
            Component::ParentDir => clean.pop(),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => true,
        };
        if !inside || bytes.contains(&0) {
            let text = format!(
                "invalid path \"{}\" in a layer",
                String::from_utf8_lossy(bytes)
            );
            return Err(ImageError::InvalidArchive(text));
        }
    }
    Ok(clean)
}

fn link_target<R: Read>(entry: &Entry<'_, R>) -> io::Result<PathBuf> {
    let bytes = entry.link_name_bytes().ok_or(Errno::INVAL)?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(
        bytes.into_owned(),
    )))
}

fn node<R: Read>(
    entry: &Entry<'_, R>,
    kind: FileType,
    parent: &OwnedFd,
    name: &OsStr,
) -> io::Result<()> {
    let device = if kind == FileType::Fifo {
        0
    } else {
        device_number(entry)?
    };
    if kind == FileType::CharacterDevice && device == 0 {
        // To overlayfs this is a whiteout; layers say so by name.
        return Err(Errno::INVAL.into());
    }
    Ok(mknodat(
        parent,
        name,
        kind,
        Mode::from_raw_mode(0o600),
        device,
    )?)
}

fn device_number<R: Read>(entry: &Entry<'_, R>) -> io::Result<Dev> {
    let header = entry.header();
    let (major, minor) = (header.device_major()?, header.device_minor()?);
    Ok(makedev(major.unwrap_or(0), minor.unwrap_or(0)))
}

/// Removes a folder of our own making with everything in it.
fn remove_tree(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    std::fs::remove_dir_all(itself(parent).join(name))
}
