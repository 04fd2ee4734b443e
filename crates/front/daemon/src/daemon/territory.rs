//! What a daemon has for itself: its network namespace, where two would take each other's objects
//! for leftovers, and its exec root. (The data root is locked by the store.)

use super::error::{DaemonError, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

/// Abstract socket names belong to the network namespace, and go with the process.
const NAME: &str = "sealane/territory";

/// Holding one means that no other daemon works in this network namespace or on this exec root.
pub(crate) struct Territory {
    _namespace: UnixListener,
    _exec_root: File,
}

impl Territory {
    /// Takes both, or says who has them. The exec root exists.
    pub(crate) fn take(exec_root: &Path) -> Result<Self> {
        // The folder first: its refusal says more.
        let _exec_root = lock(exec_root)?;
        Ok(Self {
            _namespace: take_namespace(NAME)?,
            _exec_root,
        })
    }
}

fn take_namespace(name: &str) -> Result<UnixListener> {
    let bound =
        SocketAddr::from_abstract_name(name).and_then(|address| UnixListener::bind_addr(&address));
    match bound {
        Ok(socket) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(DaemonError::TerritoryTaken),
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
        let name = format!("sealane/test-{}", std::process::id());
        let first = take_namespace(&name).unwrap();
        assert!(matches!(
            take_namespace(&name),
            Err(DaemonError::TerritoryTaken)
        ));
        drop(first);
        take_namespace(&name).expect("the first has gone");
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
