//! Everything that bears our mark, for a sweep.

use super::{link, passage, table};
use crate::kernel::Kernel;
use crate::mark::{Marks, TABLE, USER_TABLE};
use crate::nft::decode::{self, Element};
use crate::nft::number;
use crate::nft::set::Shape;
use crate::socket::Socket;
use sealane_core::model::{InterfaceName, IpFamily};
use sealane_core::nft::{Data, Datum, Family};
use sealane_core::plan::{Key, Netns, Object};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

/// Looks for everything of the kernel's owner in the host's namespace.
pub(super) fn owned(kernel: &Kernel) -> io::Result<Vec<(Key, Object)>> {
    let mut owned = links(kernel)?;
    let channel = kernel.channel(Netns::Host)?;
    let mut socket = channel.netfilter();
    owned.extend(elements(&mut socket, &kernel.marks().table(TABLE))?);
    let user = kernel.marks().table(USER_TABLE);
    if table::there(&mut socket, number(Family::Inet), &user)? {
        let key = Key::Table(Netns::Host, USER_TABLE.into());
        owned.push((key, Object::Present));
    }
    for family in IpFamily::BOTH {
        let bridges = passages(&mut socket, kernel.marks(), family)?;
        let keys = bridges
            .into_iter()
            .map(|bridge| Key::Passage(bridge, family));
        owned.extend(keys.map(|key| (key, Object::Present)));
    }
    Ok(owned)
}

impl Kernel {
    /// The bind mounts of our namespaces in the kernel's folder, each with the digits of its
    /// sandbox's id that name it, so that a sweep can remove the unknown.
    pub fn namespace_files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let entry = entry?;
            let name = entry.file_name();
            let digits = name
                .to_str()
                .and_then(|name| self.marks().namespace_digits(name));
            if let Some(digits) = digits {
                files.push((digits.to_owned(), entry.path()));
            }
        }
        Ok(files)
    }
}

fn links(kernel: &Kernel) -> io::Result<Vec<(Key, Object)>> {
    let channel = kernel.channel(Netns::Host)?;
    let replies = channel.route().dump(&link::request_all())?;
    let mut owned = Vec::new();
    for reply in &replies {
        let found = link::from_reply(reply)?;
        let Ok(name) = InterfaceName::try_from(found.name.as_str()) else {
            continue; // we would not have named it so
        };
        if !found.bears(kernel.marks()) {
            continue;
        }
        if let Some(link) = link::describe(kernel, Netns::Host, &name, &found)? {
            owned.push((Key::Link(Netns::Host, name), Object::Link(link)));
        }
    }
    Ok(owned)
}

fn elements(socket: &mut Socket, own: &str) -> io::Result<Vec<(Key, Object)>> {
    let family = number(Family::Inet);
    let Some(present) = table::present(socket, family, own)? else {
        return Ok(Vec::new());
    };
    let mut owned = vec![(Key::Table(Netns::Host, TABLE.into()), Object::Present)];
    for set in present.sets {
        let elements = table::elements(socket, family, own, &set.name)?;
        let readable = read_elements(set.shape, &elements);
        owned.extend(readable.into_iter().map(|(key, data)| {
            (
                Key::Element(set.name.clone().into(), key),
                Object::Element(data),
            )
        }));
    }
    Ok(owned)
}

/// The elements of a set in the words of a plan.
pub(crate) fn read_elements(shape: Shape, elements: &[Element]) -> Vec<(Vec<Datum>, Data)> {
    if !shape.is_lone_interval() {
        let read = |element| Some((decode::key(shape.key, element)?, decode::data(element)?));
        return elements.iter().filter_map(read).collect();
    }
    decode::lone_intervals(elements)
}

fn passages(
    socket: &mut Socket,
    marks: &Marks,
    family: IpFamily,
) -> io::Result<BTreeSet<InterfaceName>> {
    let found = passage::look(socket, marks, family)?.unwrap_or_default();
    let names = found.accepts.iter().map(|accept| accept.bridge.as_str());
    Ok(names
        .filter_map(|name| InterfaceName::try_from(name).ok())
        .collect())
}
