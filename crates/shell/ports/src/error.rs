//! Why a port is not to be had. The texts are Docker's; the engine puts the endpoint in front.

use sealane_core::model::Protocol;
use std::io;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// Why a port is not to be had, or cannot be served.
#[derive(Debug, Error)]
pub enum PortError {
    /// One of ours has it.
    #[error("Bind for {address}:{port} failed: port is already allocated")]
    Allocated {
        /// The address of the reservation that is in the way.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// The system does not give it.
    #[error("failed to bind host port {address}/{protocol}: {}", reason(source))]
    Bind {
        /// The address and port.
        address: SocketAddr,
        /// The protocol.
        protocol: Protocol,
        /// What the system said.
        source: io::Error,
    },
    /// Every port of the range is one of ours.
    #[error("all ports are allocated")]
    Exhausted,
    /// Not a range of ports.
    #[error("invalid port range: {0}-{1}")]
    Range(u16, u16),
    /// The range of ephemeral ports is unknown.
    #[error("cannot read {path}")]
    EphemeralRange {
        /// The file.
        path: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be looked up which ports are taken.
    #[error("cannot look up which ports are taken")]
    Look(#[source] io::Error),
    /// The relay cannot be started, or cannot take a port.
    #[error("the relay of published ports cannot {what}")]
    Relay {
        /// What it cannot do.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl PortError {
    /// Whether another process has the port, so that the next one may be tried.
    pub(crate) fn is_taken(&self) -> bool {
        let Self::Bind { source, .. } = self else {
            return false;
        };
        source.kind() == io::ErrorKind::AddrInUse
    }
}

/// The ports that could not be bound again after a restart.
#[derive(Debug, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct AdoptError(pub Vec<PortError>);

/// A system error in the words of Docker: small first letter, no number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}
