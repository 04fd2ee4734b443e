//! nftables as data: tables, sets, chains and rules, in the words an operator reads.
//!
//! Pure: the kernel crate encodes these for netlink, `render` prints them as `nft` would. A rule
//! is a list of [`Match`]es and one [`Statement`]; what a rule decides per network, endpoint or
//! port stands in a set or map, so that rules never grow with the host.

mod make;
mod render;

pub use render::Listing;

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{InterfaceName, IpFamily, Mac, Mark, Protocol};

/// The name of a table.
pub type TableName = String;
/// The name of a set or map.
pub type SetName = String;

/// A table and what is in it, but for the elements of its sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: TableName,
    /// Whether only the socket that made it may change or remove it, and it stays when that
    /// is closed (`flags owner,persist`).
    #[serde(default)]
    pub owned: bool,
    /// Sets and maps, made before the chains that name them.
    pub sets: Vec<Set>,
    /// Chains; one that is jumped to stands before the one that jumps.
    pub chains: Vec<Chain>,
}

/// The address family of a table (linux/netfilter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4 only.
    Ip,
    /// IPv6 only.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// Bridged frames.
    Bridge,
}

/// A set, or a map if it has data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name.
    pub name: SetName,
    /// The type of each field of a key; more than one is a concatenation.
    pub key: Vec<DataType>,
    /// The type of each field of the data; empty for a plain set.
    pub data: Vec<DataType>,
    /// Whether keys are intervals. Only for keys whose last field is a range.
    pub interval: bool,
}

/// ICMPv6 that asks for a neighbor (RFC 4861, 4.3).
pub const SOLICITATION: u8 = 135;
/// ICMPv6 that answers that (RFC 4861, 4.4).
pub const ADVERTISEMENT: u8 = 136;

/// The type of a field of a set's key or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    /// `ipv4_addr`
    Ipv4,
    /// `ipv6_addr`
    Ipv6,
    /// `inet_proto`
    Protocol,
    /// `inet_service`
    Port,
    /// `ifname`
    Interface,
    /// `nf_proto`
    NfProto,
    /// `ether_addr`
    Mac,
    /// A verdict; only as data, and only alone.
    Verdict,
}

/// One field of an element's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Datum {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// A transport protocol.
    Protocol(Protocol),
    /// A port.
    Port(u16),
    /// First and last port of a range; only in interval sets.
    Ports(u16, u16),
    /// A link's name.
    Interface(InterfaceName),
    /// A network protocol.
    NfProto(IpFamily),
    /// A hardware address.
    Mac(Mac),
}

/// What an element of a map leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Data {
    /// Nothing: the element of a plain set.
    None,
    /// An address; the port is kept.
    Address(IpAddr),
    /// An address and a port.
    Socket(IpAddr, u16),
    /// A verdict.
    Verdict(Verdict),
}

/// Where a packet goes next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It passes this base chain.
    Accept,
    /// It ends here.
    Drop,
    /// Back to the chain that jumped.
    Return,
    /// To a chain, and back.
    Jump(String),
    /// To a chain, for good.
    Goto(String),
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it; `None` for one that is jumped to.
    pub hook: Option<Hook>,
    /// Its rules. A chain of the user's has none, and is never flushed.
    pub rules: Vec<Rule>,
    /// Whether the rules in it are the user's: made once, never changed or flushed by us.
    pub user: bool,
}

impl From<IpFamily> for Family {
    fn from(family: IpFamily) -> Self {
        family.pick(Self::Ip, Self::Ip6)
    }
}

/// Where a base chain is attached; its policy is always accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The kind of chain.
    pub kind: ChainKind,
    /// The point.
    pub point: HookPoint,
    /// Lower runs first: raw -300, dstnat -100, filter 0, srcnat 100.
    pub priority: i32,
}

/// The kind of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainKind {
    /// `filter`
    Filter,
    /// `nat`
    Nat,
}

/// A point on a packet's way (linux/netfilter.h, `NF_INET_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookPoint {
    /// Just arrived.
    Prerouting,
    /// For this host.
    Input,
    /// Passing through.
    Forward,
    /// From this host.
    Output,
    /// About to leave.
    Postrouting,
}

/// A rule: if all matches hold, the statement is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Match>,
    /// Then this is done.
    pub statements: Vec<Statement>,
    /// Why the rule is there, shown by `nft list`.
    pub comment: String,
}

/// A condition on a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// A field has a value; in IPv4 or IPv6 addresses, is within a prefix of that many bits.
    Is(Field, Datum),
    /// A field has another value.
    IsNot(Field, Datum),
    /// An address is within a prefix.
    Within(Field, ipnet::IpNet),
    /// An address is not within a prefix.
    NotWithin(Field, ipnet::IpNet),
    /// The concatenated fields are in a set.
    InSet(Vec<Field>, SetName),
    /// They are not.
    NotInSet(Vec<Field>, SetName),
    /// The connection is established or related to one that is.
    Established,
    /// The packet is of no connection and can open none (`ct state invalid`).
    Invalid,
    /// Its source is routed back by the link it came from (`fib saddr . iif oif exists`).
    FromItsRoute,
    /// The frame is for one host, not for many (`meta pkttype host`).
    ForOne,
    /// TCP that does not open a connection (`tcp flags != syn / fin,syn,rst,ack`); of
    /// packets of other protocols nothing can be said.
    NotOpening,
    /// The connection's destination was translated (`ct status dnat`).
    Translated,
    /// The destination address is one of the host's (`fib daddr type local`).
    ToHost,
    /// ICMP, or ICMPv6.
    Icmp(IpFamily),
    /// ICMPv6 of a type.
    Icmp6Type(u8),
    /// The packet's mark has a value in the bits of a mask.
    Marked(Mark),
    /// It came by a link of one of our daemons in this namespace, whichever (`meta iifgroup`).
    ByOurLink,
    /// It leaves by a link of one of our daemons, whichever (`meta oifgroup`).
    ToOurLink,
    /// It came by the bridge of a network of ours or of another of our daemons (`meta iifgroup`).
    ByNetworkBridge,
    /// Its frame is for a hardware address that no port of our bridges has
    /// (`ether daddr`).
    NotForPort,
}

/// A field of a packet or of what the kernel knows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// `meta nfproto`
    NfProto,
    /// `meta l4proto`
    L4Proto,
    /// `meta iifname`
    InputInterface,
    /// `meta oifname`
    OutputInterface,
    /// `ip saddr`
    Ip4Source,
    /// `ip daddr`
    Ip4Destination,
    /// `ip6 saddr`
    Ip6Source,
    /// `ip6 daddr`
    Ip6Destination,
    /// `th sport`
    SourcePort,
    /// `th dport`
    DestinationPort,
    /// `ether daddr`
    EtherDestination,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// A verdict.
    Verdict(Verdict),
    /// The verdict that a map has for the concatenated fields; none, and the next rule follows.
    VerdictMap(Vec<Field>, SetName),
    /// Destination translation to the address and port that a map has for the fields.
    DnatMap {
        /// Of which family.
        #[serde(rename = "ipv6")]
        family: IpFamily,
        /// The fields looked up.
        fields: Vec<Field>,
        /// The map.
        map: SetName,
        /// Whether the data has a port; the port is kept if not.
        port: bool,
    },
    /// Source translation to the address of the outgoing link.
    Masquerade,
    /// Source translation to the address that a map has for the fields.
    SnatMap {
        /// Of which family.
        #[serde(rename = "ipv6")]
        family: IpFamily,
        /// The fields looked up.
        fields: Vec<Field>,
        /// The map.
        map: SetName,
    },
    /// Set an IPv4 address field to the address that a map has for the fields.
    SetAddress {
        /// The field to set.
        to: Field,
        /// The fields looked up.
        fields: Vec<Field>,
        /// The map.
        map: SetName,
    },
    /// Set a port field.
    SetPort(Field, u16),
    /// End the packet, and the TCP connection for its sender (`reject with tcp reset`).
    Reset,
    /// Mark the packet.
    SetMark(u32),
    /// Do not track the connection.
    NoTrack,
    /// Count packets and bytes.
    Counter,
}

impl Datum {
    /// The type of the field.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Ipv4(_) => DataType::Ipv4,
            Self::Ipv6(_) => DataType::Ipv6,
            Self::Protocol(_) => DataType::Protocol,
            Self::Port(_) | Self::Ports(..) => DataType::Port,
            Self::Interface(_) => DataType::Interface,
            Self::NfProto(_) => DataType::NfProto,
            Self::Mac(_) => DataType::Mac,
        }
    }
}

impl Data {
    /// The types of the fields.
    pub fn types(&self) -> Vec<DataType> {
        let address = |address: &IpAddr| match address {
            IpAddr::V4(_) => DataType::Ipv4,
            IpAddr::V6(_) => DataType::Ipv6,
        };
        match self {
            Self::None => vec![],
            Self::Address(ip) => vec![address(ip)],
            Self::Socket(ip, _) => vec![address(ip), DataType::Port],
            Self::Verdict(_) => vec![DataType::Verdict],
        }
    }
}
