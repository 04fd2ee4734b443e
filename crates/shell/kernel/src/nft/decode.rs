//! What the kernel reports of nftables, read without trust: whatever is malformed is absent.

use super::set::{Shape, TYPE_BITS, length, type_number};
use super::table::Ownership;
use netlink_packet_core::{NLA_TYPE_MASK, NlasIterator};
use sealane_core::model::{InterfaceName, IpFamily, Mac, Protocol};
use sealane_core::nft::{Data, DataType, Datum, Verdict};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ALL_TYPES: [DataType; 7] = [
    DataType::Mac,
    DataType::NfProto,
    DataType::Ipv4,
    DataType::Ipv6,
    DataType::Protocol,
    DataType::Port,
    DataType::Interface,
];

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) hook: Option<Hook>,
    pub(crate) policy_drop: bool,
    pub(crate) comment: Option<String>,
}

/// Where a base chain is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) point: u32,
    pub(crate) priority: i32,
    pub(crate) kind: String,
}

/// A set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) shape: Shape,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) chain: String,
    pub(crate) handle: u64,
    pub(crate) comment: Option<String>,
    pub(crate) expressions: Vec<Expression>,
}

/// An expression: its name and the attributes of its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
}

/// An element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: Vec<u8>,
    pub(crate) key_end: Option<Vec<u8>>,
    pub(crate) data: Option<Found>,
    /// Whether it only says that the interval before it is over.
    pub(crate) end: bool,
}

/// The data of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Bytes.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// Reads who may change a table from a message of netfilter.
pub(crate) fn ownership(payload: &[u8]) -> Ownership {
    const OWNER: u32 = 0x2;
    const PERSIST: u32 = 0x4;
    let attributes = payload.get(4..).unwrap_or_default();
    let flags = find(attributes, 2).and_then(number).unwrap_or(0);
    match find(attributes, 7).and_then(number) {
        Some(owner) if flags & OWNER != 0 => Ownership::Of(owner),
        _ if flags & PERSIST != 0 => Ownership::Orphan,
        _ => Ownership::Open,
    }
}

/// Reads a chain from a message of netfilter.
pub(crate) fn chain(payload: &[u8]) -> Option<Chain> {
    let (head, attributes) = payload.split_first_chunk::<4>()?;
    let hook = find(attributes, 4).and_then(|hook| {
        let point = number(find(hook, 1)?)?;
        let priority = number(find(hook, 2)?)? as i32;
        let kind = find(attributes, 7).map(text).unwrap_or_default();
        Some(Hook {
            point,
            priority,
            kind,
        })
    });
    Some(Chain {
        family: head[0],
        table: text(find(attributes, 1)?),
        name: text(find(attributes, 3)?),
        hook,
        policy_drop: find(attributes, 5).and_then(number) == Some(0),
        comment: find(attributes, 12).and_then(comment),
    })
}

/// Reads a set from a message of netfilter.
pub(crate) fn set(payload: &[u8]) -> Option<Set> {
    let attributes = payload.get(4..)?;
    let shape = Shape {
        flags: find(attributes, 3).and_then(number).unwrap_or(0),
        key: find(attributes, 4).and_then(number)?,
        data: find(attributes, 6).and_then(number),
    };
    Some(Set {
        name: text(find(attributes, 2)?),
        shape,
    })
}

/// Reads a rule from a message of netfilter.
pub(crate) fn rule(payload: &[u8]) -> Option<Rule> {
    let attributes = payload.get(4..)?;
    let expressions = list(find(attributes, 4).unwrap_or_default()).filter_map(|expression| {
        let name = text(find(expression, 1)?);
        Some(Expression {
            name,
            data: find(expression, 2).unwrap_or_default().to_vec(),
        })
    });
    Some(Rule {
        chain: text(find(attributes, 2)?),
        handle: u64::from_be_bytes(find(attributes, 3)?.try_into().ok()?),
        comment: find(attributes, 7).and_then(comment),
        expressions: expressions.collect(),
    })
}

/// Reads the elements in a message of netfilter.
pub(crate) fn elements(payload: &[u8]) -> Vec<Element> {
    let attributes = payload.get(4..).unwrap_or_default();
    let elements = list(find(attributes, 3).unwrap_or_default());
    elements.filter_map(element).collect()
}

/// The value of the first attribute of a kind.
pub(crate) fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    all(attributes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// A number in network order.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    value.try_into().ok().map(u32::from_be_bytes)
}

/// A text without its closing NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Reads the key of an element of a set whose key has this type number. Ranges are only in the
/// last field.
pub(crate) fn key(types: u32, element: &Element) -> Option<Vec<Datum>> {
    let types = fields(types)?;
    let alone = types.len() == 1;
    let (mut start, mut end) = (element.key.as_slice(), element.key_end.as_deref());
    let mut datums = Vec::with_capacity(types.len());
    for field in types {
        let first = take(field, &mut start, alone)?;
        let last = match &mut end {
            Some(end) => Some(take(field, end, alone)?),
            None => None,
        };
        datums.push(match (first, last) {
            (Datum::Port(first), Some(Datum::Port(last))) => Datum::Ports(first, last),
            (first, _) => first,
        });
    }
    Some(datums)
}

/// Reads the data of an element as one of ours.
pub(crate) fn data(element: &Element) -> Option<Data> {
    let bytes = match &element.data {
        None => return Some(Data::None),
        Some(Found::Verdict(verdict)) => return Some(Data::Verdict(verdict.clone())),
        Some(Found::Value(bytes)) => bytes,
    };
    let split = match bytes.len() {
        4 | 8 => 4,
        16 | 20 => 16,
        _ => return None,
    };
    let (address, port) = bytes.split_at(split);
    let address = match split {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
    };
    Some(match port {
        [high, low, _, _] => Data::Socket(address, u16::from_be_bytes([*high, *low])),
        _ => Data::Address(address),
    })
}

/// Reads the elements of an interval set of ports alone, where an interval is two elements to the
/// kernel: its beginning, and where it is over.
pub(crate) fn lone_intervals(elements: &[Element]) -> Vec<(Vec<Datum>, Data)> {
    let port = |element: &Element| Some(u16::from_be_bytes(*element.key.first_chunk()?));
    let bounds = elements
        .iter()
        .filter_map(|element| Some((port(element)?, element)));
    let mut bounds: Vec<(u16, &Element)> = bounds.collect();
    bounds.sort_by_key(|(port, element)| (*port, !element.end));
    let beginnings = bounds
        .iter()
        .enumerate()
        .filter(|(_, (_, element))| !element.end);
    let read = beginnings.filter_map(|(place, (first, element))| {
        let over = bounds.get(place + 1).map(|(over, _)| *over);
        let last = over.map_or(u16::MAX, |over| over.saturating_sub(1));
        // A second one that begins there leaves nothing of the first.
        if last < *first {
            return None;
        }
        Some((vec![Datum::Ports(*first, last)], data(element)?))
    });
    read.collect()
}

fn element(attributes: &[u8]) -> Option<Element> {
    let value = |kind| {
        find(attributes, kind)
            .and_then(|key| find(key, 1))
            .map(<[u8]>::to_vec)
    };
    let data = find(attributes, 2).and_then(|data| match find(data, 2) {
        Some(found) => verdict(found).map(Found::Verdict),
        None => find(data, 1).map(|value| Found::Value(value.to_vec())),
    });
    let flags = find(attributes, 3).and_then(number).unwrap_or(0);
    Some(Element {
        key: value(1)?,
        key_end: value(10),
        data,
        end: flags & 1 == 1,
    })
}

/// Reads a verdict.
pub(crate) fn verdict(attributes: &[u8]) -> Option<Verdict> {
    let chain = || find(attributes, 2).map(text);
    match number(find(attributes, 1)?)? as i32 {
        0 => Some(Verdict::Drop),
        1 => Some(Verdict::Accept),
        -3 => Some(Verdict::Jump(chain()?)),
        -4 => Some(Verdict::Goto(chain()?)),
        -5 => Some(Verdict::Return),
        _ => None,
    }
}

/// The types that a type number is made of.
fn fields(mut number: u32) -> Option<Vec<DataType>> {
    let mut types = Vec::new();
    while number > 0 {
        let last = number & ((1 << TYPE_BITS) - 1);
        types.push(
            *ALL_TYPES
                .iter()
                .find(|known| type_number(**known) == last)?,
        );
        number >>= TYPE_BITS;
    }
    types.reverse();
    Some(types)
}

/// Takes a field from a key.
fn take(field: DataType, bytes: &mut &[u8], alone: bool) -> Option<Datum> {
    let length = length(field) as usize;
    let padded = if alone {
        length
    } else {
        length.next_multiple_of(4)
    };
    let (value, rest) = bytes.split_at_checked(padded)?;
    *bytes = rest;
    let value = &value[..length];
    Some(match field {
        DataType::Ipv4 => Datum::Ipv4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)),
        DataType::Ipv6 => Datum::Ipv6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)),
        DataType::Port => Datum::Port(u16::from_be_bytes(value.try_into().ok()?)),
        DataType::Interface => Datum::Interface(InterfaceName::try_from(text(value)).ok()?),
        DataType::Protocol => {
            let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
            let protocol = known
                .into_iter()
                .find(|protocol| [protocol.number()] == value)?;
            Datum::Protocol(protocol)
        }
        DataType::NfProto => Datum::NfProto(match value {
            [2] => IpFamily::V4,
            [10] => IpFamily::V6,
            _ => return None,
        }),
        DataType::Mac => Datum::Mac(Mac(value.try_into().ok()?)),
        DataType::Verdict => return None,
    })
}

/// The comment in user data: its field of type 0.
fn comment(mut userdata: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = userdata {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *kind == 0 {
            return Some(text(value));
        }
        userdata = rest;
    }
    None
}

fn all(attributes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(attributes)
        .map_while(Result::ok)
        .filter_map(move |attribute| {
            let kind = attribute.kind() & NLA_TYPE_MASK;
            let start = attribute.into_inner();
            let length = u16::from_ne_bytes(*start.first_chunk()?).into();
            Some((kind, start.get(4..length)?))
        })
}

/// The values of the elements of a list (`NFTA_LIST_ELEM`).
fn list(attributes: &[u8]) -> impl Iterator<Item = &[u8]> {
    all(attributes)
        .filter(|(kind, _)| *kind == 1)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::set::{self, Deed};
    use crate::nft::table;
    use proptest::prelude::*;
    use sealane_core::nft::Family;

    /// What follows the header of a message.
    fn payload(message: &crate::message::Message) -> &[u8] {
        &message.bytes()[16..]
    }

    fn read_all(payload: &[u8]) {
        chain(payload);
        set(payload);
        rule(payload);
        for element in elements(payload) {
            data(&element);
            for types in [7, 13, 41, 12 << 6 | 13, 12 << 12 | 7 << 6 | 13] {
                key(types, &element);
            }
            lone_intervals(&[element]);
        }
    }

    #[test]
    fn an_element_is_read_as_it_was_written() {
        let fields = [
            Datum::Protocol(Protocol::Tcp),
            Datum::Ipv4(Ipv4Addr::LOCALHOST),
            Datum::Ports(80, 90),
        ];
        let wanted = Data::Socket(Ipv4Addr::LOCALHOST.into(), 8080);
        let message = set::element(Deed::Create, (1, "sealane", "ports"), &fields, &wanted);
        let read = elements(payload(&message));
        assert_eq!(key(12 << 12 | 7 << 6 | 13, &read[0]), Some(fields.to_vec()));
        assert_eq!(data(&read[0]), Some(wanted));
    }

    #[test]
    fn a_set_is_read_in_the_shape_it_was_written() {
        let wanted = sealane_core::nft::Set {
            name: "ports".into(),
            key: vec![DataType::Protocol, DataType::Port],
            data: vec![DataType::Verdict],
            interval: true,
        };
        let read = set(payload(&set::create(Family::Inet, "sealane", &wanted, 1))).unwrap();
        assert_eq!(
            (read.name.as_str(), read.shape),
            ("ports", Shape::of(&wanted))
        );
    }

    proptest! {
        #[test]
        fn no_payload_is_fatal(payload: Vec<u8>) {
            read_all(&payload);
        }

        #[test]
        fn no_damage_is_fatal(flips in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
            let jump = Data::Verdict(Verdict::Jump("plain".into()));
            let fields = [Datum::Protocol(Protocol::Tcp), Datum::Ports(80, 90)];
            let messages = [
                set::element(Deed::Create, (1, "sealane", "ports"), &fields, &jump),
                table::rule((1, "sealane", "forward"), true, |_| {}, Some(&[0, 2, b'a', 0])),
                table::plain_chain(1, "sealane", "forward"),
            ];
            for message in messages {
                let mut bytes = payload(&message).to_vec();
                for (place, value) in &flips {
                    let place = place % bytes.len();
                    bytes[place] ^= value;
                }
                read_all(&bytes);
            }
        }
    }
}
