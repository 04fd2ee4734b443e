//! Telling neighbors whose address it is, unasked.
//!
//! A neighbor that knew the address by another hardware address would otherwise send there until
//! its entry is stale.

use crate::kernel::Kernel;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use sealane_core::model::{InterfaceName, Mac};
use sealane_core::plan::Netns;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// Announces an address on a link: by an ARP request for itself (RFC 5227, an ARP announcement), or
/// by a neighbor advertisement.
pub(super) fn announce(
    kernel: &Kernel,
    netns: Netns,
    link: &InterfaceName,
    address: IpAddr,
    mac: Mac,
) -> io::Result<()> {
    let frame = match address {
        IpAddr::V4(address) => arp(address, mac),
        IpAddr::V6(address) => advertisement(address, mac),
    };
    kernel.in_namespace(netns, || {
        // Protocol 0: it sends, and receives nothing.
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let index = netdevice::name_to_index(&socket, link.as_str())?;
        send(&socket, index, &frame)
    })
}

fn arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, mac, ARP);
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]); // Ethernet, IPv4, request
    frame.extend_from_slice(&mac.0);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&address.octets());
    frame
}

fn advertisement(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    const ADVERTISEMENT: u8 = 136;
    const OVERRIDE: u8 = 0x20;
    const TARGET_MAC: [u8; 2] = [2, 1];
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend_from_slice(&address.octets());
    message.extend_from_slice(&TARGET_MAC);
    message.extend_from_slice(&mac.0);
    let sum = checksum(address, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = ethernet(ALL_NODES_MAC, mac, IPV6);
    let length = message.len() as u8;
    frame.extend_from_slice(&[0x60, 0, 0, 0, 0, length, ICMPV6, 255]);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(&ALL_NODES.octets());
    frame.extend_from_slice(&message);
    frame
}

fn ethernet(to: [u8; 6], from: Mac, kind: [u8; 2]) -> Vec<u8> {
    [to.as_slice(), &from.0, &kind].concat()
}

/// The checksum of ICMPv6, over the message and what the header says of it.
fn checksum(from: Ipv6Addr, message: &[u8]) -> u16 {
    let covered = [&from.octets(), &ALL_NODES.octets(), message].concat();
    let words = covered
        .as_chunks::<2>()
        .0
        .iter()
        .map(|word| u32::from(u16::from_be_bytes(*word)));
    let mut sum = words.sum::<u32>() + message.len() as u32 + u32::from(ICMPV6);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[expect(unsafe_code, reason = "rustix has no address of packet sockets")]
fn send(socket: &OwnedFd, link: u32, frame: &[u8]) -> io::Result<()> {
    // SAFETY: the structure is integers and an array of them, for which zero is a value.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = libc::AF_PACKET as u16;
    to.sll_ifindex = link as i32;
    to.sll_halen = 6;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the descriptor is open; frame and address live through the call and are as long as
    // is said.
    let sent = unsafe {
        let to = (&raw const to).cast();
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            to,
            length,
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
