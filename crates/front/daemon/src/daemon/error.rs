//! Why a daemon does not come up.

use sealane_containers::ContainerError;
use sealane_docker_api::TlsFault;
use sealane_engine::EngineError;
use sealane_images::ImageError;
use sealane_runtime::RuntimeError;
use sealane_session::{SettingsError, TerritoryError};
use sealane_store::StoreError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// What kept the daemon from serving. Printed with its causes.
#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    /// Not root.
    #[error("the daemon needs root: it makes network namespaces, links and mounts")]
    NotRoot,
    /// A folder or a file in it cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon has the pid file.
    #[error(
        "the pid file {} belongs to a running daemon (process {pid}); stop it, or give this one a \
         --pidfile of its own",
        path.display()
    )]
    PidfileTaken {
        /// The file.
        path: PathBuf,
        /// Who has it.
        pid: String,
    },
    /// The pid file cannot be written.
    #[error("cannot write the pid file {}", path.display())]
    Pidfile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A socket cannot be made.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon answers on the socket already.
    #[error("{} is served by another daemon; stop it, or use another -H", path.display())]
    SocketTaken {
        /// The socket.
        path: PathBuf,
    },
    /// Another works on these roots, or under this owner.
    #[error(transparent)]
    Territory(TerritoryError),
    /// Calls cannot be answered.
    #[error("calls of sealane cannot be answered in {}", path.display())]
    Calls {
        /// The exec root.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What calls have to know cannot be written down.
    #[error("the settings cannot be written down for calls")]
    Settings(#[source] SettingsError),
    /// The group of the socket does not exist.
    #[error("group \"{0}\" does not exist; create it, or use another --group")]
    NoGroup(String),
    /// systemd passed no such socket.
    #[error("fd://: {0}; start the daemon by its systemd socket unit, or use unix://")]
    NotPassed(String),
    /// TLS cannot be served.
    #[error("TLS cannot be served")]
    Tls(#[source] TlsFault),
    /// The store cannot be opened.
    #[error("the state cannot be opened")]
    Store(#[source] StoreError),
    /// Images cannot be opened.
    #[error("the images cannot be opened")]
    Images(#[source] ImageError),
    /// There is no usable OCI runtime.
    #[error("containers cannot be run")]
    Runtime(#[source] RuntimeError),
    /// Networks cannot be served.
    #[error("networks cannot be served")]
    Engine(#[source] EngineError),
    /// Containers cannot be taken up again.
    #[error("containers cannot be served")]
    Containers(#[source] ContainerError),
    /// The event loop cannot be made.
    #[error("the event loop cannot be made")]
    Loop(#[source] io::Error),
    /// The daemon's id cannot be read.
    #[error("cannot read the daemon's id from {}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What starting returns.
pub(crate) type Result<T, E = DaemonError> = std::result::Result<T, E>;
