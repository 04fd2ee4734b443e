//! Messages for sets, maps and their elements.

use super::decode::Element;
use super::expression::{value, verdict};
use super::{kind, message, number};
use crate::message::{Attributes, Message};
use netlink_packet_core::NLM_F_CREATE;
use sealane_core::nft::{Data, DataType, Datum, Family, Set};
use std::net::IpAddr;

const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LENGTH: u16 = 5;
const SET_DATA_TYPE: u16 = 6;
const SET_DATA_LENGTH: u16 = 7;
const SET_DESCRIPTION: u16 = 9;
const SET_ID: u16 = 10;
const SET_USERDATA: u16 = 13;
const DESCRIPTION_CONCAT: u16 = 2;
const FIELD_LENGTH: u16 = 1;

const INTERVAL: u32 = 0x4;
const MAP: u32 = 0x8;
const CONCAT: u32 = 0x80;
/// `NFT_DATA_VERDICT`
const DATA_IS_VERDICT: u32 = 0xffff_ff00;

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_KEY_END: u16 = 10;
const INTERVAL_END: u32 = 1;

/// How many bits of a concatenation's type number each field takes (nft's `TYPE_BITS`).
pub(super) const TYPE_BITS: u32 = 6;

/// The flags, key type and data type by which a set is distinguished from one that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) flags: u32,
    pub(crate) key: u32,
    pub(crate) data: Option<u32>,
}

impl Shape {
    /// Whether it is a map to verdicts.
    pub(crate) fn leads_to_verdicts(&self) -> bool {
        self.data == Some(DATA_IS_VERDICT)
    }

    /// Whether it is an interval set of one field, whose intervals are two elements each.
    pub(crate) fn is_lone_interval(&self) -> bool {
        self.flags & INTERVAL != 0 && self.flags & CONCAT == 0
    }

    /// The shape of a set of ours.
    pub(crate) fn of(set: &Set) -> Self {
        let interval = if set.interval { INTERVAL } else { 0 };
        let concat = if set.interval && set.key.len() > 1 {
            CONCAT
        } else {
            0
        };
        let map = if set.data.is_empty() { 0 } else { MAP };
        let data = match set.data.as_slice() {
            [] => None,
            [DataType::Verdict] => Some(DATA_IS_VERDICT),
            fields => Some(concatenated(fields)),
        };
        Self {
            flags: interval | concat | map,
            key: concatenated(&set.key),
            data,
        }
    }
}

/// Makes a set. `id` tells it from others of the same transaction.
pub(crate) fn create(family: Family, table: &str, set: &Set, id: u32) -> Message {
    let shape = Shape::of(set);
    message(number(family), kind::NEW_SET, NLM_F_CREATE, |attributes| {
        attributes
            .text(SET_TABLE, table)
            .text(SET_NAME, &set.name)
            .number(SET_FLAGS, shape.flags);
        attributes.number(SET_KEY_TYPE, shape.key);
        attributes.number(SET_KEY_LENGTH, padded_length(&set.key));
        if let Some(data) = shape.data {
            attributes.number(SET_DATA_TYPE, data);
            attributes.number(SET_DATA_LENGTH, padded_length(&set.data));
        }
        if shape.flags & CONCAT != 0 {
            attributes.nested(SET_DESCRIPTION, |description| {
                describe(description, &set.key)
            });
        }
        attributes.number(SET_ID, id);
        if let [DataType::Interface] = set.key[..] {
            attributes.bytes(SET_USERDATA, &names_in_host_order());
        }
    })
}

/// What makes `nft` read names in a set from the front: user data of type 0, a number.
fn names_in_host_order() -> Vec<u8> {
    const HOST_ORDER: u32 = 1;
    [&[0, 4], HOST_ORDER.to_ne_bytes().as_slice()].concat()
}

/// Removes a set, elements and all.
pub(crate) fn delete(family: u8, table: &str, name: &str) -> Message {
    message(family, kind::DELETE_SET, 0, |attributes| {
        attributes.text(SET_TABLE, table).text(SET_NAME, name);
    })
}

/// Asks for a set, or as a dump for all sets of the table.
pub(crate) fn get(family: u8, table: &str, name: Option<&str>) -> Message {
    message(family, kind::GET_SET, 0, |attributes| {
        attributes.text(SET_TABLE, table);
        if let Some(name) = name {
            attributes.text(SET_NAME, name);
        }
    })
}

/// What to do with an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Make it.
    Create,
    /// Remove it.
    Delete,
    /// Report it.
    Get,
}

/// A message about one element.
pub(crate) fn element(
    deed: Deed,
    (family, table, set): (u8, &str, &str),
    key: &[Datum],
    data: &Data,
) -> Message {
    let (kind, flags) = match deed {
        Deed::Create => (kind::NEW_ELEMENT, NLM_F_CREATE),
        Deed::Delete => (kind::DELETE_ELEMENT, 0),
        Deed::Get => (kind::GET_ELEMENT, 0),
    };
    message(family, kind, flags, |attributes| {
        attributes.text(LIST_TABLE, table).text(LIST_SET, set);
        attributes.nested(LIST_ELEMENTS, |list| match key {
            [Datum::Ports(first, last)] => range(list, *first, *last, data, deed),
            fields => {
                list.nested(LIST_ELEMENT, |element| concatenation(element, fields, data));
            }
        });
    })
}

/// Removes an element as the kernel reported it.
pub(crate) fn delete_raw(family: u8, table: &str, set: &str, element: &Element) -> Message {
    message(family, kind::DELETE_ELEMENT, 0, |attributes| {
        attributes.text(LIST_TABLE, table).text(LIST_SET, set);
        attributes.nested(LIST_ELEMENTS, |list| {
            list.nested(LIST_ELEMENT, |attributes| {
                attributes.nested(ELEMENT_KEY, |key| value(key, &element.key));
                if let Some(end) = &element.key_end {
                    attributes.nested(ELEMENT_KEY_END, |key| value(key, end));
                }
            });
        });
    })
}

/// Makes elements as the kernel reported them, after the `struct nfgenmsg` of its message.
pub(crate) fn create_reported(family: u8, reported: &[u8]) -> Message {
    message(family, kind::NEW_ELEMENT, NLM_F_CREATE, |attributes| {
        attributes.head(reported);
    })
}

/// Asks, as a dump, for all elements of a set.
pub(crate) fn elements(family: u8, table: &str, set: &str) -> Message {
    message(family, kind::GET_ELEMENT, 0, |attributes| {
        attributes.text(LIST_TABLE, table).text(LIST_SET, set);
    })
}

/// Appends a field of a key, padded to whole registers.
pub(crate) fn field(datum: &Datum, bytes: &mut Vec<u8>) {
    match datum {
        Datum::Ipv4(address) => bytes.extend_from_slice(&address.octets()),
        Datum::Ipv6(address) => bytes.extend_from_slice(&address.octets()),
        Datum::Protocol(protocol) => bytes.extend_from_slice(&[protocol.number(), 0, 0, 0]),
        Datum::Port(port) | Datum::Ports(port, _) => {
            bytes.extend_from_slice(&port.to_be_bytes());
            bytes.extend_from_slice(&[0; 2]);
        }
        Datum::Interface(name) => {
            let end = bytes.len() + libc::IFNAMSIZ;
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.resize(end, 0);
        }
        Datum::Mac(mac) => {
            bytes.extend_from_slice(&mac.0);
            bytes.extend_from_slice(&[0; 2]);
        }
        Datum::NfProto(family) => {
            bytes.extend_from_slice(&[number((*family).into()), 0, 0, 0]);
        }
    }
}

/// The bytes of a field, without padding.
pub(super) fn length(field: DataType) -> u32 {
    match field {
        DataType::Protocol | DataType::NfProto => 1,
        DataType::Port => 2,
        DataType::Ipv4 => 4,
        DataType::Mac => 6,
        DataType::Ipv6 | DataType::Interface => 16,
        DataType::Verdict => 0,
    }
}

/// nft's number for a type (`TYPE_*` in its datatype.h), by which it knows how to print.
pub(super) fn type_number(field: DataType) -> u32 {
    match field {
        DataType::NfProto => 2,
        DataType::Ipv4 => 7,
        DataType::Ipv6 => 8,
        DataType::Mac => 9,
        DataType::Protocol => 12,
        DataType::Port => 13,
        DataType::Interface => 41,
        DataType::Verdict => 1,
    }
}

fn concatenated(fields: &[DataType]) -> u32 {
    fields
        .iter()
        .fold(0, |number, field| number << TYPE_BITS | type_number(*field))
}

/// The length of a key: a lone field as it is, several each padded to whole registers.
fn padded_length(fields: &[DataType]) -> u32 {
    match fields {
        [field] => length(*field),
        fields => fields
            .iter()
            .map(|field| length(*field).next_multiple_of(4))
            .sum(),
    }
}

fn describe(description: &mut Attributes, fields: &[DataType]) {
    description.nested(DESCRIPTION_CONCAT, |list| {
        for field in fields {
            list.nested(LIST_ELEMENT, |element| {
                element.number(FIELD_LENGTH, length(*field));
            });
        }
    });
}

/// An element of any set but a lone interval's.
fn concatenation(element: &mut Attributes, fields: &[Datum], data: &Data) {
    let (start, end) = key_bytes(fields);
    element.nested(ELEMENT_KEY, |key| value(key, &start));
    if !end.is_empty() {
        element.nested(ELEMENT_KEY_END, |key| value(key, &end));
    }
    encode_data(element, data);
}

/// The bytes of a key, and of the end of its range if it has one.
pub(crate) fn key_bytes(fields: &[Datum]) -> (Vec<u8>, Vec<u8>) {
    let (mut start, mut end) = (Vec::with_capacity(64), Vec::new());
    fields.iter().for_each(|datum| field(datum, &mut start));
    if fields.iter().any(|datum| matches!(datum, Datum::Ports(..))) {
        for datum in fields {
            if let Datum::Ports(_, last) = datum {
                field(&Datum::Port(*last), &mut end);
            } else {
                field(datum, &mut end);
            }
        }
    }
    if let [lone] = fields {
        start.truncate(lone_length(lone));
    }
    (start, end)
}

/// An interval of a set of ports alone, which the kernel keeps as two elements: where it begins
/// and where it is over. Asked for, the beginning suffices.
fn range(list: &mut Attributes, first: u16, last: u16, data: &Data, deed: Deed) {
    list.nested(LIST_ELEMENT, |element| {
        element.nested(ELEMENT_KEY, |key| value(key, &first.to_be_bytes()));
        encode_data(element, data);
    });
    let Some(over) = last.checked_add(1).filter(|_| deed != Deed::Get) else {
        return;
    };
    list.nested(LIST_ELEMENT, |element| {
        element.nested(ELEMENT_KEY, |key| value(key, &over.to_be_bytes()));
        element.number(ELEMENT_FLAGS, INTERVAL_END);
    });
}

fn lone_length(datum: &Datum) -> usize {
    let field = match datum {
        Datum::Ipv4(_) => DataType::Ipv4,
        Datum::Ipv6(_) => DataType::Ipv6,
        Datum::Protocol(_) => DataType::Protocol,
        Datum::Port(_) | Datum::Ports(..) => DataType::Port,
        Datum::Interface(_) => DataType::Interface,
        Datum::NfProto(_) => DataType::NfProto,
        Datum::Mac(_) => DataType::Mac,
    };
    length(field) as usize
}

fn encode_data(element: &mut Attributes, data: &Data) {
    let mut bytes = Vec::new();
    match data {
        Data::None => return,
        Data::Verdict(taken) => {
            element.nested(ELEMENT_DATA, |data| verdict(data, taken));
            return;
        }
        Data::Address(address) => octets(*address, &mut bytes),
        Data::Socket(address, port) => {
            octets(*address, &mut bytes);
            field(&Datum::Port(*port), &mut bytes);
        }
    }
    element.nested(ELEMENT_DATA, |data| value(data, &bytes));
}

fn octets(address: IpAddr, bytes: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
    }
}
