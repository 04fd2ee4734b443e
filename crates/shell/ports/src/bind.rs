//! The sockets that hold ports.

use crate::PortError;
use crate::binding::Binding;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, Shutdown, SocketFlags, SocketType, ipproto, sockopt};
use sealane_core::model::{IpFamily, Protocol};
use sealane_kernel::port_socket;
use sealane_kernel::read::BoundSockets;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = i32::MAX;

/// Where ports are bound.
pub(crate) trait Bind: Debug + Send + Sync {
    /// Binds a port and returns its socket, which is mute. `None` where the kernel does not have
    /// the protocol, so that no other socket can have the port either.
    fn bind(
        &self,
        protocol: Protocol,
        binding: Binding,
        port: u16,
    ) -> Result<Option<OwnedFd>, PortError>;

    /// Makes a socket that was kept do what this daemon's do. Returns whether it is one for that
    /// port.
    fn take_over(&self, socket: &OwnedFd, protocol: Protocol, port: u16) -> bool;

    /// What is bound already, by any process.
    fn bound(&self, protocol: Protocol) -> io::Result<BoundSockets>;
}

/// Binds sockets as this host and this daemon need them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binder {
    /// Whether the kernel has IPv6.
    ipv6: bool,
    /// Whether streams are accepted at all: without, a peer shall be refused, not kept waiting.
    listens: bool,
}

impl Binder {
    pub(crate) fn new(listens: bool) -> Self {
        let flags = SocketFlags::CLOEXEC;
        let probe = net::socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None);
        Self {
            ipv6: !matches!(probe, Err(Errno::AFNOSUPPORT)),
            listens,
        }
    }
}

impl Bind for Binder {
    fn take_over(&self, socket: &OwnedFd, protocol: Protocol, port: u16) -> bool {
        let bound = net::getsockname(socket).and_then(SocketAddr::try_from);
        if !bound.is_ok_and(|bound| bound.port() == port) {
            return false;
        }
        let changed = match (protocol, self.listens) {
            (Protocol::Tcp, true) => net::listen(socket, BACKLOG),
            (Protocol::Tcp, false) => match net::shutdown(socket, Shutdown::Read) {
                // It does not listen as it is.
                Err(Errno::NOTCONN) => Ok(()),
                other => other,
            },
            (Protocol::Udp | Protocol::Sctp, _) => Ok(()),
        };
        changed.is_ok()
    }

    fn bind(
        &self,
        protocol: Protocol,
        binding: Binding,
        port: u16,
    ) -> Result<Option<OwnedFd>, PortError> {
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        let (address, only) = match binding {
            Binding::Any if self.ipv6 => (v6, false),
            Binding::Any | Binding::AnyV4 => (v4, true),
            Binding::AnyV6 => (v6, true),
            Binding::One(address) => (address, true),
        };
        match open(protocol, SocketAddr::new(address, port), only, self.listens) {
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

    fn bound(&self, protocol: Protocol) -> io::Result<BoundSockets> {
        BoundSockets::holding(protocol)
    }
}

fn open(
    protocol: Protocol,
    address: SocketAddr,
    only: bool,
    listens: bool,
) -> Result<OwnedFd, Errno> {
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
            port_socket::report_local_end(&socket, IpFamily::of(address.ip())).map_err(errno)?;
        }
        Protocol::Sctp => {}
    }
    net::bind(&socket, &address)?;
    match protocol {
        // Listening, if only for a moment, finds a listener that was bound just as leniently; and
        // then no other socket may be lenient towards us.
        Protocol::Tcp => {
            net::listen(&socket, BACKLOG)?;
            sockopt::set_socket_reuseaddr(&socket, false)?;
            if !listens {
                // Linux takes a listener back to being bound.
                net::shutdown(&socket, Shutdown::Read)?;
            }
        }
        Protocol::Udp | Protocol::Sctp => {}
    }
    Ok(socket)
}

/// The address to name when a dual-stack socket cannot be bound: the one of IPv4, unless only
/// IPv6 has another socket on the port.
fn culprit(protocol: Protocol, port: u16, error: Errno) -> IpAddr {
    let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let v4_is_free = || open(protocol, SocketAddr::new(v4, port), true, true).is_ok();
    if error == Errno::ADDRINUSE && v4_is_free() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        v4
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
