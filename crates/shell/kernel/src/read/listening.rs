//! Whether something receives at an address and port of a namespace, or is in the way of who would.

use crate::kernel::Kernel;
use crate::message::Message;
use crate::nft::decode::find;
use crate::socket::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use sealane_core::model::Protocol;
use sealane_core::plan::Netns;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h)
const BY_FAMILY: u16 = 20;
/// `INET_DIAG_SKV6ONLY` (linux/inet_diag.h)
const ONLY_IPV6: u16 = 11;
/// `TCP_LISTEN`, and `TCP_CLOSE`, which is what a UDP socket without a peer is called; one with a
/// peer is `TCP_ESTABLISHED` (net/tcp_states.h).
const LISTENS: u32 = 1 << 10;
const UNCONNECTED: u32 = 1 << 7;
const CONNECTED: u32 = 1 << 1;
/// `TCP_BOUND_INACTIVE`: bound, and neither listening nor connected. Kernels before 6.8 tell of none.
const BOUND: u32 = 1 << 13;
/// `struct inet_diag_sockid`, and `struct inet_diag_msg` with one in it.
const ENDS: usize = 48;
const SOCKET: usize = 72;

/// A socket that is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundSocket {
    to: SocketAddr,
    /// Whether it is for IPv6 alone, although IPv4 could be meant, too.
    only_ipv6: bool,
}

/// What is bound for one protocol, in the namespace of the thread that asked.
#[derive(Clone, Debug)]
pub enum BoundSockets {
    /// By address.
    At(Vec<BoundSocket>),
    /// SCTP tells ports only.
    Ports(Vec<u16>),
}

impl BoundSockets {
    /// Those that receive what is sent to them from any address.
    pub fn receiving(protocol: Protocol) -> io::Result<Self> {
        Self::read(protocol, LISTENS, UNCONNECTED)
    }

    /// Those that may be in the way of one more, whether they receive or not.
    pub fn holding(protocol: Protocol) -> io::Result<Self> {
        Self::read(protocol, LISTENS | BOUND, UNCONNECTED | CONNECTED)
    }

    /// Reads sockets in some states of TCP, or of UDP.
    fn read(protocol: Protocol, tcp: u32, udp: u32) -> io::Result<Self> {
        let state = match protocol {
            Protocol::Tcp => tcp,
            Protocol::Udp => udp,
            Protocol::Sctp => return Ok(Self::Ports(sctp_ports(&sctp_table()?).collect())),
        };
        let mut socket = Socket::open(NETLINK_SOCK_DIAG)?;
        let mut bound = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let head = [family as u8, protocol.number(), 0, 0];
            let request = Message::framed(BY_FAMILY, 0, head, |request| {
                request.head(&state.to_ne_bytes()).head(&[0; ENDS]);
            });
            let replies = socket.dump(&request)?;
            bound.extend(replies.iter().filter_map(|reply| read(&reply.payload)));
        }
        Ok(Self::At(bound))
    }

    /// Whether a socket takes what is sent to an address.
    pub fn takes(&self, to: SocketAddr) -> bool {
        match self {
            Self::At(bound) => bound.iter().any(|bound| takes(*bound, to)),
            Self::Ports(ports) => ports.contains(&to.port()),
        }
    }

    /// Whether a socket is in the way of one more at an address, where an unspecified one is all
    /// of its family.
    pub fn is_in_the_way(&self, of: SocketAddr) -> bool {
        let same = |bound: &BoundSocket| {
            let dual = bound.to.ip().is_unspecified() && !bound.only_ipv6;
            bound.to.port() == of.port() && (bound.to.is_ipv4() == of.is_ipv4() || dual)
        };
        self.takes(of)
            || match self {
                Self::At(bound) => of.ip().is_unspecified() && bound.iter().any(same),
                Self::Ports(_) => false,
            }
    }
}

impl Kernel {
    /// Whether a socket in a namespace takes what is sent to an address of it.
    pub fn listens(&self, netns: Netns, protocol: Protocol, to: SocketAddr) -> io::Result<bool> {
        self.in_namespace(netns, || Ok(BoundSockets::receiving(protocol)?.takes(to)))
    }
}

/// Reads a socket from `struct inet_diag_msg` and its attributes.
pub(crate) fn read(payload: &[u8]) -> Option<BoundSocket> {
    let port = u16::from_be_bytes(payload.get(4..6)?.try_into().ok()?);
    let address: [u8; 16] = payload.get(8..24)?.try_into().ok()?;
    let attributes = payload.get(SOCKET..)?;
    let address: IpAddr = if i32::from(*payload.first()?) == libc::AF_INET {
        let [a, b, c, d, ..] = address;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(address).to_canonical()
    };
    Some(BoundSocket {
        to: SocketAddr::new(address, port),
        only_ipv6: find(attributes, ONLY_IPV6).is_some_and(|value| value != [0]),
    })
}

fn takes(bound: BoundSocket, to: SocketAddr) -> bool {
    let every = match bound.to.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() && to.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified() && (to.is_ipv6() || !bound.only_ipv6),
    };
    bound.to.port() == to.port() && (every || bound.to.ip() == to.ip())
}

/// SCTP has no list by netlink that could be sorted by address: its table has the ports.
fn sctp_table() -> io::Result<String> {
    match fs::read_to_string("/proc/thread-self/net/sctp/eps") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        table => table,
    }
}

/// The local ports of SCTP's endpoints, the sixth column.
fn sctp_ports(table: &str) -> impl Iterator<Item = u16> {
    let lines = table.lines().skip(1);
    lines.filter_map(|line| line.split_ascii_whitespace().nth(5)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_takes_what_it_is_bound_to() {
        let takes = |bound: &str, only_ipv6, to: &str| {
            let to: SocketAddr = to.parse().unwrap();
            let bound = BoundSocket {
                to: bound.parse().unwrap(),
                only_ipv6,
            };
            takes(bound, to)
        };
        assert!(takes("0.0.0.0:80", false, "10.0.0.1:80"));
        assert!(takes("[::]:80", false, "10.0.0.1:80"));
        assert!(takes("[::]:80", true, "[fd00::1]:80"));
        assert!(takes("10.0.0.1:80", false, "10.0.0.1:80"));
        assert!(!takes("[::]:80", true, "10.0.0.1:80"));
        assert!(!takes("0.0.0.0:80", false, "[fd00::1]:80"));
        assert!(!takes("0.0.0.0:80", false, "10.0.0.1:81"));
        assert!(!takes("127.0.0.1:80", false, "10.0.0.1:80"));
    }

    #[test]
    fn a_socket_is_in_the_way_of_one_on_all_addresses() {
        let in_the_way = |bound: &str, only_ipv6, of: &str| {
            let to = bound.parse().unwrap();
            let bound = BoundSockets::At(vec![BoundSocket { to, only_ipv6 }]);
            bound.is_in_the_way(of.parse().unwrap())
        };
        assert!(in_the_way("127.0.0.1:80", false, "0.0.0.0:80"));
        assert!(in_the_way("[::]:80", false, "0.0.0.0:80"));
        assert!(in_the_way("[fd00::1]:80", false, "[::]:80"));
        assert!(in_the_way("0.0.0.0:80", false, "127.0.0.1:80"));
        assert!(!in_the_way("[::]:80", true, "0.0.0.0:80"));
        assert!(!in_the_way("0.0.0.0:80", true, "[::]:80"));
        assert!(!in_the_way("127.0.0.1:80", false, "127.0.0.2:80"));
        assert!(!in_the_way("127.0.0.1:80", false, "0.0.0.0:81"));
    }

    #[test]
    fn ports_of_sctp_are_in_the_sixth_column() {
        let table =
            " ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS\n 1 2 2 10 7 9999 0 5 0.0.0.0\n";
        assert_eq!(sctp_ports(table).collect::<Vec<_>>(), [9999]);
    }
}
