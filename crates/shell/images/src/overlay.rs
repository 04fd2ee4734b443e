//! Stacking layers with the kernel's overlay file system.

use crate::files::{Draft, Workshop, failed};
use crate::{Backend, Result, fault, files};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, StatxAttributes, StatxFlags, mknodat, open, statx,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The kernel takes one page of options.
const MAX_OPTIONS: usize = 4000;

/// The folders of one stack.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The lowest last, as the kernel wants them.
    pub(crate) lower: Vec<PathBuf>,
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) merged: PathBuf,
}

impl Stack {
    /// Mounts the stack.
    pub(crate) fn mount(&self) -> Result<()> {
        fault::point("mount a root file system");
        let (mut options, mut _open) = (self.options(&self.lower), Vec::new());
        let colon = |path: &PathBuf| {
            path.as_os_str()
                .as_bytes()
                .iter()
                .any(|b| b":,\\".contains(b))
        };
        let special = self
            .lower
            .iter()
            .chain([&self.upper, &self.work])
            .any(colon);
        if options.as_bytes().len() > MAX_OPTIONS || special {
            (options, _open) = self.short_options()?;
        }
        let mounted = mount(
            "overlay",
            &self.merged,
            "overlay",
            MountFlags::empty(),
            Some(&*options),
        );
        mounted.map_err(|errno| failed("mount", &self.merged)(errno.into()))
    }

    fn options(&self, lower: &[PathBuf]) -> std::ffi::CString {
        let mut options = OsString::from("lowerdir=");
        for (place, folder) in lower.iter().enumerate() {
            options.push(if place == 0 { "" } else { ":" });
            options.push(folder);
        }
        options.push(",upperdir=");
        options.push(&self.upper);
        options.push(",workdir=");
        options.push(&self.work);
        options.push(",index=off");
        // A path holds no zero byte.
        std::ffi::CString::new(options.as_bytes()).unwrap_or_default()
    }

    /// The same by way of open descriptors: short, and free of characters with a meaning.
    fn short_options(&self) -> Result<(std::ffi::CString, Vec<OwnedFd>)> {
        let mut opened = Vec::new();
        let mut short = |path: &PathBuf| -> Result<PathBuf> {
            let folder = open(
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .map_err(|errno| failed("open", path)(errno.into()))?;
            let name = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
            opened.push(folder);
            Ok(name)
        };
        let lower = self
            .lower
            .iter()
            .map(&mut short)
            .collect::<Result<Vec<_>>>()?;
        let stack = Stack {
            upper: short(&self.upper)?,
            work: short(&self.work)?,
            lower: Vec::new(),
            merged: PathBuf::new(),
        };
        Ok((stack.options(&lower), opened))
    }
}

/// Whether something is mounted right here.
pub(crate) fn is_mounted(path: &Path) -> Result<bool> {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW;
    match statx(CWD, path, flags, StatxFlags::empty()) {
        Ok(about) => Ok(about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(failed("look at", path)(errno.into())),
    }
}

/// Unmounts whatever is mounted here, also if it is used.
pub(crate) fn unmount_all(path: &Path) -> Result<()> {
    while is_mounted(path)? {
        fault::point("unmount a root file system");
        let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        unmount(path, flags).map_err(|errno| failed("unmount", path)(errno.into()))?;
    }
    Ok(())
}

/// Finds out by trying whether overlayfs works on the workshop's file system.
pub(crate) fn probe(workshop: &Workshop) -> Result<Backend> {
    let folder = workshop.draft_folder()?;
    match trial(&folder) {
        Ok(()) => Ok(Backend::Overlay),
        Err(error) => {
            let reason = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                reason = reason.unwrap_or_default(),
                "overlayfs does not work on the data root; root file systems are copied"
            );
            Ok(Backend::Copy)
        }
    }
}

/// Mounts two layers, and looks whether a whiteout hides, and whether a file can be removed.
fn trial(folder: &Draft) -> Result<()> {
    let at = |name: &str| folder.path().join(name);
    for name in ["low", "high", "upper", "work", "merged"] {
        files::make_folder(&at(name))?;
    }
    let write = |path: PathBuf| std::fs::write(&path, "x").map_err(failed("write", &path));
    write(at("low/hidden"))?;
    write(at("low/removed"))?;
    mknodat(
        CWD,
        at("high/hidden"),
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )
    .map_err(|errno| failed("make a whiteout at", &at("high/hidden"))(errno.into()))?;
    rustix::fs::lsetxattr(
        at("high"),
        "trusted.overlay.opaque",
        b"n",
        rustix::fs::XattrFlags::empty(),
    )
    .map_err(|errno| failed("mark", &at("high"))(errno.into()))?;
    let stack = Stack {
        lower: vec![at("high"), at("low")],
        upper: at("upper"),
        work: at("work"),
        merged: at("merged"),
    };
    stack.mount()?;
    let removed = at("merged/removed");
    let hides = !at("merged/hidden").exists();
    let tried = std::fs::remove_file(&removed).map_err(failed("remove", &removed));
    unmount_all(&at("merged"))?;
    tried?;
    if hides {
        return Ok(());
    }
    Err(failed("hide a file in", &at("merged"))(
        Errno::OPNOTSUPP.into(),
    ))
}
