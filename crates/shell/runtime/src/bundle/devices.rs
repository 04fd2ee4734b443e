//! Which devices a container has, and may use.

use crate::{Device, ProcessSpec, Result, RuntimeError};
use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};
use rustix::fs::{FileType, Mode, stat};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of /dev that a container has its own of, and what it may not have.
const OWN: [&str; 7] = [
    "/dev/pts",
    "/dev/shm",
    "/dev/fd",
    "/dev/mqueue",
    "/dev/console",
    "/dev/.lxc",
    "/dev/.lxd-mounts",
];

/// The device nodes besides those the OCI runtime makes in every container.
pub(crate) fn nodes(spec: &ProcessSpec) -> Result<Vec<LinuxDevice>> {
    let mut nodes = Vec::new();
    if spec.privileged {
        all_below(Path::new("/dev"), &mut nodes)?;
    }
    for device in &spec.devices {
        let path = Path::new(&device.container);
        let node = node(&device.host, path)?.ok_or_else(|| not_a_device(device))?;
        nodes.retain(|other| other.path() != path);
        nodes.push(node);
    }
    Ok(nodes)
}

/// The rules of the devices cgroup; the OCI runtime adds the usual devices to them.
pub(crate) fn rules(spec: &ProcessSpec) -> Result<Vec<LinuxDeviceCgroup>> {
    let rule = |allow, access: &str| {
        LinuxDeviceCgroupBuilder::default()
            .allow(allow)
            .access(access)
    };
    if spec.privileged {
        return Ok(vec![rule(true, "rwm").build().map_err(super::invalid)?]);
    }
    let mut rules = vec![rule(false, "rwm").build().map_err(super::invalid)?];
    for device in &spec.devices {
        let node = node(&device.host, Path::new(&device.container))?;
        let node = node.ok_or_else(|| not_a_device(device))?;
        let rule = rule(true, &device.permissions)
            .typ(node.typ())
            .major(node.major())
            .minor(node.minor());
        rules.push(rule.build().map_err(super::invalid)?);
    }
    Ok(rules)
}

fn all_below(folder: &Path, nodes: &mut Vec<LinuxDevice>) -> Result<()> {
    let failed = |source| RuntimeError::File {
        action: "list",
        path: folder.into(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if OWN.iter().any(|own| path == Path::new(own)) {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            all_below(&path, nodes)?;
        } else if let Some(node) = node(&path, &path)? {
            nodes.push(node);
        }
    }
    Ok(())
}

/// The node at `host`, as one at `inside`; `None` if it is not a device or gone by now.
fn node(host: &Path, inside: &Path) -> Result<Option<LinuxDevice>> {
    let Ok(found) = stat(host) else {
        return Ok(None);
    };
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::CharacterDevice => LinuxDeviceType::C,
        FileType::BlockDevice => LinuxDeviceType::B,
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::Unknown => return Ok(None),
    };
    let node = LinuxDeviceBuilder::default()
        .path(PathBuf::from(inside))
        .typ(kind)
        .major(i64::from(rustix::fs::major(found.st_rdev)))
        .minor(i64::from(rustix::fs::minor(found.st_rdev)))
        .file_mode(Mode::from_raw_mode(found.st_mode).bits())
        .uid(found.st_uid)
        .gid(found.st_gid);
    Ok(Some(node.build().map_err(super::invalid)?))
}

fn not_a_device(device: &Device) -> RuntimeError {
    RuntimeError::InvalidSpec(format!(
        "error gathering device information while adding custom device \"{}\": not a device node",
        device.host.display()
    ))
}
