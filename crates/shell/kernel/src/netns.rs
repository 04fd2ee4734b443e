//! Network namespaces: opening and entering them. Making one is in [`crate::write`].
//!
//! A thread that enters a namespace is never brought back: work inside one happens on a thread of
//! its own, which ends there.

use rustix::fs::{CWD, Mode, OFlags, fstat, fstatfs, openat};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread;

/// The file system of namespace handles (linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, kept alive while the handle is.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// The namespace of the calling thread.
    pub fn current() -> io::Result<Self> {
        Self::open(Path::new(OWN))
    }

    /// The namespace that `path` leads to: a bind mount, or a file of a process under /proc.
    /// A file that is no namespace, as a reboot leaves it behind, counts as not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        if fstatfs(&file)?.f_type as u64 != NSFS_MAGIC {
            let why = format!("{} is a file, not a namespace", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Self(file))
    }

    /// Moves the calling thread into the namespace, for the rest of its life.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(
            self.0.as_fd(),
            Some(LinkNameSpaceType::Network),
        )?)
    }

    /// Whether both are the same namespace.
    pub fn same(&self, other: &Self) -> io::Result<bool> {
        Ok(self.identity()? == other.identity()?)
    }

    /// What tells the namespace from all others that there are: device and inode.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let stat = fstat(&self.0)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Does `work` in the namespace: here if the calling thread is in it, else on a thread that
    /// enters it.
    pub fn visit<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        if self.same(&Self::current()?)? {
            return work();
        }
        on_thread(|| {
            self.enter()?;
            work()
        })
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Does `work` on a thread of its own, in a network and mount namespace of its own that end with
/// it. For tests: what `work` and the programs it starts do to networks, sysctls and mounts stays
/// inside. Panics are passed on.
pub fn isolated<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    on_thread(|| {
        leave(UnshareFlags::NEWNET | UnshareFlags::NEWNS)?;
        mount_change(
            "/",
            MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
        )?;
        Ok(work())
    })
}

/// Does `work` on a thread of its own, and passes its panic on.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new().name("sealane-netns".into());
        let visit = visitor.spawn_scoped(scope, work)?;
        visit
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Gives the calling thread namespaces of its own.
#[expect(unsafe_code, reason = "unshare is unsafe for the sake of CLONE_FILES")]
pub(crate) fn leave(flags: UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: only CLONE_FILES endangers others, by parting the table that file descriptors are
    // numbers in; no caller passes it.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}
