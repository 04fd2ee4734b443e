//! The options of a bridge network (`docker network create -o`), checked.

use crate::drivers::Refusal;
use crate::model::{InterfaceName, IpFamily, Network, NetworkId, NetworkSpec, parse_flag};
use crate::plan::Repeat;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use thiserror::Error;

/// `com.docker.network.bridge.name`: the device's name.
pub const NAME: &str = "com.docker.network.bridge.name";
/// `com.docker.network.bridge.enable_ip_masquerade`: whether containers leave with the host's
/// address.
pub const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// `com.docker.network.bridge.enable_icc`: whether containers may talk to each other.
pub const ICC: &str = "com.docker.network.bridge.enable_icc";
/// `com.docker.network.bridge.host_binding_ipv4`: where ports are published if no address is given.
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// `com.docker.network.bridge.default_bridge`: whether it is the network joined by default.
pub const DEFAULT: &str = "com.docker.network.bridge.default_bridge";
/// `com.docker.network.advertise_addr_nmsgs`: how often a new address is announced, 0 to 3.
pub const ANNOUNCEMENTS: &str = "com.docker.network.advertise_addr_nmsgs";
/// `com.docker.network.advertise_addr_ms`: milliseconds between announcements, 100 to 2000.
pub const INTERVAL: &str = "com.docker.network.advertise_addr_ms";
/// `com.docker.network.driver.mtu`: largest packet in bytes.
pub const MTU: &str = "com.docker.network.driver.mtu";

/// `com.docker.network.bridge.inhibit_ipv4`: whether the bridge goes without its IPv4 address.
pub const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
/// `com.docker.network.bridge.gateway_mode_ipv4`: how IPv4 gets in and out.
pub const GATEWAY_MODE4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
/// `com.docker.network.bridge.gateway_mode_ipv6`: how IPv6 gets in and out.
pub const GATEWAY_MODE6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
/// `com.docker.network.bridge.trusted_host_interfaces`: links of the host, a colon between them,
/// by which published ports may be reached at the containers' own addresses.
pub const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";
/// `com.docker.network.host_ipv4`: the host address that containers leave with.
pub const HOST_IPV4: &str = "com.docker.network.host_ipv4";
/// `com.docker.network.host_ipv6`: the same for IPv6.
pub const HOST_IPV6: &str = "com.docker.network.host_ipv6";
/// `overlapping`: whether the IPv4 subnet may be another network's, too. Ours, not Docker's.
pub const OVERLAPPING: &str = "overlapping";

/// The MTU of a network that names none.
pub const DEFAULT_MTU: u32 = 1500;

/// How the packets of one family get in and out of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum GatewayMode {
    /// Out with the host's address, in by published ports of the host.
    #[default]
    Nat,
    /// The same, and every port of every container is open to every peer with a route to it.
    NatUnprotected,
    /// As they are: published ports are open at the containers' own addresses, to every peer with
    /// a route, and nothing is translated.
    Routed,
    /// Not at all: the bridge itself has no address. Only for internal networks.
    Isolated,
}

impl GatewayMode {
    /// Whether addresses are translated on the way in and out.
    pub(super) fn translates(self) -> bool {
        match self {
            Self::Nat | Self::NatUnprotected => true,
            Self::Routed | Self::Isolated => false,
        }
    }
}

/// `any_source`: whether packets to the host may have a source that is not routed back to the
/// network.
pub const ANY_SOURCE: &str = "any_source";

/// `ports_per_bridge`: how many endpoints share one bridge device before another is joined to it.
pub const PORTS_PER_BRIDGE: &str = "ports_per_bridge";

/// The options of a bridge network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BridgeOptions {
    /// The device.
    pub(super) device: InterfaceName,
    /// Whether its name was chosen, so that users may have made it.
    pub(super) named: bool,
    /// Whether containers leave with the host's address.
    pub(super) masquerade: bool,
    /// Whether containers may talk to each other.
    pub(super) icc: bool,
    /// Where ports are published if no address is given.
    pub(super) host_binding: Option<IpAddr>,
    /// Whether it is the network joined by default.
    pub(super) default_bridge: bool,
    /// Largest packet in bytes.
    pub(super) mtu: u32,
    /// How often new addresses are announced.
    pub(super) announce: Repeat,
    /// How many endpoints share one bridge device.
    pub(super) ports: u16,
    /// Whether the bridge goes without its IPv4 address: something else on it is the gateway.
    pub(super) inhibit_ipv4: bool,
    /// How IPv4 gets in and out.
    pub(super) mode4: GatewayMode,
    /// How IPv6 gets in and out.
    pub(super) mode6: GatewayMode,
    /// Links of the host by which published ports may be reached at the containers' own addresses.
    pub(super) trusted: Vec<InterfaceName>,
    /// Whether the IPv4 subnet may be another network's, too.
    pub(super) overlapping: bool,
    /// Whether packets to the host may have any source. If nothing is said: on a bridge of the
    /// user's, which may lead anywhere.
    pub(super) any_source: Option<bool>,
    /// The host address that containers leave with.
    pub(super) host_ipv4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub(super) host_ipv6: Option<Ipv6Addr>,
}

/// An option that cannot be read; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum InvalidOption {
    /// Not a truth value.
    #[error(
        "failed to parse {key} value: {value} (strconv.ParseBool: parsing \"{value}\": invalid syntax)"
    )]
    Bool {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Not a number.
    #[error(
        "failed to parse {key} value: {value} (strconv.Atoi: parsing \"{value}\": invalid syntax)"
    )]
    Number {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Not an address.
    #[error("failed to parse {key} value: {value} (nil ip)")]
    Address {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A packet size the kernel does not take.
    #[error("invalid MTU: {0}: choose a value from 68 to 65535")]
    Mtu(u32),
    /// A number out of its range.
    #[error("{key} must be in the range {first} to {last}")]
    Range {
        /// The option.
        key: &'static str,
        /// The least it may be.
        first: u16,
        /// The most it may be.
        last: u16,
    },
    /// Not a way in and out.
    #[error("failed to parse {key} value: {value} (unknown gateway mode {value})")]
    Mode {
        /// The option.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A network with a way out cannot be isolated. Docker takes it for a failure of its own.
    #[error("gateway mode 'isolated' can only be used for an internal network")]
    Isolated,
    /// Not a name for a link.
    #[error(transparent)]
    Name(#[from] crate::model::InvalidInterfaceName),
}

impl From<InvalidOption> for Refusal {
    fn from(invalid: InvalidOption) -> Self {
        match invalid {
            InvalidOption::Isolated => Self::failed(invalid),
            InvalidOption::Bool { .. }
            | InvalidOption::Number { .. }
            | InvalidOption::Address { .. }
            | InvalidOption::Mtu(_)
            | InvalidOption::Range { .. }
            | InvalidOption::Mode { .. }
            | InvalidOption::Name(_) => Self::invalid(invalid),
        }
    }
}

impl BridgeOptions {
    /// Reads the options of a network.
    pub(super) fn of(network: &Network) -> Result<Self, InvalidOption> {
        Self::read(&network.spec, &network.id)
    }

    /// Reads the options of a network that will have this id.
    pub(super) fn read(network: &NetworkSpec, id: &NetworkId) -> Result<Self, InvalidOption> {
        let name = network.option(NAME);
        let device = match name.filter(|name| !name.is_empty()) {
            Some(name) => InterfaceName::try_from(name)?,
            None => InterfaceName::from_id("br-", id, 12),
        };
        let (mode4, mode6) = (mode(network, GATEWAY_MODE4)?, mode(network, GATEWAY_MODE6)?);
        if [mode4, mode6].contains(&GatewayMode::Isolated) && !network.internal {
            return Err(InvalidOption::Isolated);
        }
        Ok(Self {
            device,
            named: name.is_some(),
            masquerade: flag(network, MASQUERADE, true)?,
            icc: flag(network, ICC, true)?,
            host_binding: address(network, HOST_BINDING)?,
            default_bridge: flag(network, DEFAULT, false)?,
            mtu: mtu(network)?,
            announce: announce(network)?,
            ports: ranged(network, PORTS_PER_BRIDGE, 1, super::PORTS)?.unwrap_or(super::PORTS),
            inhibit_ipv4: flag(network, INHIBIT_IPV4, false)?,
            mode4,
            mode6,
            trusted: trusted(network)?,
            overlapping: flag(network, OVERLAPPING, false)?,
            any_source: network
                .option(ANY_SOURCE)
                .map(|_| flag(network, ANY_SOURCE, false))
                .transpose()?,
            host_ipv4: address_of(network, HOST_IPV4)?,
            host_ipv6: address_of(network, HOST_IPV6)?,
        })
    }

    /// How a family gets in and out.
    pub(super) fn mode(&self, family: IpFamily) -> GatewayMode {
        family.pick(self.mode4, self.mode6)
    }

    /// The host address that a family leaves with, if one was chosen.
    pub(super) fn host_address(&self, family: IpFamily) -> Option<IpAddr> {
        match family {
            IpFamily::V4 => self.host_ipv4.map(IpAddr::V4),
            IpFamily::V6 => self.host_ipv6.map(IpAddr::V6),
        }
    }

    /// Whether the bridge has the gateway's address of a family.
    pub(super) fn has_address(&self, family: IpFamily) -> bool {
        let inhibited = family == IpFamily::V4 && self.inhibit_ipv4;
        self.mode(family) != GatewayMode::Isolated && !inhibited
    }

    /// Whether a gateway is of no use to a family, so that its address is free for containers.
    pub(super) fn needs_no_gateway(&self, family: IpFamily, internal: bool) -> bool {
        let inhibited = family == IpFamily::V4 && self.inhibit_ipv4;
        self.mode(family) == GatewayMode::Isolated || (inhibited && internal)
    }
}

fn flag(network: &NetworkSpec, key: &'static str, default: bool) -> Result<bool, InvalidOption> {
    let Some(value) = network.option(key) else {
        return Ok(default);
    };
    parse_flag(value).ok_or_else(|| InvalidOption::Bool {
        key,
        value: value.into(),
    })
}

fn address(network: &NetworkSpec, key: &'static str) -> Result<Option<IpAddr>, InvalidOption> {
    let Some(value) = network.option(key).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let parsed = value.parse().map_err(|_| InvalidOption::Address {
        key,
        value: value.into(),
    })?;
    Ok(Some(parsed))
}

fn mode(network: &NetworkSpec, key: &'static str) -> Result<GatewayMode, InvalidOption> {
    match network.option(key) {
        None => Ok(GatewayMode::default()),
        Some("nat") => Ok(GatewayMode::Nat),
        Some("nat-unprotected") => Ok(GatewayMode::NatUnprotected),
        Some("routed") => Ok(GatewayMode::Routed),
        Some("isolated") => Ok(GatewayMode::Isolated),
        Some(value) => Err(InvalidOption::Mode {
            key,
            value: value.into(),
        }),
    }
}

fn trusted(network: &NetworkSpec) -> Result<Vec<InterfaceName>, InvalidOption> {
    let names = network.option(TRUSTED).unwrap_or_default().split(':');
    let names = names.filter(|name| !name.is_empty());
    Ok(names
        .map(InterfaceName::try_from)
        .collect::<Result<_, _>>()?)
}

/// An address of the one family that makes sense.
fn address_of<A: std::str::FromStr>(
    network: &NetworkSpec,
    key: &'static str,
) -> Result<Option<A>, InvalidOption> {
    let Some(value) = network.option(key).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    value.parse().map(Some).map_err(|_| InvalidOption::Address {
        key,
        value: value.into(),
    })
}

fn announce(network: &NetworkSpec) -> Result<Repeat, InvalidOption> {
    let times = ranged(network, ANNOUNCEMENTS, 0, 3)?.unwrap_or(3);
    let interval_ms = ranged(network, INTERVAL, 100, 2000)?.unwrap_or(1000);
    Ok(Repeat {
        times: times as u8,
        interval_ms,
    })
}

fn ranged(
    network: &NetworkSpec,
    key: &'static str,
    first: u16,
    last: u16,
) -> Result<Option<u16>, InvalidOption> {
    let Some(value) = network.option(key).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number: i64 = value.parse().map_err(|_| InvalidOption::Number {
        key,
        value: value.into(),
    })?;
    let number = u16::try_from(number)
        .ok()
        .filter(|number| (first..=last).contains(number));
    number
        .map(Some)
        .ok_or(InvalidOption::Range { key, first, last })
}

fn mtu(network: &NetworkSpec) -> Result<u32, InvalidOption> {
    let Some(value) = network.option(MTU).filter(|value| !value.is_empty()) else {
        return Ok(DEFAULT_MTU);
    };
    let number: u32 = value.parse().map_err(|_| InvalidOption::Number {
        key: MTU,
        value: value.into(),
    })?;
    match number {
        0 => Ok(DEFAULT_MTU),
        68..=65535 => Ok(number),
        1..68 | 65536.. => Err(InvalidOption::Mtu(number)),
    }
}
