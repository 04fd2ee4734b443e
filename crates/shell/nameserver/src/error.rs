//! What can go wrong before a name is asked for.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the name server, or a sandbox's part of it, cannot work.
#[derive(Debug, Error)]
pub enum NameserverError {
    /// The thread or its epoll instance cannot be made.
    #[error("the name server cannot start; are there too many threads or open files?")]
    Start(#[source] io::Error),
    /// A resolver's socket cannot be opened.
    #[error("no {transport} socket on 127.0.0.11 port {port} (0: any); is `lo` up in the sandbox?")]
    Bind {
        /// UDP or TCP.
        transport: &'static str,
        /// The port asked for, 0 for any.
        port: u16,
        /// What the kernel said.
        source: io::Error,
    },
    /// A resolver's socket cannot be watched.
    #[error("the resolver's sockets cannot be used; are there too many open files?")]
    Register(#[source] io::Error),
    /// The host's resolv.conf cannot be followed.
    #[error("changes of {} cannot be followed; sandboxes keep the servers it names now", path.display())]
    Watch {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}
