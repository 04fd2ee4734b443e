//! What the sockets of published ports need and no safe crate offers: a filter that drops
//! everything, and datagrams that know the local address they were sent to.

#![expect(
    unsafe_code,
    reason = "no safe crate attaches filters or reads packet info"
)]

use sealane_core::model::IpFamily;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

/// The local end of a datagram: what the peer sent to, and must get its answer from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalEnd {
    /// The address; an IPv4 one of a dual-stack socket is IPv4.
    pub address: IpAddr,
    /// The index of the link, for addresses that mean nothing without one; else 0.
    pub interface: u32,
}

/// A datagram that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How much of the buffer it fills.
    pub length: usize,
    /// Who sent it, in the family of the socket.
    pub peer: SocketAddr,
    /// Where it was sent to.
    pub local: LocalEnd,
}

/// Makes a socket drop whatever arrives, without a word to the sender.
pub fn mute(socket: impl AsFd) -> io::Result<()> {
    const DROP_ALL: libc::sock_filter = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let mut filter = [DROP_ALL];
    let program = libc::sock_fprog {
        len: 1,
        filter: filter.as_mut_ptr(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Ends [`mute`]. A socket that is not mute stays as it is.
pub fn unmute(socket: impl AsFd) -> io::Result<()> {
    match set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0i32) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other,
    }
}

/// Makes a datagram socket tell the local address of what it receives; see [`receive`].
pub fn report_local_end(socket: impl AsFd, family: IpFamily) -> io::Result<()> {
    let (level, option) = match family {
        IpFamily::V4 => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        IpFamily::V6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    set_option(socket, level, option, &1i32)
}

/// Takes the next datagram from a socket on which [`report_local_end`] was called. What does not
/// fit into the buffer is lost.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Datagram> {
    // SAFETY: all-zero bytes are a valid value of these plain C structs.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) = unsafe { mem::zeroed() };
    let mut control = Control::default();
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    header.msg_name = ptr::from_mut(&mut name).cast();
    header.msg_namelen = size_of_val(&name) as libc::socklen_t;
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control.0);
    // SAFETY: every pointer in the header is to a live, exclusively borrowed object of the length
    // beside it, and the kernel writes no further.
    let length =
        unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &mut header, libc::MSG_DONTWAIT) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let unknown = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let peer = read_name(&name).ok_or_else(|| unknown("a datagram without a sender"))?;
    let local = local_end(&header).ok_or_else(|| unknown("a datagram without a local address"))?;
    Ok(Datagram {
        length,
        peer,
        local,
    })
}

/// Sends a datagram to `peer`, from a given address of ours. `peer` is of the socket's family, as
/// [`receive`] returned it.
pub fn send(
    socket: impl AsFd,
    bytes: &[u8],
    peer: SocketAddr,
    local: &LocalEnd,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are a valid value of this plain C struct.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    let mut control = Control::default();
    let mut name = write_name(peer);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    header.msg_name = ptr::from_mut(&mut name.0).cast();
    header.msg_namelen = name.1;
    header.msg_iov = &mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control.0);
    header.msg_controllen = match peer {
        SocketAddr::V4(_) => put_control(&header, libc::IPPROTO_IP, libc::IP_PKTINFO, v4(local)),
        SocketAddr::V6(_) => {
            put_control(&header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, v6(local))
        }
    };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer in the header is to a live object of the length beside it; the kernel
    // only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &header, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Room for one control message, aligned as its header must be.
#[derive(Default)]
struct Control([u64; 8]);

fn set_option<T>(socket: impl AsFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is a live object of `length` bytes, which the kernel only reads; a filter in
    // it outlives the call.
    let result = unsafe {
        let value = ptr::from_ref(value).cast();
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, length)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn local_end(header: &libc::msghdr) -> Option<LocalEnd> {
    // SAFETY: the kernel filled in the header and the control buffer that it points to.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: the CMSG macros return only pointers to whole headers inside the buffer.
        let found = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        if found == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // SAFETY: a message of this type carries this struct, at any alignment.
            let info: libc::in_pktinfo =
                unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast()) };
            let address = Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr));
            return Some(LocalEnd {
                address: address.into(),
                interface: 0,
            });
        }
        if found == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            // SAFETY: a message of this type carries this struct, at any alignment.
            let info: libc::in6_pktinfo =
                unsafe { ptr::read_unaligned(libc::CMSG_DATA(message).cast()) };
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scoped = address.is_unicast_link_local();
            let interface = if scoped { info.ipi6_ifindex as u32 } else { 0 };
            return Some(LocalEnd {
                address: address.to_canonical(),
                interface,
            });
        }
        // SAFETY: as for the first message.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// Writes one control message into the buffer of a header, and returns how much of it is used.
fn put_control<T>(header: &libc::msghdr, level: i32, kind: i32, value: T) -> usize {
    let length = size_of::<T>() as u32;
    // SAFETY: the buffer is a `Control`, aligned for a header, and longer than a header and any of
    // the two structs that are put here.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(length) as usize;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), value);
        libc::CMSG_SPACE(length) as usize
    }
}

fn v4(local: &LocalEnd) -> libc::in_pktinfo {
    let address = match local.address {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
    };
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr {
            s_addr: address.to_bits().to_be(),
        },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn v6(local: &LocalEnd) -> libc::in6_pktinfo {
    let address = match local.address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: address.octets(),
        },
        ipi6_ifindex: local.interface,
    }
}

fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which struct the storage, aligned for all of them, holds.
            let name: &libc::sockaddr_in = unsafe { &*ptr::from_ref(name).cast() };
            let address = Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name: &libc::sockaddr_in6 = unsafe { &*ptr::from_ref(name).cast() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(SocketAddrV6::new(address, port, 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_name(peer: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero bytes are a valid value of this plain C struct.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match peer {
        SocketAddr::V4(peer) => {
            // SAFETY: the storage is larger than any address and aligned for all of them.
            let name: &mut libc::sockaddr_in = unsafe { &mut *ptr::from_mut(&mut storage).cast() };
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_port = peer.port().to_be();
            name.sin_addr.s_addr = peer.ip().to_bits().to_be();
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(peer) => {
            // SAFETY: as above.
            let name: &mut libc::sockaddr_in6 = unsafe { &mut *ptr::from_mut(&mut storage).cast() };
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = peer.port().to_be();
            name.sin6_addr.s6_addr = peer.ip().octets();
            name.sin6_scope_id = peer.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn pair(bind: &str, family: IpFamily) -> UdpSocket {
        let socket = UdpSocket::bind(bind).unwrap();
        report_local_end(&socket, family).unwrap();
        socket
    }

    /// Sends to `to`, answers from there, and returns what the socket saw and whom the answer
    /// came from.
    fn talk(server: &UdpSocket, client: &str, to: &str) -> (Datagram, SocketAddr) {
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind(client).unwrap();
        let to: IpAddr = to.parse().unwrap();
        client.send_to(b"ping", (to, port)).unwrap();
        let mut buffer = [0; 16];
        let datagram = receive(server, &mut buffer).unwrap();
        assert_eq!(&buffer[..datagram.length], b"ping");
        assert_eq!(
            send(server, b"pong", datagram.peer, &datagram.local).unwrap(),
            4
        );
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"pong");
        (datagram, from)
    }

    #[test]
    fn an_answer_leaves_by_the_address_that_was_asked() {
        let server = pair("0.0.0.0:0", IpFamily::V4);
        let (datagram, from) = talk(&server, "127.0.0.1:0", "127.0.0.9");
        assert_eq!(datagram.local.address, Ipv4Addr::new(127, 0, 0, 9));
        assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 9));
    }

    #[test]
    fn a_dual_stack_socket_answers_in_both_families() {
        let server = pair("[::]:0", IpFamily::V6);
        let (datagram, from) = talk(&server, "127.0.0.1:0", "127.0.0.9");
        assert_eq!(datagram.local.address, Ipv4Addr::new(127, 0, 0, 9));
        assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 9));
        let (datagram, from) = talk(&server, "[::1]:0", "::1");
        assert_eq!(datagram.local.address, Ipv6Addr::LOCALHOST);
        assert_eq!(from.ip(), Ipv6Addr::LOCALHOST);
    }

    #[test]
    fn a_mute_socket_hears_nothing() {
        let server = pair("127.0.0.1:0", IpFamily::V4);
        let to = server.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        mute(&server).unwrap();
        client.send_to(b"lost", to).unwrap();
        unmute(&server).unwrap();
        unmute(&server).unwrap();
        client.send_to(b"heard", to).unwrap();
        let mut buffer = [0; 16];
        let datagram = receive(&server, &mut buffer).unwrap();
        assert_eq!(&buffer[..datagram.length], b"heard");
        let nothing = receive(&server, &mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }
}
