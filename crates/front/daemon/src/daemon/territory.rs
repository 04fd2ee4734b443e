//! What a daemon has for itself: its owner's name in its network namespace, where two of one name
//! would take each other's objects for leftovers, and its exec root. (The data root is locked by the
//! store.)

use super::error::{DaemonError, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sealane_core::model::Owner;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

/// Abstract socket names belong to the network namespace, and go with the process.
const NAME: &str = "sealane/territory";

/// Holding one means that no other daemon works under this owner in this network namespace, or on
/// this exec root.
pub(crate) struct Territory {
    _namespace: UnixListener,
    _exec_root: File,
}

impl Territory {
    /// Takes both, or says who has them. The exec root exists.
    pub(crate) fn take(exec_root: &Path, owner: &Owner) -> Result<Self> {
        // The folder first: its refusal says more.
        let _exec_root = lock(exec_root)?;
        Ok(Self {
            _namespace: take_namespace(&name(owner), owner)?,
            _exec_root,
        })
    }
}

/// Daemons of before there were owners hold the usual owner's.
fn name(owner: &Owner) -> String {
    if owner.is_usual() {
        NAME.into()
    } else {
        format!("{NAME}/{owner}")
    }
}

fn take_namespace(name: &str, owner: &Owner) -> Result<UnixListener> {
    let bound =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address));
    match bound {
        Ok(socket) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(DaemonError::TerritoryTaken(owner.clone()))
        }
        Err(source) => Err(DaemonError::Listen {
            address: name.into(),
            source,
        }),
    }
}

fn lock(exec_root: &Path) -> Result<File> {
    let path = exec_root.join("daemon.lock");
    let failed = |source| DaemonError::Folder {
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
        Err(Errno::WOULDBLOCK) => Err(DaemonError::ExecRootTaken {
            path: exec_root.into(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_one_daemon() {
        let owner = Owner::default();
        let name = format!("sealane/test-{}", std::process::id());
        let first = take_namespace(&name, &owner).unwrap();
        assert!(matches!(
            take_namespace(&name, &owner),
            Err(DaemonError::TerritoryTaken(_))
        ));
        drop(first);
        take_namespace(&name, &owner).expect("the first has gone");
    }

    #[test]
    fn an_exec_root_has_one_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(matches!(
            lock(folder.path()),
            Err(DaemonError::ExecRootTaken { .. })
        ));
        drop(first);
        lock(folder.path()).expect("the first has gone");
    }
}
