//! What is done once, when something changed.

use super::{announce, conntrack};
use crate::fault;
use crate::kernel::Kernel;
use crate::read::link;
use sealane_core::model::{InterfaceName, Mac};
use sealane_core::plan::{Effect, Netns};
use std::io;

/// Does something once.
pub(super) fn run(kernel: &Kernel, effect: &Effect) -> io::Result<()> {
    fault::point_at(|| format!("effect {effect:?}"));
    match effect {
        // To answer, the kernel first finishes what it has put off for the link.
        Effect::SyncLink(netns, name) => match link::is_there(&*kernel.channel(*netns)?, name)? {
            true => Ok(()),
            false => {
                let why = format!("there is no link {name} to wait for");
                Err(crate::ack::explained(libc::ENODEV, why))
            }
        },
        Effect::Announce(netns, name, address, mac, _) => {
            let mac = match mac {
                Some(mac) => *mac,
                None => own_address(kernel, *netns, name)?,
            };
            announce::announce(kernel, *netns, name, *address, mac)
        }
        Effect::ForgetAddress(address) => conntrack::forget_address(kernel, *address),
        Effect::ForgetPort(protocol, port) => conntrack::forget_port(kernel, *protocol, *port),
        Effect::ForgetPublished(ports) => conntrack::forget_published(kernel, ports),
    }
}

/// The hardware address of a link.
fn own_address(kernel: &Kernel, netns: Netns, name: &InterfaceName) -> io::Result<Mac> {
    let found = link::look(&*kernel.channel(netns)?, name)?;
    found.and_then(|found| found.mac).ok_or_else(|| {
        let why = format!("there is no link {name} with a hardware address");
        crate::ack::explained(libc::ENODEV, why)
    })
}
