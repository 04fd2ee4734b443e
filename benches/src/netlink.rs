//! The floor's netlink socket: a batch is one send, and every request is acknowledged.
//!
//! Nothing of the product is used here: the floor is what the product is measured against.

use crate::error::{BenchError, Result, failed};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::io;

/// A request: the message and further flags.
pub(crate) type Request = (RouteNetlinkMessage, u16);

/// A socket for rtnetlink in one namespace.
#[derive(Debug)]
pub(crate) struct Route {
    socket: Socket,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Route {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        Ok(Self {
            socket,
            outgoing: Vec::new(),
            incoming: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends requests at once and waits for all acknowledgements. Returns the objects that came
    /// with them.
    pub(crate) fn exchange(&mut self, requests: Vec<Request>) -> Result<Vec<RouteNetlinkMessage>> {
        let count = requests.len();
        self.outgoing.clear();
        for (place, (message, flags)) in requests.into_iter().enumerate() {
            self.append(message, flags, place as u32 + 1);
        }
        self.socket
            .send(&self.outgoing, 0)
            .map_err(failed("sending to netlink"))?;
        let (mut acknowledged, mut objects) = (0, Vec::new());
        while acknowledged < count {
            self.receive()?;
            acknowledged += read_answers(&self.incoming, count, &mut objects)?;
        }
        Ok(objects)
    }

    fn append(&mut self, message: RouteNetlinkMessage, flags: u16, sequence: u32) {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let start = self.outgoing.len();
        let length = message.buffer_len().next_multiple_of(4);
        self.outgoing.resize(start + length, 0);
        message.serialize(&mut self.outgoing[start..]);
    }

    fn receive(&mut self) -> Result<()> {
        self.incoming.clear();
        let received = self.socket.recv(&mut self.incoming, 0);
        received
            .map(drop)
            .map_err(failed("reading netlink's answer"))
    }
}

/// Reads the messages of a datagram; returns how many of them were acknowledgements.
fn read_answers(
    mut rest: &[u8],
    count: usize,
    objects: &mut Vec<RouteNetlinkMessage>,
) -> Result<usize> {
    let mut acknowledged = 0;
    while let Ok(message) = NetlinkBuffer::new_checked(rest) {
        if message.message_type() == NLMSG_ERROR {
            let code = message
                .payload()
                .get(..4)
                .and_then(|code| code.try_into().ok());
            let code = i32::from_ne_bytes(code.unwrap_or_default());
            if code != 0 {
                return Err(BenchError::Refused {
                    place: message.sequence_number() as usize,
                    count,
                    source: io::Error::from_raw_os_error(-code),
                });
            }
            acknowledged += 1;
        } else if let Some(object) = decode(rest) {
            objects.push(object);
        }
        let length = (message.length() as usize).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(acknowledged)
}

fn decode(bytes: &[u8]) -> Option<RouteNetlinkMessage> {
    let message = NetlinkMessage::deserialize(bytes).ok()?;
    if let NetlinkPayload::InnerMessage(object) = message.payload {
        Some(object)
    } else {
        None
    }
}
