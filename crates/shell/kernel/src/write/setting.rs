//! Writing sysctls.

use super::{Failures, Step};
use crate::fault;
use crate::kernel::Kernel;
use crate::sysctl;
use sealane_core::model::InterfaceName;
use sealane_core::plan::{Change, Key, Netns, Object};
use std::io;

/// Writes settings. One that is no longer wanted keeps its value: it has no absence, and what it
/// was before is not ours to know.
pub(super) fn carry_out(kernel: &Kernel, steps: &[Step], stop: bool) -> Failures {
    let mut failures = Failures::new();
    for (index, change) in steps {
        if let Err(error) = one(kernel, change) {
            failures.push((*index, error));
            if stop {
                break;
            }
        }
    }
    failures
}

fn one(kernel: &Kernel, change: &Change) -> io::Result<()> {
    match change {
        Change::Create(Key::Setting(netns, setting), Object::Setting(value))
        | Change::Alter(Key::Setting(netns, setting), _, Object::Setting(value))
        | Change::Replace(Key::Setting(netns, setting), _, Object::Setting(value)) => {
            kernel.in_namespace(*netns, || write(setting, value))
        }
        Change::Delete(..) => Ok(()),
        Change::Create(..) | Change::Alter(..) | Change::Replace(..) => {
            Err(super::mismatch(change))
        }
    }
}

/// Lets links of a sandbox have IPv6, which is silent on them at first.
pub(super) fn allow_ipv6(
    kernel: &Kernel,
    netns: Netns,
    links: &[&InterfaceName],
) -> io::Result<()> {
    kernel.in_namespace(netns, || {
        for link in links {
            match write(&format!("ipv6/conf/{link}/disable_ipv6"), "0") {
                // No such link, or no IPv6 at all: the address will be refused, and say so.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    })
}

fn write(setting: &str, value: &str) -> io::Result<()> {
    fault::point_at(|| format!("sysctl {setting}"));
    std::fs::write(sysctl::file(setting)?, value).map_err(|error| {
        let why = if error.kind() == io::ErrorKind::NotFound {
            format!("/proc/sys/net/{setting} is not a sysctl file")
        } else {
            format!("writing \"{value}\" to /proc/sys/net/{setting}: {error}")
        };
        io::Error::new(error.kind(), why)
    })
}
