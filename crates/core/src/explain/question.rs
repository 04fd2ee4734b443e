//! Questions: who sends what to whom, as people write it.

use super::packet::Transport;
use crate::model::{Protocol, SandboxId};
use std::net::IpAddr;
use std::str::FromStr;
use thiserror::Error;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A container.
    Sandbox(SandboxId),
    /// The host itself.
    Host,
    /// A host on the LAN or beyond, by address.
    Outside(IpAddr),
    /// The host's router, standing for all hosts on the LAN.
    Lan,
}

/// What is sent to whom: `NAME[:PORT][/PROTOCOL]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address.
    pub name: String,
    /// The port; 0 where there is none.
    pub port: u16,
    /// What is carried: TCP to a port, an echo request without one, if nothing is said.
    pub transport: Transport,
}

/// Why a text is not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidTarget {
    /// No name in it.
    #[error("\"{0}\" names nobody; write NAME:PORT, ADDRESS:PORT or [IPV6]:PORT")]
    NoName(String),
    /// Not a port.
    #[error("\"{0}\" is not a port; write a number from 1 to 65535")]
    Port(String),
    /// Not a protocol.
    #[error("\"{0}\" is not a protocol; write tcp, udp, sctp or icmp")]
    Protocol(String),
    /// A protocol with ports, without a port.
    #[error("{0} needs a port; write NAME:PORT/{0}")]
    PortMissing(Transport),
    /// The other way round.
    #[error("icmp has no ports; write NAME/icmp")]
    PortTooMany,
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (rest, protocol) = match text.rsplit_once('/') {
            Some((rest, protocol)) => (rest, Some(protocol)),
            None => (text, None),
        };
        let (name, port) = split(rest)?;
        if name.is_empty() {
            return Err(InvalidTarget::NoName(text.into()));
        }
        let transport = match (protocol, port) {
            (None, Some(_)) => Transport::Tcp,
            (None, None) => Transport::Icmp,
            (Some(protocol), _) => read_protocol(protocol)?,
        };
        match (transport.protocol(), port) {
            (Some(_), None) => return Err(InvalidTarget::PortMissing(transport)),
            (None, Some(_)) => return Err(InvalidTarget::PortTooMany),
            (Some(_), Some(_)) | (None, None) => {}
        }
        Ok(Self {
            name: name.into(),
            port: port.unwrap_or(0),
            transport,
        })
    }
}

fn read_protocol(text: &str) -> Result<Transport, InvalidTarget> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "icmp" | "icmpv6" | "ping") {
        return Ok(Transport::Icmp);
    }
    let protocol = Protocol::from_str(&lower).map_err(|_| InvalidTarget::Protocol(text.into()))?;
    Ok(protocol.into())
}

/// Parts the name from the port. An IPv6 address without brackets has no port after it.
fn split(text: &str) -> Result<(&str, Option<u16>), InvalidTarget> {
    if let Some(rest) = text.strip_prefix('[') {
        let parts = rest.split_once(']');
        let (name, port) = parts.ok_or_else(|| InvalidTarget::NoName(text.into()))?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((name, Some(read_port(port)?))),
            None if port.is_empty() => Ok((name, None)),
            None => Err(InvalidTarget::Port(port.into())),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((name, port)) => Ok((name, Some(read_port(port)?))),
        None => Ok((text, None)),
    }
}

fn read_port(text: &str) -> Result<u16, InvalidTarget> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| InvalidTarget::Port(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, port: u16, transport: Transport) -> Result<Target, InvalidTarget> {
        Ok(Target {
            name: name.into(),
            port,
            transport,
        })
    }

    #[test]
    fn a_target_is_a_name_perhaps_a_port_perhaps_a_protocol() {
        for (text, wanted) in [
            ("db:5432", target("db", 5432, Transport::Tcp)),
            ("db.back:53/udp", target("db.back", 53, Transport::Udp)),
            ("10.0.0.5:443/TCP", target("10.0.0.5", 443, Transport::Tcp)),
            ("[fd00::1]:80", target("fd00::1", 80, Transport::Tcp)),
            ("fd00::1", target("fd00::1", 0, Transport::Icmp)),
            ("db", target("db", 0, Transport::Icmp)),
            ("db/icmp", target("db", 0, Transport::Icmp)),
        ] {
            assert_eq!(text.parse(), wanted, "{text}");
        }
    }

    #[test]
    fn a_target_that_cannot_be_read_says_what_to_write() {
        for text in [
            "",
            ":80",
            "[fd00::1",
            "db:0",
            "db:x",
            "db:1/x",
            "db/udp",
            "db:1/icmp",
            "[]:1",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
