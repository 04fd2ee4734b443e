//! The files of a sandbox: hosts, hostname and resolv.conf, which its container mounts.
//!
//! They are written in place, never replaced, because a mount follows the file and not its name.
//! What a user changed in them is kept.

use crate::{Engine, EngineError};
use sealane_core::dns::{HostsFile, render_host, render_internal, render_legacy};
use sealane_core::model::{Endpoint, LegacyLink, Sandbox};
use sealane_store::Disk;
use sealane_store::private::PASSABLE;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// The host's own names.
const HOSTS: &str = "/etc/hosts";
/// What we last wrote to resolv.conf: if the file differs, its user owns it.
const WRITTEN: &str = "resolv.conf.written";

impl Engine {
    /// Writes all three for a new sandbox.
    pub(crate) fn write_files(&self, sandbox: &Sandbox, folder: &Path) -> Result<(), EngineError> {
        let disk = &*self.disk;
        let write = || -> io::Result<()> {
            if let Some(all) = folder.parent() {
                disk.make_folder(all, PASSABLE)?;
            }
            disk.make_folder(folder, PASSABLE)?;
            sealane_kernel::fault::point("write sandbox files");
            let hostname = full_hostname(sandbox) + "\n";
            disk.overwrite(&folder.join("hostname"), hostname.as_bytes())?;
            let hosts = first_hosts(disk, sandbox)?;
            disk.overwrite(&folder.join("hosts"), hosts.as_bytes())?;
            let text = self.resolv_conf(sandbox);
            if !self.user_owns_resolv_conf(folder) {
                disk.overwrite(&folder.join("resolv.conf"), text.as_bytes())?;
                disk.overwrite(&folder.join(WRITTEN), text.as_bytes())?;
            }
            Ok(())
        };
        write().map_err(|error| {
            let name = &sandbox.name;
            let text = format!(
                "the files of {name} cannot be written to {}",
                folder.display()
            );
            EngineError::failed(text, error)
        })
    }

    /// Follows a change: the lines of endpoints that went or came, and resolv.conf if it is still
    /// as we wrote it.
    pub(crate) fn update_files(&self, old: &Sandbox, new: &Sandbox) -> Result<(), EngineError> {
        let disk = &*self.disk;
        let update = || -> io::Result<()> {
            sealane_kernel::fault::point("update sandbox files");
            let path = new.files.join("hosts");
            let text = disk.read(&path)?;
            let text = String::from_utf8(text).map_err(io::Error::other)?;
            let changed = edit_hosts(&text, &own_lines(old), &own_lines(new));
            if changed != text {
                disk.overwrite(&path, changed.as_bytes())?;
            }
            let text = self.resolv_conf(new);
            let written = disk.read(&new.files.join(WRITTEN)).unwrap_or_default();
            if text.as_bytes() != written && !self.user_owns_resolv_conf(&new.files) {
                let resolv_conf = new.files.join("resolv.conf");
                disk.overwrite(&resolv_conf, text.as_bytes())?;
                disk.overwrite(&new.files.join(WRITTEN), text.as_bytes())?;
            }
            Ok(())
        };
        update().map_err(|error| {
            let text = format!("the files of {} cannot be updated", new.name);
            EngineError::failed(text, error)
        })
    }

    /// Whether resolv.conf was changed since we wrote it.
    fn user_owns_resolv_conf(&self, folder: &Path) -> bool {
        let read = |name: &str| self.disk.read(&folder.join(name)).ok();
        match (read("resolv.conf"), read(WRITTEN)) {
            (Some(present), Some(written)) => present != written,
            (Some(_), None) | (None, Some(_) | None) => false,
        }
    }

    fn resolv_conf(&self, sandbox: &Sandbox) -> String {
        let (host, path) = (self.host_resolv_conf(), self.resolv_conf_path());
        let asked = &self.nameserver_of(sandbox);
        if sandbox.resolver_ports.is_some() {
            return render_internal(&host, &path, asked).text;
        }
        if sandbox.host || sandbox.endpoints.is_empty() {
            return render_host(&host, &path, asked);
        }
        let ipv6 = sandbox
            .endpoints
            .values()
            .any(|endpoint| endpoint.ipv6.is_some());
        render_legacy(&host, &path, asked, ipv6)
    }
}

fn full_hostname(sandbox: &Sandbox) -> String {
    match sandbox.domainname.as_str() {
        "" => sandbox.hostname.clone(),
        domain => format!("{}.{domain}", sandbox.hostname),
    }
}

/// The hosts file of a new sandbox. In the host's own stack it is the host's, unless names are added:
/// then it is made anew, as by Docker, so that they are not hidden by the host's.
fn first_hosts(disk: &dyn Disk, sandbox: &Sandbox) -> io::Result<String> {
    if !sandbox.host || !sandbox.extra_hosts.is_empty() {
        return Ok(hosts(sandbox));
    }
    match disk.read(Path::new(HOSTS)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn hosts(sandbox: &Sandbox) -> String {
    let addresses: Vec<IpAddr> = sandbox
        .endpoints
        .values()
        .flat_map(Endpoint::addresses)
        .collect();
    let links = sandbox.links.iter().flat_map(LegacyLink::hosts);
    let extra: Vec<(String, IpAddr)> = sandbox.extra_hosts.iter().cloned().chain(links).collect();
    HostsFile {
        hostname: &sandbox.hostname,
        domainname: &sandbox.domainname,
        extra: &extra,
        addresses: &addresses,
        ipv6: !sandbox.ipv6_disabled,
    }
    .render()
}

/// The lines of a sandbox's own addresses and of its links.
fn own_lines(sandbox: &Sandbox) -> Vec<String> {
    let bare = Sandbox {
        endpoints: Default::default(),
        links: vec![],
        ..sandbox.clone()
    };
    let without = hosts(&bare);
    hosts(sandbox)
        .lines()
        .skip(without.lines().count())
        .map(str::to_owned)
        .collect()
}

/// The text without the lines that went, and with those that came at the end.
fn edit_hosts(text: &str, old: &[String], new: &[String]) -> String {
    let went =
        |line: &&str| old.iter().any(|own| own == line) && !new.iter().any(|own| own == line);
    let kept: Vec<&str> = text.lines().filter(|line| !went(line)).collect();
    let came = new
        .iter()
        .map(String::as_str)
        .filter(|line| !kept.contains(line));
    let lines: Vec<&str> = kept.iter().copied().chain(came).collect();
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_line_stays_when_an_endpoint_goes() {
        let own = |address: &str| format!("{address}\tweb");
        let text = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n10.9.9.9\tmine\n";
        let edited = edit_hosts(text, &[own("10.0.0.2")], &[own("10.1.0.2")]);
        assert_eq!(
            edited,
            "127.0.0.1\tlocalhost\n10.9.9.9\tmine\n10.1.0.2\tweb\n"
        );
    }
}
