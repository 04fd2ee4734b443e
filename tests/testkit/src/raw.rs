//! Packets of protocols for which there are no sockets.

use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketAddrV4, SocketAddrV6, SocketType, sendto, socket,
    sockopt,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

/// Sends an IPv4 packet with any payload, from the network namespace of the calling thread.
///
/// # Panics
/// When the kernel refuses it.
pub fn send_raw(protocol: u32, to: Ipv4Addr, payload: &[u8]) {
    let number = NonZeroU32::new(protocol).expect("IP has a protocol number");
    let raw = Some(Protocol::from_raw(number));
    let socket = socket(AddressFamily::INET, SocketType::RAW, raw).expect("a raw socket, as root");
    let sent = sendto(
        &socket,
        payload,
        SendFlags::empty(),
        &SocketAddrV4::new(to, 0),
    );
    assert_eq!(sent.expect("the packet is sent"), payload.len());
}

/// Sends a whole packet, its IP header included, from the network namespace of the calling thread:
/// with whatever source it says, by the route to `to`, which may be another destination than its own.
///
/// # Panics
/// When the kernel refuses it.
pub fn send_whole(to: IpAddr, packet: &[u8]) {
    const RAW: NonZeroU32 = NonZeroU32::new(255).unwrap(); // IPPROTO_RAW: the header is the sender's
    let (family, to): (_, SocketAddr) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, (to, 0).into()),
        IpAddr::V6(_) => (AddressFamily::INET6, (to, 0).into()),
    };
    let raw = Some(Protocol::from_raw(RAW));
    let socket = socket(family, SocketType::RAW, raw).expect("a raw socket, as root");
    let sent = sendto(&socket, packet, SendFlags::empty(), &to);
    assert_eq!(sent.expect("the packet is sent"), packet.len());
}

/// Sends an IPv6 packet with any payload to the neighbors on a link, from the network namespace of
/// the calling thread, with the hop limit by which they know that it is from one of them.
///
/// # Panics
/// When the kernel refuses it.
pub fn send_to_neighbors(protocol: u32, to: SocketAddrV6, payload: &[u8]) {
    let number = NonZeroU32::new(protocol).expect("IP has a protocol number");
    let raw = Some(Protocol::from_raw(number));
    let socket = socket(AddressFamily::INET6, SocketType::RAW, raw).expect("a raw socket, as root");
    sockopt::set_ipv6_multicast_hops(&socket, 255).expect("a limit");
    let sent = sendto(&socket, payload, SendFlags::empty(), &to);
    assert_eq!(sent.expect("the packet is sent"), payload.len());
}
