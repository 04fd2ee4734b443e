//! nftables data as the text `nft list` prints.

use super::{Data, Datum, Verdict};
use std::fmt;
use std::net::IpAddr;

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(ip) => write!(f, "{ip}"),
            Self::Ipv6(ip) => write!(f, "{ip}"),
            Self::Protocol(protocol) => write!(f, "{protocol}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Ports(first, last) => write!(f, "{first}-{last}"),
            Self::Interface(name) => write!(f, "\"{name}\""),
            Self::NfProto(true) => f.write_str("ipv6"),
            Self::NfProto(false) => f.write_str("ipv4"),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "{ip}"),
            Self::Socket(ip, port) => write!(f, "{ip} . {port}"),
            Self::Verdict(verdict) => write!(f, "{verdict}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl fmt::Display for super::Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table inet {} {{", self.name)?;
        for set in &self.sets {
            writeln!(f, "\tset {} {{\n\t}}", set.name)?;
        }
        for chain in &self.chains {
            writeln!(f, "\tchain {} {{\n\t}}", chain.name)?;
        }
        writeln!(f, "}}")
    }
}
