//! The kernel's instructions, of which a rule is a list: loads into registers, comparisons of
//! registers, and what is done in the end.

use crate::message::Attributes;
use sealane_core::nft::Verdict;

const LIST_ELEMENT: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// `NFT_REJECT_TCP_RST`
const TCP_RESET: u32 = 1;
/// `NFT_NAT_SNAT`
const SNAT: u32 = 0;

/// A register of 32 bits; wider values take several. The first sixteen are all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register(u32);

impl Register {
    /// Where verdicts go (`NFT_REG_VERDICT`).
    const VERDICT: u32 = 0;
    /// The first (`NFT_REG32_00`).
    pub(crate) const FIRST: Self = Self(8);

    /// The register that follows `bytes` of data in this one.
    pub(crate) fn after(self, bytes: usize) -> Self {
        Self(self.0 + bytes.div_ceil(4) as u32)
    }
}

/// `NFT_META_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    Mark = 3,
    InputName = 6,
    OutputName = 7,
    InputType = 8,
    NfProto = 15,
    L4Proto = 16,
    PacketType = 19,
    InputGroup = 21,
    OutputGroup = 22,
}

/// `NFT_CT_*`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ct {
    State = 0,
    Status = 2,
}

/// `NFT_PAYLOAD_*_HEADER`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// How the checksum is kept right when a packet is changed (`NFT_PAYLOAD_CSUM_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// The sum of TCP and UDP, at this offset of the header.
    Internet(u32),
    /// The CRC of SCTP.
    Sctp,
    /// The sum of an IPv4 header, and of the transport's that counts its addresses too.
    Network,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Loads what the kernel knows of the packet.
    Meta(Meta, Register),
    /// Loads a field of the packet.
    Payload {
        header: Header,
        offset: u32,
        length: u32,
        to: Register,
    },
    /// Loads what is known of the connection.
    Ct(Ct, Register),
    /// Loads the type of the destination address, as of its own table of routes.
    DestinationType(Register),
    /// Loads whether the source is routed back by the link that the packet came from.
    FromItsRoute(Register),
    /// Keeps the bits of a register that the mask has.
    Mask(Register, Vec<u8>),
    /// Ends the rule unless the register holds the value; unless it does not, if not `equal`.
    Compare {
        register: Register,
        equal: bool,
        value: Vec<u8>,
    },
    /// Ends the rule unless the set has the key; unless it has not, if `inverted`.
    Lookup {
        set: String,
        key: Register,
        inverted: bool,
    },
    /// Loads the data that the map has for the key; ends the rule if none.
    MapLookup {
        map: String,
        key: Register,
        to: Register,
    },
    /// Takes the verdict that the map has for the key; ends the rule if none.
    VerdictLookup { map: String, key: Register },
    /// Loads a value.
    Load(Register, Vec<u8>),
    /// Writes a register into the packet.
    Write {
        header: Header,
        offset: u32,
        length: u32,
        from: Register,
        checksum: Checksum,
    },
    /// Translates the destination.
    Dnat {
        family: u8,
        address: Register,
        port: Option<Register>,
    },
    /// Translates the source.
    Snat { family: u8, address: Register },
    /// Translates the source to the address of the outgoing link.
    Masquerade,
    /// Marks the packet with what a register holds.
    SetMark(Register),
    /// Ends the packet, and the TCP connection for its sender.
    Reset,
    /// Leaves the connection untracked.
    NoTrack,
    /// Counts.
    Counter,
    /// Ends the rule with a verdict.
    Verdict(Verdict),
}

impl Expression {
    /// Writes the expression as an element of a list.
    pub(crate) fn encode(&self, list: &mut Attributes) {
        list.nested(LIST_ELEMENT, |expression| {
            expression.text(EXPR_NAME, self.name());
            expression.nested(EXPR_DATA, |data| self.encode_data(data));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) | Self::SetMark(_) => "meta",
            Self::Payload { .. } | Self::Write { .. } => "payload",
            Self::Ct(..) => "ct",
            Self::DestinationType(_) | Self::FromItsRoute(_) => "fib",
            Self::Mask(..) => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } | Self::MapLookup { .. } | Self::VerdictLookup { .. } => "lookup",
            Self::Load(..) | Self::Verdict(_) => "immediate",
            Self::Dnat { .. } | Self::Snat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Reset => "reject",
            Self::NoTrack => "notrack",
            Self::Counter => "counter",
        }
    }

    fn encode_data(&self, data: &mut Attributes) {
        match self {
            Self::Meta(key, to) => data.number(1, to.0).number(2, *key as u32),
            Self::SetMark(from) => data.number(2, Meta::Mark as u32).number(3, from.0),
            Self::Ct(key, to) => data.number(1, to.0).number(2, *key as u32),
            Self::FromItsRoute(to) => {
                const LINK: u32 = 1;
                const OF_SOURCE_BY_INPUT_WHETHER: u32 = 1 | 1 << 3 | 1 << 5;
                data.number(1, to.0)
                    .number(2, LINK)
                    .number(3, OF_SOURCE_BY_INPUT_WHETHER)
            }
            Self::DestinationType(to) => {
                const ADDRESS_TYPE: u32 = 3;
                const OF_DESTINATION: u32 = 2;
                data.number(1, to.0)
                    .number(2, ADDRESS_TYPE)
                    .number(3, OF_DESTINATION)
            }
            Self::Payload {
                header,
                offset,
                length,
                to,
            } => data
                .number(1, to.0)
                .number(2, *header as u32)
                .number(3, *offset)
                .number(4, *length),
            Self::Write {
                header,
                offset,
                length,
                from,
                checksum,
            } => {
                data.number(2, *header as u32)
                    .number(3, *offset)
                    .number(4, *length);
                checksum.encode(data.number(5, from.0))
            }
            Self::Mask(register, mask) => {
                data.number(1, register.0)
                    .number(2, register.0)
                    .number(3, mask.len() as u32);
                data.nested(4, |data| value(data, mask));
                data.nested(5, |data| value(data, &vec![0; mask.len()]))
            }
            Self::Compare {
                register,
                equal,
                value: wanted,
            } => {
                data.number(1, register.0).number(2, u32::from(!equal));
                data.nested(3, |data| value(data, wanted))
            }
            Self::Lookup { set, key, inverted } => data
                .text(1, set)
                .number(2, key.0)
                .number(5, u32::from(*inverted)),
            Self::MapLookup { map, key, to } => data.text(1, map).number(2, key.0).number(3, to.0),
            Self::VerdictLookup { map, key } => data
                .text(1, map)
                .number(2, key.0)
                .number(3, Register::VERDICT),
            Self::Load(to, loaded) => data.number(1, to.0).nested(2, |data| value(data, loaded)),
            Self::Verdict(taken) => data
                .number(1, Register::VERDICT)
                .nested(2, |data| verdict(data, taken)),
            Self::Dnat {
                family,
                address,
                port,
            } => encode_dnat(data, *family, *address, *port),
            Self::Snat { family, address } => data
                .number(1, SNAT)
                .number(2, (*family).into())
                .number(3, address.0),
            Self::Counter => data.long(1, 0).long(2, 0),
            Self::Reset => data.number(1, TCP_RESET),
            Self::Masquerade | Self::NoTrack => data,
        };
    }
}

impl Checksum {
    fn encode(self, data: &mut Attributes) -> &mut Attributes {
        match self {
            Self::Internet(offset) => data.number(6, 1).number(7, offset),
            Self::Sctp => data.number(6, 2).number(7, 8),
            Self::Network => data.number(6, 1).number(7, 10).number(8, 1),
        }
    }
}

fn encode_dnat(
    data: &mut Attributes,
    family: u8,
    address: Register,
    port: Option<Register>,
) -> &mut Attributes {
    const DNAT: u32 = 1;
    data.number(1, DNAT)
        .number(2, family.into())
        .number(3, address.0);
    if let Some(port) = port {
        data.number(5, port.0);
    }
    data
}

/// Data that is a value (`NFTA_DATA_VALUE`).
pub(crate) fn value(data: &mut Attributes, bytes: &[u8]) {
    data.bytes(DATA_VALUE, bytes);
}

/// Data that is a verdict (`NFTA_DATA_VERDICT`).
pub(crate) fn verdict(data: &mut Attributes, verdict: &Verdict) {
    let (code, chain): (i32, _) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    data.nested(DATA_VERDICT, |data| {
        data.number(VERDICT_CODE, code as u32);
        if let Some(chain) = chain {
            data.text(VERDICT_CHAIN, chain);
        }
    });
}
