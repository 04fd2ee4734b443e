//! Asking: a query for the addresses of a name, and what its reply says.

use super::draft::encode_name;
use super::wire::{self, Malformed};
use crate::model::IpFamily;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A query with one question, that wants it pursued (RFC 1035, 4.1.1).
const HEAD: [u8; 10] = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const CLASS_IN: [u8; 2] = [0, 1];
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;

/// A query for the addresses of one family; `None` if the name cannot be one.
pub fn address_query(id: u16, name: &str, family: IpFamily) -> Option<Vec<u8>> {
    let kind = family.pick(TYPE_A, TYPE_AAAA);
    let mut query = id.to_be_bytes().to_vec();
    query.extend(HEAD);
    query.extend(encode_name(name.trim_end_matches('.'))?);
    query.extend(kind.to_be_bytes());
    query.extend(CLASS_IN);
    Some(query)
}

/// The addresses among the answers of a reply.
pub fn addresses_in(reply: &[u8]) -> Result<Vec<IpAddr>, Malformed> {
    let mut found = Vec::new();
    wire::records(reply, |section, record| {
        let data = reply.get(record.data).unwrap_or_default();
        if section != 1 {
            return;
        }
        let v4 = <[u8; 4]>::try_from(data)
            .ok()
            .filter(|_| record.kind == TYPE_A);
        let v6 = <[u8; 16]>::try_from(data)
            .ok()
            .filter(|_| record.kind == TYPE_AAAA);
        found.extend(v4.map(|bytes| IpAddr::from(Ipv4Addr::from(bytes))));
        found.extend(v6.map(|bytes| IpAddr::from(Ipv6Addr::from(bytes))));
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Query;
    use super::*;

    #[test]
    fn a_query_is_one_that_our_own_resolver_reads() {
        let bytes = address_query(7, "db.example.", IpFamily::V6).unwrap();
        let query = Query::parse(&bytes).unwrap();
        assert_eq!((query.id(), query.kind()), (7, TYPE_AAAA));
        assert_eq!(query.name().as_deref(), Some("db.example"));
        assert!(query.recursion_desired());
        assert_eq!(address_query(7, "a..b", IpFamily::V4), None);
    }

    #[test]
    fn addresses_are_read_from_answers_alone() {
        let mut reply = address_query(7, "db", IpFamily::V4).unwrap();
        reply[2] |= 0x80;
        reply[7] = 1; // an answer
        reply[11] = 1; // and an additional record
        for last in [9, 10] {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, last]);
        }
        let found = addresses_in(&reply).unwrap();
        assert_eq!(found, [IpAddr::from([192, 0, 2, 9])]);
        assert!(addresses_in(&reply[..20]).is_err());
    }
}
