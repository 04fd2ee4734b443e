//! The options of a bridge network (`docker network create -o`), checked.

use crate::model::{InterfaceName, Network};
use crate::plan::Repeat;
use std::net::IpAddr;
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

/// The options of a bridge network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeOptions {
    /// The device.
    pub device: InterfaceName,
    /// Whether containers leave with the host's address.
    pub masquerade: bool,
    /// Whether containers may talk to each other.
    pub icc: bool,
    /// Where ports are published if no address is given.
    pub host_binding: Option<IpAddr>,
    /// Whether it is the network joined by default.
    pub default_bridge: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// How often new addresses are announced.
    pub announce: Repeat,
}

/// An option that cannot be read; the words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidOption {
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
    #[error("failed to parse {key} value: {value} (invalid ip)")]
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
    /// Not a name for a link.
    #[error(transparent)]
    Name(#[from] crate::model::InvalidInterfaceName),
}

impl BridgeOptions {
    /// The MTU of a network that names none.
    pub const DEFAULT_MTU: u32 = 1500;

    /// Reads the options of a network.
    pub fn of(network: &Network) -> Result<Self, InvalidOption> {
        let device = match network.option(NAME).filter(|name| !name.is_empty()) {
            Some(name) => InterfaceName::try_from(name)?,
            None => InterfaceName::from_id("br-", &network.id, 12),
        };
        Ok(Self {
            device,
            masquerade: flag(network, MASQUERADE, true)?,
            icc: flag(network, ICC, true)?,
            host_binding: address(network, HOST_BINDING)?,
            default_bridge: flag(network, DEFAULT, false)?,
            mtu: mtu(network)?,
            announce: announce(network)?,
        })
    }
}

fn flag(network: &Network, key: &'static str, default: bool) -> Result<bool, InvalidOption> {
    let Some(value) = network.option(key) else {
        return Ok(default);
    };
    parse_flag(value).ok_or_else(|| InvalidOption::Bool {
        key,
        value: value.into(),
    })
}

/// Reads a truth value in the spellings that Docker takes.
pub fn parse_flag(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn address(network: &Network, key: &'static str) -> Result<Option<IpAddr>, InvalidOption> {
    let Some(value) = network.option(key).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let parsed = value.parse().map_err(|_| InvalidOption::Address {
        key,
        value: value.into(),
    })?;
    Ok(Some(parsed))
}

fn announce(network: &Network) -> Result<Repeat, InvalidOption> {
    let times = ranged(network, ANNOUNCEMENTS, 0, 3)?.unwrap_or(3);
    let interval_ms = ranged(network, INTERVAL, 100, 2000)?.unwrap_or(1000);
    Ok(Repeat {
        times: times as u8,
        interval_ms,
    })
}

fn ranged(
    network: &Network,
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

fn mtu(network: &Network) -> Result<u32, InvalidOption> {
    let Some(value) = network.option(MTU).filter(|value| !value.is_empty()) else {
        return Ok(BridgeOptions::DEFAULT_MTU);
    };
    let number: u32 = value.parse().map_err(|_| InvalidOption::Number {
        key: MTU,
        value: value.into(),
    })?;
    match number {
        0 => Ok(BridgeOptions::DEFAULT_MTU),
        68..=65535 => Ok(number),
        1..68 | 65536.. => Err(InvalidOption::Mtu(number)),
    }
}
