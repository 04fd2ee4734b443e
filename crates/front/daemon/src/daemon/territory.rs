//! One daemon per network namespace: two would take each other's objects for leftovers.

use super::error::{DaemonError, Result};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Abstract socket names belong to the network namespace, and go with the process.
const NAME: &str = "sealane/territory";

/// Holding one means that no other daemon works in this network namespace.
pub(crate) struct Territory(#[expect(dead_code, reason = "held, not used")] UnixListener);

impl Territory {
    /// Takes the namespace, or says that somebody has it.
    pub(crate) fn take() -> Result<Self> {
        Self::named(NAME)
    }

    fn named(name: &str) -> Result<Self> {
        let bound = SocketAddr::from_abstract_name(name)
            .and_then(|address| UnixListener::bind_addr(&address));
        match bound {
            Ok(socket) => Ok(Self(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(DaemonError::TerritoryTaken)
            }
            Err(source) => Err(DaemonError::Listen {
                address: name.into(),
                source,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_one_daemon() {
        let name = format!("sealane/test-{}", std::process::id());
        let first = Territory::named(&name).unwrap();
        assert!(matches!(
            Territory::named(&name),
            Err(DaemonError::TerritoryTaken)
        ));
        drop(first);
        Territory::named(&name).expect("the first has gone");
    }
}
