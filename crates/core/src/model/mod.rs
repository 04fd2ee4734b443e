//! The nouns: networks, sandboxes, endpoints, port mappings, and the checked values they hold.
//!
//! A value that can be wrong is a type that cannot: [`InterfaceName`], [`Id`], [`Mac`].

mod driver_name;
mod endpoint;
mod error_class;
mod facts;
mod family;
mod id;
mod interface_name;
mod lease;
mod mac;
mod network;
mod owner;
mod port;
mod sandbox;

pub use driver_name::{DriverName, InvalidDriverName};
pub use endpoint::{ALIASES, ENDPOINT_SYSCTLS, Endpoint, EndpointSpec};
pub use error_class::ErrorClass;
pub use facts::{Facts, Mark, Policy};
pub use family::{IpFamily, PerFamily};
pub use id::{Id, InvalidId, derive_id};
pub use interface_name::{InterfaceName, InvalidInterfaceName};
pub use lease::{Lease, Reservation};
pub use mac::{InvalidMac, Mac, PORTS};
pub use network::{
    DNS, INTERFACE_PREFIX, IpamSpec, Network, NetworkSpec, Scope, SubnetSpec, UsersDevice,
    parse_flag,
};
pub use owner::{BRIDGE_GROUP, InvalidOwner, LINK_GROUP, Owner};
pub use port::{PortMapping, PortRequest, Protocol};
pub use sandbox::{GivenNamespace, LegacyLink, NameserverConfig, Sandbox};

/// The id of a network: 64 lower-case hexadecimal digits.
pub type NetworkId = Id;
/// The id of a sandbox. A container's sandbox has the container's id.
pub type SandboxId = Id;
/// The id of an endpoint.
pub type EndpointId = Id;
