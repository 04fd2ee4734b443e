//! What a session has for itself: its owner's name in its network namespace, where two of one name
//! would take each other's objects for leftovers, and its exec root. (The data root is locked by the
//! store.)

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sealane_core::model::Owner;
use sealane_store::private::{PRIVATE, make_folder};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Abstract socket names belong to the network namespace, and go with the process.
const NAME: &str = "sealane/territory";
/// What the exec root has if it was ours before.
const LOCK: &str = "daemon.lock";
/// How long a daemon waits for what is held by one who leaves.
pub const TURN: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// Why a session has not what it needs for itself.
#[derive(Debug, Error)]
pub enum TerritoryError {
    /// A folder or a file in it cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon has the exec root.
    #[error("another daemon uses {}; stop it, or choose another --exec-root", path.display())]
    ExecRootTaken {
        /// The folder.
        path: PathBuf,
    },
    /// Another daemon works in this network namespace under the same owner.
    #[error(
        "another sealane daemon works in this network namespace as \"{0}\"; give this one an --owner, a \
         --data-root, an --exec-root, a --pidfile and a -H of its own, or a namespace of its own"
    )]
    OwnerTaken(Owner),
    /// The name of the owner cannot be taken.
    #[error("cannot listen on {name}")]
    Listen {
        /// The name.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

impl TerritoryError {
    /// Whether another has it.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::ExecRootTaken { .. } | Self::OwnerTaken(_) => true,
            Self::Folder { .. } | Self::Listen { .. } => false,
        }
    }
}

/// Holding one means that no other session works under this owner in this network namespace, or on
/// this exec root.
pub struct Territory {
    _namespace: UnixListener,
    _exec_root: File,
}

impl Territory {
    /// Takes both, or says who has them. The exec root exists. What others hold is waited for, so
    /// long.
    pub fn take(
        exec_root: &Path,
        owner: &Owner,
        patience: Duration,
    ) -> Result<Self, TerritoryError> {
        let end = Instant::now() + patience;
        loop {
            match Self::try_take(exec_root, owner) {
                Err(error) if error.is_taken() && Instant::now() < end => thread::sleep(PAUSE),
                done => return done,
            }
        }
    }

    fn try_take(exec_root: &Path, owner: &Owner) -> Result<Self, TerritoryError> {
        // The folder first: its refusal says more.
        let _exec_root = lock(exec_root)?;
        Ok(Self {
            _namespace: take_namespace(&name(owner), owner)?,
            _exec_root,
        })
    }
}

/// Makes the exec root. Another folder of the system, /run itself, is not ours to close; what we
/// make in it is.
pub fn make_exec_root(path: &Path) -> Result<(), TerritoryError> {
    let used = fs::read_dir(path).is_ok_and(|mut all| all.next().is_some());
    if used && !path.join(LOCK).exists() {
        return Ok(());
    }
    make_folder(path, PRIVATE).map_err(|source| TerritoryError::Folder {
        path: path.into(),
        source,
    })
}

/// Daemons of before there were owners hold the usual owner's.
fn name(owner: &Owner) -> String {
    if owner.is_usual() {
        NAME.into()
    } else {
        format!("{NAME}/{owner}")
    }
}

fn take_namespace(name: &str, owner: &Owner) -> Result<UnixListener, TerritoryError> {
    let bound =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address));
    match bound {
        Ok(socket) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(TerritoryError::OwnerTaken(owner.clone()))
        }
        Err(source) => Err(TerritoryError::Listen {
            name: name.into(),
            source,
        }),
    }
}

fn lock(exec_root: &Path) -> Result<File, TerritoryError> {
    let path = exec_root.join(LOCK);
    let failed = |source| TerritoryError::Folder {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(TerritoryError::ExecRootTaken {
            path: exec_root.into(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_one_session_of_an_owner() {
        let owner = Owner::default();
        let name = format!("sealane/test-{}", std::process::id());
        let first = take_namespace(&name, &owner).unwrap();
        assert!(matches!(
            take_namespace(&name, &owner),
            Err(TerritoryError::OwnerTaken(_))
        ));
        drop(first);
        take_namespace(&name, &owner).expect("the first has gone");
    }

    #[test]
    fn an_exec_root_has_one_session() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(
            lock(folder.path()),
            Err(TerritoryError::ExecRootTaken { .. })
        ));
        drop(first);
        lock(folder.path()).expect("the first has gone");
    }
}
