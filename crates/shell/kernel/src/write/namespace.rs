//! Making and removing network namespaces, of sandboxes and of networks.

use super::link;
use super::settle::{is_absence, refuse};
use crate::channel::Channel;
use crate::fault;
use crate::kernel::Kernel;
use crate::netns::{Handle, leave, on_thread};
use crate::read::link::{self as reading, Kind};
use crate::sysctl;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::UnshareFlags;
use sealane_core::model::InterfaceName;
use sealane_core::plan::Netns;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What a new namespace starts with. IPv6 is silent on links until they get an IPv6 address, but
/// the loopback keeps `::1`; addresses are assigned, so that routers are not asked for them;
/// low ports and pings need no privilege, as in Docker's containers.
const DEFAULTS: [(&str, &str); 8] = [
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/autoconf", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv4/ip_unprivileged_port_start", "0"),
    ("ipv4/ping_group_range", "0 2147483647"),
    ("ipv6/conf/lo/disable_ipv6", "0"),
];

/// Makes a namespace of ours, unless it is there. The bind mount comes last: a namespace that can be
/// found is complete.
pub(super) fn create(kernel: &Kernel, netns: Netns) -> io::Result<()> {
    let path = file(kernel, netns)?;
    match Handle::open(&path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fault::point("namespace create");
    let channel = on_thread(|| {
        leave(UnshareFlags::NEWNET)?;
        let channel = furnish()?;
        fault::point("namespace mount");
        File::create(&path)?;
        mount_bind("/proc/thread-self/ns/net", &path)?;
        Ok(channel)
    })?;
    kernel.adopt(netns, channel);
    Ok(())
}

/// The file that a namespace of ours is bound to. One that others made is theirs to remove.
fn file(kernel: &Kernel, netns: Netns) -> io::Result<PathBuf> {
    let path = kernel.bound_to(netns).filter(|_| !kernel.is_given(netns));
    path.ok_or_else(|| {
        let why = format!("the namespace {netns} is not one that Sealane makes");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })
}

/// Removes a namespace of ours. Once the last process in it ends, the kernel removes its links,
/// and with them the host ends of its veth pairs.
pub(super) fn remove(kernel: &Kernel, netns: Netns) -> io::Result<()> {
    let path = file(kernel, netns)?;
    remove_from_underlay(kernel, netns)?;
    fault::point("namespace remove");
    kernel.forget(netns);
    unbind(&path)
}

/// Removes the links of ours that hold something of the host's. The kernel would do it some time
/// after the namespace is released, and until then no other could have their addresses and ports.
fn remove_from_underlay(kernel: &Kernel, netns: Netns) -> io::Result<()> {
    let channel = match kernel.channel(netns) {
        Ok(channel) => channel,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let replies = channel.route().dump(&reading::request_all())?;
    for reply in &replies {
        let found = reading::from_reply(reply)?;
        let Ok(name) = InterfaceName::try_from(found.name.as_str()) else {
            continue; // a name that its container gave it
        };
        let held = matches!(
            found.kind,
            Kind::Upper(_) | Kind::Vxlan(_) | Kind::WireGuard
        );
        if held && found.bears(kernel.marks()) {
            fault::point("rtnetlink link delete in a sandbox");
            match refuse(&channel, &[link::delete(&name)]) {
                Err(error) if !is_absence(&error) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Takes away a bind mount of a namespace and the file under it.
pub(super) fn unbind(path: &Path) -> io::Result<()> {
    match unmount(path, UnmountFlags::DETACH) {
        // EINVAL: a file that nothing is mounted on, as a reboot leaves it behind.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the new namespace of the calling thread fit to live in.
fn furnish() -> io::Result<Channel> {
    let channel = Channel::here()?;
    for (setting, value) in DEFAULTS {
        match fs::write(sysctl::file(setting)?, value) {
            // A kernel without IPv6 lacks its settings.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    let answers = channel
        .route()
        .exchange(&[link::set_up(&InterfaceName::loopback(), true)])?;
    match answers.into_iter().find_map(|answer| answer.refusal) {
        Some(refusal) => Err(refusal),
        None => Ok(channel),
    }
}
