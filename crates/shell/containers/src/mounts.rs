//! What is mounted in a container: binds, mounts and tmpfs of the request, as one checked list.

use crate::ContainerError;
use crate::options::{
    HostOptions, MountOptions, MountType, PropagationMode as Asked, TmpfsOptions,
};
use crate::view::MountView;
use sealane_runtime::{Mount, MountKind, Propagation};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A mount of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What the runtime is given.
    pub(crate) mount: Mount,
    /// The mode as the client wrote it, for inspect.
    pub(crate) mode: String,
    /// Whether a missing source is made a folder, as `-v` does.
    pub(crate) make_source: bool,
}

/// All mounts of a container, each destination once.
pub(crate) fn wanted(host: &HostOptions) -> Result<Vec<Wanted>, ContainerError> {
    if host
        .volumes_from
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(volumes_are_missing("--volumes-from"));
    }
    let mut all = Vec::new();
    for bind in host.binds.iter().flatten() {
        all.push(parse_bind(bind)?);
    }
    for request in host.mounts.iter().flatten() {
        all.push(parse_mount(request)?);
    }
    for (destination, options) in host.tmpfs.iter().flatten() {
        all.push(tmpfs(destination, options)?);
    }
    let mut seen = BTreeSet::new();
    for wanted in &all {
        if !seen.insert(wanted.mount.destination.as_str()) {
            let destination = &wanted.mount.destination;
            return Err(invalid(format!("Duplicate mount point: {destination}")));
        }
    }
    Ok(all)
}

/// How a mount is shown; others than binds are not.
pub(crate) fn shown(wanted: &Wanted) -> Option<MountView> {
    let MountKind::Bind {
        source,
        propagation,
    } = &wanted.mount.kind
    else {
        return None;
    };
    Some(MountView {
        source: source.clone(),
        destination: wanted.mount.destination.clone(),
        mode: wanted.mode.clone(),
        read_only: wanted.mount.read_only,
        propagation: *propagation,
    })
}

/// `SOURCE:DESTINATION[:MODE]`, the source an absolute path.
fn parse_bind(text: &str) -> Result<Wanted, ContainerError> {
    let malformed = || invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts[..] {
        [destination] if !destination.is_empty() => {
            return Err(volumes_are_missing(destination));
        }
        [source, destination] => (source, destination, ""),
        [source, destination, mode] => (source, destination, mode),
        _ => return Err(malformed()),
    };
    if source.is_empty() || parts.len() == 2 && Mode::parse(destination).is_some() {
        return Err(malformed());
    }
    let Some(parsed) = Mode::parse(mode) else {
        return Err(invalid(format!("invalid mode: {mode}")));
    };
    if !source.starts_with('/') {
        return Err(volumes_are_missing(source));
    }
    let destination = destination_of(destination)
        .map_err(|why| invalid(format!("invalid volume specification: '{text}': {why}")))?;
    let kind = MountKind::Bind {
        source: PathBuf::from(source),
        propagation: parsed.propagation,
    };
    Ok(Wanted {
        mount: Mount {
            destination,
            kind,
            read_only: parsed.read_only,
        },
        mode: mode.to_owned(),
        make_source: true,
    })
}

#[derive(Debug, Default)]
struct Mode {
    read_only: bool,
    propagation: Propagation,
}

impl Mode {
    /// A list of words, each kind at most once. Labels and consistency mean nothing here.
    fn parse(text: &str) -> Option<Self> {
        let mut mode = Self::default();
        let mut kinds = BTreeSet::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => "access",
                "z" | "Z" => "label",
                "nocopy" => "copy",
                "consistent" | "cached" | "delegated" => "consistency",
                "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
                    mode.propagation = propagation(word);
                    "propagation"
                }
                _ => return None,
            };
            mode.read_only |= word == "ro";
            if !kinds.insert(kind) {
                return None;
            }
        }
        Some(mode)
    }
}

fn propagation(word: &str) -> Propagation {
    match word {
        "slave" | "rslave" => Propagation::Slave,
        "shared" | "rshared" => Propagation::Shared,
        _ => Propagation::Private,
    }
}

fn parse_mount(request: &MountOptions) -> Result<Wanted, ContainerError> {
    let asked = request.kind.unwrap_or(MountType::Bind);
    let refused =
        |why: String| invalid(format!("invalid mount config for type \"{asked}\": {why}"));
    let target = request.target.as_deref().unwrap_or_default();
    if target.is_empty() {
        return Err(refused("field Target must not be empty".into()));
    }
    let destination = destination_of(target).map_err(refused)?;
    let read_only = request.read_only.unwrap_or_default();
    let kind = match asked {
        MountType::Bind => bind_kind(request).map_err(refused)?,
        MountType::Tmpfs if request.source.as_ref().is_some_and(|text| !text.is_empty()) => {
            return Err(refused("field Source must not be specified".into()));
        }
        MountType::Tmpfs => MountKind::Tmpfs {
            options: tmpfs_options(request),
        },
        MountType::Volume => return Err(volumes_are_missing(target)),
        MountType::Cluster | MountType::Image | MountType::NamedPipe => {
            return Err(refused("mount type unknown".into()));
        }
    };
    let bind_options = request.bind_options.as_ref();
    let make_source = bind_options.is_some_and(|options| options.create_mountpoint == Some(true));
    let mount = Mount {
        destination,
        kind,
        read_only,
    };
    Ok(Wanted {
        mount,
        mode: String::new(),
        make_source,
    })
}

fn bind_kind(request: &MountOptions) -> Result<MountKind, String> {
    let source = request.source.as_deref().unwrap_or_default();
    if source.is_empty() {
        return Err("field Source must not be empty".into());
    }
    if !source.starts_with('/') {
        return Err(format!(
            "invalid mount path: '{source}' mount path must be absolute"
        ));
    }
    let options = request.bind_options.clone().unwrap_or_default();
    if options.create_mountpoint != Some(true) && !Path::new(source).exists() {
        return Err(format!("bind source path does not exist: {source}"));
    }
    let propagation = match options.propagation.unwrap_or(Asked::Unset) {
        Asked::Unset | Asked::Private | Asked::RecursivePrivate => Propagation::Private,
        Asked::Slave | Asked::RecursiveSlave => Propagation::Slave,
        Asked::Shared | Asked::RecursiveShared => Propagation::Shared,
    };
    Ok(MountKind::Bind {
        source: source.into(),
        propagation,
    })
}

fn tmpfs_options(request: &MountOptions) -> Vec<String> {
    let TmpfsOptions {
        size_bytes,
        mode,
        options,
        unknown: _,
    } = request.tmpfs_options.clone().unwrap_or_default();
    let size = size_bytes
        .filter(|size| *size > 0)
        .map(|size| format!("size={size}"));
    let mode = mode
        .filter(|mode| *mode > 0)
        .map(|mode| format!("mode={mode:o}"));
    let further = options
        .unwrap_or_default()
        .into_iter()
        .map(|words| words.join("="));
    size.into_iter().chain(mode).chain(further).collect()
}

fn tmpfs(destination: &str, options: &str) -> Result<Wanted, ContainerError> {
    let refused = |why| invalid(format!("invalid mount config for type \"tmpfs\": {why}"));
    let destination = destination_of(destination).map_err(refused)?;
    let mut words: Vec<String> = options
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let read_only = words.iter().any(|word| word == "ro");
    words.retain(|word| word != "ro" && word != "rw");
    let mount = Mount {
        destination,
        kind: MountKind::Tmpfs { options: words },
        read_only,
    };
    Ok(Wanted {
        mount,
        mode: options.to_owned(),
        make_source: false,
    })
}

/// An absolute path without `.`, `..` and double slashes; never the root.
fn destination_of(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!(
            "invalid mount path: '{path}' mount path must be absolute"
        ));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err("invalid specification: destination can't be '/'".into());
    }
    Ok(format!("/{}", parts.join("/")))
}

fn volumes_are_missing(what: &str) -> ContainerError {
    ContainerError::NotImplemented(format!(
        "volumes are not supported ({what}); bind a folder of the host by its absolute path"
    ))
}

fn invalid(text: String) -> ContainerError {
    ContainerError::Invalid(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(binds: &[&str]) -> HostOptions {
        let binds = binds.iter().map(|bind| (*bind).to_owned()).collect();
        HostOptions {
            binds: Some(binds),
            ..HostOptions::default()
        }
    }

    fn refusal(host: &HostOptions) -> String {
        wanted(host).unwrap_err().to_string()
    }

    #[test]
    fn a_bind_has_a_source_a_destination_and_a_mode() {
        let list = wanted(&host(&["/a:/b", "/c:/d/../e/:ro,z,rslave"])).unwrap();
        assert_eq!(list[0].mount.destination, "/b");
        assert!(!list[0].mount.read_only);
        assert_eq!(list[1].mount.destination, "/e");
        assert!(list[1].mount.read_only);
        let MountKind::Bind { propagation, .. } = &list[1].mount.kind else {
            panic!()
        };
        assert_eq!(*propagation, Propagation::Slave);
        assert_eq!(shown(&list[1]).unwrap().mode, "ro,z,rslave");
    }

    #[test]
    fn malformed_binds_are_refused() {
        assert_eq!(
            refusal(&host(&["/a:ro"])),
            "invalid volume specification: '/a:ro'"
        );
        assert_eq!(refusal(&host(&["/a:/b:x"])), "invalid mode: x");
        assert_eq!(refusal(&host(&["/a:/b:ro,rw"])), "invalid mode: ro,rw");
        assert_eq!(
            refusal(&host(&["/a:/b:ro:x"])),
            "invalid volume specification: '/a:/b:ro:x'"
        );
        assert_eq!(
            refusal(&host(&["/a:b"])),
            "invalid volume specification: '/a:b': invalid mount path: 'b' mount path must be \
             absolute"
        );
        assert_eq!(
            refusal(&host(&["/a:/x", "/b:/x/"])),
            "Duplicate mount point: /x"
        );
    }

    #[test]
    fn volumes_are_not_there_yet() {
        for bind in ["data:/b", "/b"] {
            let error = wanted(&host(&[bind])).unwrap_err();
            assert!(matches!(error, ContainerError::NotImplemented(_)), "{bind}");
        }
    }

    #[test]
    fn the_source_of_a_mount_must_exist() {
        let mount = MountOptions {
            kind: Some(MountType::Bind),
            source: Some("/does/not/exist".into()),
            target: Some("/b".into()),
            ..MountOptions::default()
        };
        let host = HostOptions {
            mounts: Some(vec![mount]),
            ..HostOptions::default()
        };
        assert_eq!(
            refusal(&host),
            "invalid mount config for type \"bind\": bind source path does not exist: \
             /does/not/exist"
        );
    }

    #[test]
    fn a_tmpfs_keeps_its_options() {
        let host = HostOptions {
            tmpfs: Some([("/run".to_owned(), "ro,size=1m".to_owned())].into()),
            ..HostOptions::default()
        };
        let list = wanted(&host).unwrap();
        assert_eq!(
            list[0].mount.kind,
            MountKind::Tmpfs {
                options: vec!["size=1m".into()]
            }
        );
        assert!(list[0].mount.read_only);
    }
}
