//! Sockets: the pair a resolver listens on, and those it asks upstreams with.

use crate::NameserverError;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sealane_core::dns::RESOLVER_ADDRESS;
use sealane_core::model::IpFamily;
use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

/// What the resolver of a sandbox listens on: 127.0.0.11, ports that the kernel chose.
#[derive(Debug)]
pub struct SandboxSockets {
    /// For queries in datagrams.
    pub udp: UdpSocket,
    /// For queries in streams.
    pub tcp: TcpListener,
}

/// A kind of socket to ask an upstream with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketKind {
    /// The family of the upstream's address.
    pub family: IpFamily,
    /// Whether it is asked in a stream.
    pub stream: bool,
}

impl SandboxSockets {
    /// The ports, UDP first. Queries to port 53 must be led here.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((self.udp.local_addr()?.port(), self.tcp.local_addr()?.port()))
    }
}

/// Opens the sockets of a resolver in the namespace of the calling thread.
pub fn bind_sockets() -> Result<SandboxSockets, NameserverError> {
    bind_sockets_at(0, 0)
}

/// Opens them on the ports they had before the daemon was started anew, so that the sandbox's
/// rules stay true.
pub fn bind_sockets_at(udp_port: u16, tcp_port: u16) -> Result<SandboxSockets, NameserverError> {
    let at = |port| SocketAddr::V4(SocketAddrV4::new(RESOLVER_ADDRESS, port));
    let failed = |transport, port| {
        move |source| NameserverError::Bind {
            transport,
            port,
            source,
        }
    };
    // TcpListener sets SO_REUSEADDR, without which connections of the last run hold the port.
    Ok(SandboxSockets {
        udp: UdpSocket::bind(at(udp_port)).map_err(failed("UDP", udp_port))?,
        tcp: TcpListener::bind(at(tcp_port)).map_err(failed("TCP", tcp_port))?,
    })
}

/// Opens a socket of this kind in the namespace of the calling thread.
pub fn open_socket(kind: SocketKind) -> io::Result<OwnedFd> {
    let family = kind.family.pick(AddressFamily::INET, AddressFamily::INET6);
    let socket_type = if kind.stream {
        SocketType::STREAM
    } else {
        SocketType::DGRAM
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, socket_type, flags, None)?)
}
