//! Tables of nftables, as the kernel reports them.

use crate::ack::errno;
use crate::nft::decode::{self, Chain, Element, Found, Set};
use crate::nft::set::{self, Deed};
use crate::nft::table::{self, Present};
use crate::socket::Socket;
use sealane_core::nft::{Data, Datum, Verdict};
use std::io;

/// Looks at a table; `None` if it is not there. Elements are not looked at.
pub(crate) fn present(socket: &mut Socket, family: u8, name: &str) -> io::Result<Option<Present>> {
    let found = match socket.get(table::get(family, name)) {
        Err(error) if errno(&error) == Some(libc::ENOENT) => return Ok(None),
        other => other?,
    };
    let ownership = found.map(|reply| decode::ownership(&reply.payload));
    let rules = socket.dump(&table::rules(family, name, None))?;
    Ok(Some(Present {
        ownership: ownership.unwrap_or_default(),
        chains: chains(socket, family, name)?,
        sets: sets(socket, family, name)?,
        rules: rules
            .iter()
            .filter_map(|reply| decode::rule(&reply.payload))
            .collect(),
        jumps: Vec::new(),
    }))
}

/// Whether there is a table.
pub(crate) fn there(socket: &mut Socket, family: u8, name: &str) -> io::Result<bool> {
    match socket.get(table::get(family, name)) {
        Err(error) if errno(&error) == Some(libc::ENOENT) => Ok(false),
        other => other.map(|_| true),
    }
}

/// The chains of a table.
pub(crate) fn chains(socket: &mut Socket, family: u8, table: &str) -> io::Result<Vec<Chain>> {
    let replies = socket.dump(&table::chains(family))?;
    let chains = replies
        .iter()
        .filter_map(|reply| decode::chain(&reply.payload));
    Ok(chains.filter(|chain| chain.table == table).collect())
}

/// The sets of a table.
pub(crate) fn sets(socket: &mut Socket, family: u8, table: &str) -> io::Result<Vec<Set>> {
    let replies = socket.dump(&set::get(family, table, None))?;
    Ok(replies
        .iter()
        .filter_map(|reply| decode::set(&reply.payload))
        .collect())
}

/// The elements of a set.
pub(crate) fn elements(
    socket: &mut Socket,
    family: u8,
    table: &str,
    set: &str,
) -> io::Result<Vec<Element>> {
    let replies = socket.dump(&set::elements(family, table, set))?;
    Ok(replies
        .iter()
        .flat_map(|reply| decode::elements(&reply.payload))
        .collect())
}

/// The data of an element of a table; `None` if there is no element of exactly this key.
pub(crate) fn element(
    socket: &mut Socket,
    (family, table, set): (u8, &str, &str),
    key: &[Datum],
) -> io::Result<Option<Data>> {
    let elements = match key {
        // Asked for an interval, the kernel reports any that has its first port.
        [Datum::Ports(..)] => elements(socket, family, table, set),
        fields => {
            let request = set::element(Deed::Get, (family, table, set), fields, &Data::None);
            let reply = socket.get(request);
            reply.map(|reply| reply.map_or_else(Vec::new, |reply| decode::elements(&reply.payload)))
        }
    };
    let elements = match elements {
        Err(error) if errno(&error) == Some(libc::ENOENT) => return Ok(None),
        other => other?,
    };
    Ok(data_of(key, &elements))
}

/// The data of the element with this key.
fn data_of(key: &[Datum], elements: &[Element]) -> Option<Data> {
    if let [Datum::Ports(..)] = key {
        let lone = decode::lone_intervals(elements);
        return lone
            .into_iter()
            .find(|(found, _)| found == key)
            .map(|(_, data)| data);
    }
    let (start, end) = set::key_bytes(key);
    let end = Some(end).filter(|end| !end.is_empty());
    let same = elements
        .iter()
        .find(|element| element.key == start && element.key_end == end);
    same.and_then(decode::data)
}

/// The elements that lead to chains.
pub(crate) fn jumps(
    socket: &mut Socket,
    family: u8,
    table: &str,
    present: &Present,
) -> io::Result<Vec<(String, Element)>> {
    let mut jumps = Vec::new();
    for map in present
        .sets
        .iter()
        .filter(|set| set.shape.leads_to_verdicts())
    {
        let elements = elements(socket, family, table, &map.name)?;
        let leading = elements.into_iter().filter(|element| {
            matches!(
                &element.data,
                Some(Found::Verdict(Verdict::Jump(_) | Verdict::Goto(_)))
            )
        });
        jumps.extend(leading.map(|element| (map.name.clone(), element)));
    }
    Ok(jumps)
}
