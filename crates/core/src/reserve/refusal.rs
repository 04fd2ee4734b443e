//! Why something cannot be reserved. The texts are Docker's where Docker has one.

use crate::drivers;
use crate::ipam::{OpenError, ReserveError};
use crate::model::{ErrorClass, InvalidInterfaceName, IpFamily, NetworkId};
use std::net::IpAddr;
use thiserror::Error;

/// Why something cannot be reserved; the snapshot is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no such network.
    #[error("network {0} not found")]
    NoNetwork(String),
    /// Several networks have an id that begins like this.
    #[error("network {reference} is ambiguous ({matches} matches found on ID prefix)")]
    Ambiguous {
        /// What was named.
        reference: String,
        /// How many there are.
        matches: usize,
    },
    /// The network is being made, changed or removed; it may be had afterwards.
    #[error("network {0} is being made, changed or removed; try again")]
    Unsettled(String),
    /// The sandbox has an endpoint there.
    #[error("endpoint with name {sandbox} already exists in network {network}")]
    Joined {
        /// Its container's name.
        sandbox: String,
        /// The network's name.
        network: String,
    },
    /// There is a sandbox of this id.
    #[error("container {0} has a sandbox already; stop it first")]
    SandboxExists(String),
    /// The network only holds settings for others.
    #[error("cannot create endpoint on configuration-only network {0}")]
    ConfigOnly(String),
    /// What was asked of an endpoint does not fit its network; the words are Docker's.
    #[error("{0}")]
    Endpoint(String),
    /// The address is kept for another name.
    #[error("address {address} of network {network} is reserved for container {holder}")]
    ReservedFor {
        /// The address.
        address: IpAddr,
        /// The network's name.
        network: String,
        /// Whom it is kept for.
        holder: String,
    },
    /// No address is left.
    #[error("no available {family} addresses on this network's address pools: {network} ({id})")]
    Exhausted {
        /// Of which family.
        family: IpFamily,
        /// The network's name.
        network: String,
        /// Its id.
        id: NetworkId,
    },
    /// The address cannot be had.
    #[error("{0}")]
    Address(ReserveError),
    /// An address of a sandbox cannot be had any more.
    #[error("{address} of {sandbox}: {source}")]
    OfSandbox {
        /// The address.
        address: IpAddr,
        /// The container's name.
        sandbox: String,
        /// Why not.
        source: ReserveError,
    },
    /// The gateway or an auxiliary address of a network cannot be had.
    #[error("{0}")]
    Open(OpenError),
    /// The name of a link is taken in the sandbox.
    #[error("interface name \"{0}\" is already used in the container; choose another")]
    InterfaceTaken(String),
    /// A link cannot have this name.
    #[error("{0}")]
    Interface(InvalidInterfaceName),
    /// The driver does not take it.
    #[error(transparent)]
    Driver(#[from] drivers::Refusal),
    /// No subnet of the network has the address.
    #[error("no configured subnet contains IP address {0}")]
    Outside(IpAddr),
    /// The address is the network's own.
    #[error("{address} is an address of network {network} itself; reserve another")]
    OfNetwork {
        /// The address.
        address: IpAddr,
        /// The network's name.
        network: String,
    },
    /// Another container has the address.
    #[error("{address} is in use by container {user}; move it first")]
    InUse {
        /// The address.
        address: IpAddr,
        /// The container's name.
        user: String,
    },
    /// Nothing was reserved there.
    #[error("address {address} of network {network} is not reserved")]
    NotReserved {
        /// The address.
        address: IpAddr,
        /// The network's name.
        network: String,
    },
    /// One of the three that are there from the start.
    #[error("{0} is a pre-defined network and cannot be removed")]
    Predefined(String),
    /// Another network has its settings from this one.
    #[error("configuration network \"{0}\" is in use")]
    ConfigInUse(String),
    /// Sandboxes are attached.
    #[error("error while removing network: network {network} has active endpoints ({endpoints})")]
    Active {
        /// The network's name.
        network: String,
        /// Those there are.
        endpoints: String,
    },
}

impl Refusal {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoNetwork(_) | Self::NotReserved { .. } => ErrorClass::NotFound,
            Self::Ambiguous { .. }
            | Self::Endpoint(_)
            | Self::InterfaceTaken(_)
            | Self::Interface(_)
            | Self::Outside(_) => ErrorClass::InvalidArgument,
            Self::Driver(refusal) => refusal.class,
            Self::SandboxExists(_) => ErrorClass::Conflict,
            Self::Unsettled(_) => ErrorClass::Unavailable,
            Self::Exhausted { .. } => ErrorClass::Internal,
            Self::Joined { .. }
            | Self::ConfigOnly(_)
            | Self::ReservedFor { .. }
            | Self::Address(_)
            | Self::OfSandbox { .. }
            | Self::Open(_)
            | Self::OfNetwork { .. }
            | Self::InUse { .. }
            | Self::Predefined(_)
            | Self::ConfigInUse(_)
            | Self::Active { .. } => ErrorClass::Forbidden,
        }
    }
}
