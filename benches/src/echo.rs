//! The first packet: an ICMP echo, which the kernel answers without waking a process.

use crate::error::{BenchError, Result, failed};
use crate::namespace::Namespace;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrV4, SocketFlags, SocketType, ipproto, recv,
    sendto, socket_with,
};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Beyond this a packet is lost, and another is sent.
const PATIENCE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 60;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Tells our answers from those to others.
const IDENTIFIER: [u8; 2] = *b"sl";

/// A raw socket in a namespace.
#[derive(Debug)]
pub(crate) struct Pinger {
    socket: OwnedFd,
    sequence: u16,
}

impl Pinger {
    /// Opens the socket.
    pub(crate) fn open(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.visit(|| {
            let protocol = Some(ipproto::ICMP);
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::RAW, flags, protocol)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            Ok(socket)
        })?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Sends a packet, and others if it is lost, until one is answered. Returns how long that
    /// took.
    pub(crate) fn ping(&mut self, to: Ipv4Addr) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..ATTEMPTS {
            if self.attempt(to)? {
                return Ok(start.elapsed());
            }
        }
        Err(BenchError::Unexpected(format!("{to} does not answer")))
    }

    fn attempt(&mut self, to: Ipv4Addr) -> Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let packet = echo_request(self.sequence);
        let to = SocketAddrV4::new(to, 0);
        let sent = sendto(&self.socket, &packet, SendFlags::empty(), &to);
        sent.map_err(|error| failed("sending the first packet")(error.into()))?;
        self.is_answered()
    }

    fn is_answered(&self) -> Result<bool> {
        let mut buffer = [0; 256];
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
                Ok((length, _)) if is_reply(&buffer[..length], self.sequence)? => return Ok(true),
                Ok(_) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(failed("waiting for an answer")(error.into())),
            }
        }
    }
}

/// Whether an IPv4 packet is the answer to this request.
fn is_reply(packet: &[u8], sequence: u16) -> Result<bool> {
    let header = packet
        .first()
        .map_or(0, |first| usize::from(first & 15) * 4);
    let short = || BenchError::Unexpected("an ICMP packet is cut short".into());
    let message = packet.get(header..header + 8).ok_or_else(short)?;
    Ok(message[0] == ECHO_REPLY
        && message[4..6] == IDENTIFIER
        && message[6..8] == sequence.to_be_bytes())
}

fn echo_request(sequence: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = ECHO_REQUEST;
    packet[4..6].copy_from_slice(&IDENTIFIER);
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let checksum = checksum(&packet);
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_up_to_nothing() {
        assert_eq!(checksum(&echo_request(7)), 0);
    }

    #[test]
    fn a_request_is_no_reply() {
        let mut packet = vec![0x45; 20];
        packet.extend(echo_request(3));
        assert!(!is_reply(&packet, 3).unwrap());
        packet[20] = ECHO_REPLY;
        assert!(is_reply(&packet, 3).unwrap());
        assert!(!is_reply(&packet, 4).unwrap());
    }
}
