//! What is done once, when something changed.

use super::{announce, conntrack};
use crate::fault;
use crate::kernel::Kernel;
use crate::read::link;
use sealane_core::plan::Effect;
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
            announce::announce(kernel, *netns, name, *address, *mac)
        }
        Effect::ForgetAddress(address) => conntrack::forget_address(kernel, *address),
        Effect::ForgetPort(protocol, port) => conntrack::forget_port(kernel, *protocol, *port),
        Effect::ForgetPublished(ports) => conntrack::forget_published(kernel, ports),
    }
}
