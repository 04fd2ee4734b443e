//! The sockets that hold ports.

use crate::PortError;
use crate::binding::Binding;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use sealane_core::model::Protocol;
use sealane_kernel::port_socket;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = i32::MAX;

/// How far IPv6 is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ipv6 {
    Present,
    /// The kernel has none.
    Absent,
}

impl Ipv6 {
    pub(crate) fn probe() -> Self {
        let flags = SocketFlags::CLOEXEC;
        match net::socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None) {
            Err(Errno::AFNOSUPPORT) => Self::Absent,
            Ok(_) | Err(_) => Self::Present,
        }
    }
}

/// Binds a port and returns its socket, which listens but is mute. `None` where the kernel does
/// not have the protocol, so that nobody else can have the port either.
pub(crate) fn bind(
    protocol: Protocol,
    binding: Binding,
    port: u16,
    ipv6: Ipv6,
) -> Result<Option<OwnedFd>, PortError> {
    let (address, only) = match (binding, ipv6) {
        (Binding::Any, Ipv6::Present) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), false),
        (Binding::Any, Ipv6::Absent) | (Binding::AnyV4, _) => {
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), true)
        }
        (Binding::AnyV6, _) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), true),
        (Binding::One(address), _) => (address, true),
    };
    match open(protocol, SocketAddr::new(address, port), only) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::PROTONOSUPPORT) if protocol == Protocol::Sctp => Ok(None),
        Err(source) => {
            let named = if only {
                address
            } else {
                culprit(protocol, port, source)
            };
            let address = SocketAddr::new(named, port);
            Err(PortError::Bind {
                address,
                protocol,
                source: source.into(),
            })
        }
    }
}

fn open(protocol: Protocol, address: SocketAddr, only: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, kind, flags, Some(number))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, only)?;
    }
    port_socket::mute(&socket).map_err(errno)?;
    match protocol {
        // Connections of a former daemon that the kernel has not forgotten are not in the way.
        Protocol::Tcp => sockopt::set_socket_reuseaddr(&socket, true)?,
        Protocol::Udp => {
            port_socket::report_local_end(&socket, address.is_ipv6()).map_err(errno)?;
        }
        Protocol::Sctp => {}
    }
    net::bind(&socket, &address)?;
    match protocol {
        Protocol::Tcp | Protocol::Sctp => net::listen(&socket, BACKLOG)?,
        Protocol::Udp => {}
    }
    Ok(socket)
}

/// The address to name when a dual-stack socket cannot be bound: the one of IPv4, unless only
/// IPv6 has somebody else on the port.
fn culprit(protocol: Protocol, port: u16, error: Errno) -> IpAddr {
    let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let v4_is_free = || open(protocol, SocketAddr::new(v4, port), true).is_ok();
    if error == Errno::ADDRINUSE && v4_is_free() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        v4
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
