//! Which crate may use which, and who may write to the kernel.

use crate::rooms;
use cargo_metadata::{DependencyKind, Metadata, Package};
use std::path::{Path, PathBuf};
use std::{fs, io};
use thiserror::Error;

/// The workspace does not point one way.
#[derive(Debug, Error)]
pub(crate) enum DirectionError {
    #[error("the direction is front -> shell -> core, but:\n{}", .0.join("\n"))]
    Backwards(Vec<String>),
    #[error("the rooms of core point one way, but:\n{}", .0.join("\n"))]
    Rooms(Vec<String>),
    #[error("only the executor may write to the kernel, but:\n{}", .0.join("\n"))]
    Writers(Vec<String>),
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
}

/// Fails on an edge against the direction, and on a crate that writes to the kernel by itself.
pub(crate) fn check(metadata: &Metadata) -> Result<(), DirectionError> {
    let faults: Vec<String> = metadata
        .workspace_packages()
        .iter()
        .flat_map(|package| edges(package))
        .collect();
    if !faults.is_empty() {
        return Err(DirectionError::Backwards(faults));
    }
    let rooms = in_core(metadata)?;
    if !rooms.is_empty() {
        return Err(DirectionError::Rooms(rooms));
    }
    let mut writers = Vec::new();
    for package in metadata.workspace_packages() {
        writers.extend(foreign_writers(package)?);
    }
    if writers.is_empty() {
        Ok(())
    } else {
        Err(DirectionError::Writers(writers))
    }
}

/// Where a crate stands; a crate may use those below it, and, in the shell and the front, beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Core,
    Shell,
    Front,
    /// Tests, benchmarks and this: they may use everything.
    Outside,
}

impl Layer {
    fn of(path: &str) -> Self {
        let in_folder = |folder: &str| path.contains(folder);
        match () {
            () if in_folder("/crates/core") => Self::Core,
            () if in_folder("/crates/shell/") => Self::Shell,
            () if in_folder("/crates/front/") => Self::Front,
            () => Self::Outside,
        }
    }
}

/// Edges inside the shell that would undo its order: user, used, why not.
const FORBIDDEN: [(&str, &str, &str); 9] = [
    (
        "sealane-engine",
        "sealane-containers",
        "the engine knows nothing of containers",
    ),
    (
        "sealane-engine",
        "sealane-runtime",
        "the engine knows nothing of containers",
    ),
    (
        "sealane-engine",
        "sealane-images",
        "the engine knows nothing of containers",
    ),
    (
        "sealane-containers",
        "sealane-executor",
        "only the engine composes the network side",
    ),
    (
        "sealane-containers",
        "sealane-kernel",
        "only the engine composes the network side",
    ),
    (
        "sealane-kernel",
        "sealane-executor",
        "the kernel crate does what it is told",
    ),
    (
        "sealane-kernel",
        "sealane-engine",
        "the kernel crate does what it is told",
    ),
    (
        "sealane-store",
        "sealane-engine",
        "a store knows nothing of who uses it",
    ),
    (
        "sealane-docker-api",
        "sealane-kernel",
        "a front decodes, calls the engine and encodes",
    ),
];

/// The faults in what a crate depends on.
fn edges(package: &Package) -> Vec<String> {
    let from = Layer::of(package.manifest_path.as_str());
    let used = package
        .dependencies
        .iter()
        .filter(|used| used.kind != DependencyKind::Development);
    used.filter_map(|used| {
        let (user, name) = (package.name.as_str(), used.name.as_str());
        if let Some((_, _, why)) = FORBIDDEN
            .iter()
            .find(|edge| (edge.0, edge.1) == (user, name))
        {
            return Some(format!("  {user} uses {name}: {why}"));
        }
        if name.starts_with("netlink-") && user != "sealane-kernel" && from != Layer::Outside {
            return Some(format!(
                "  {user} uses {name}: only sealane-kernel speaks netlink"
            ));
        }
        if name.starts_with("bollard") && from < Layer::Front {
            return Some(format!(
                "  {user} uses {name}: the types of Docker's API are the front's"
            ));
        }
        let to = Layer::of(used.path.as_ref()?.as_str());
        let against = to > from || (from == Layer::Core && to == Layer::Core);
        against.then(|| format!("  {user} ({from:?}) uses {name} ({to:?})"))
    })
    .collect()
}

/// The faults between the rooms inside the core.
fn in_core(metadata: &Metadata) -> Result<Vec<String>, DirectionError> {
    let root = metadata
        .workspace_root
        .join("crates/core/src")
        .into_std_path_buf();
    let unreadable = |path: &Path, source| DirectionError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let folder = root.join("drivers");
    let mut drivers = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
        let path = entry.map_err(|error| unreadable(&folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        drivers.extend(name.filter(|_| path.is_dir()).map(str::to_owned));
    }
    let mut faults = Vec::new();
    for path in sources(&root)? {
        let source = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let shown = path.strip_prefix(&root).unwrap_or(&path);
        faults.extend(rooms::faults(shown, &source, &drivers));
    }
    Ok(faults)
}

/// The sources of a crate, other than the two that may, that name the kernel's writing functions.
fn foreign_writers(package: &Package) -> Result<Vec<String>, DirectionError> {
    let may_write = ["sealane-kernel", "sealane-executor", "xtask"];
    if may_write.contains(&package.name.as_str()) {
        return Ok(vec![]);
    }
    let Some(folder) = package.manifest_path.parent() else {
        return Ok(vec![]);
    };
    let mut found = Vec::new();
    for path in sources(&folder.join("src").into_std_path_buf())? {
        let source = fs::read_to_string(&path).map_err(|source| DirectionError::Unreadable {
            path: path.clone(),
            source,
        })?;
        if names_writers(&source) {
            found.push(format!("  {} names sealane_kernel::write", path.display()));
        }
    }
    Ok(found)
}

/// The source files below a folder, without those of unit tests.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, DirectionError> {
    let unreadable = |source| DirectionError::Unreadable {
        path: folder.to_path_buf(),
        source,
    };
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether a source names `sealane_kernel::write`, in a path or in a `use` tree.
fn names_writers(source: &str) -> bool {
    let code: String = source
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace())
        .collect();
    code.split("sealane_kernel::")
        .skip(1)
        .any(first_names_write)
}

/// Whether what follows `sealane_kernel::` is `write`, or a group that has it as a member.
fn first_names_write(rest: &str) -> bool {
    let is_write = |member: &str| {
        member.strip_prefix("write").is_some_and(|after| {
            !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
        })
    };
    let Some(group) = rest.strip_prefix('{') else {
        return is_write(rest);
    };
    let mut depth = 0_u32;
    let mut member = String::new();
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            ',' if depth == 0 => {
                if is_write(&member) {
                    return true;
                }
                member.clear();
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        member.push(character);
    }
    is_write(&member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_points_one_way() {
        let metadata = crate::metadata().expect("cargo answers");
        if let Err(fault) = check(&metadata) {
            panic!("{fault}");
        }
    }

    #[test]
    fn a_writer_is_found_in_paths_and_in_use_trees() {
        for source in [
            "use sealane_kernel::write::Link;",
            "use sealane_kernel::{Kernel, write};",
            "use sealane_kernel::{\n    read::{a, b},\n    write::{self, x},\n};",
            "fn f() { sealane_kernel::write::link() }",
        ] {
            assert!(names_writers(source), "{source}");
        }
    }

    #[test]
    fn a_reader_is_no_writer() {
        for source in [
            "use sealane_kernel::read::Link;",
            "use sealane_kernel::{Kernel, read::{write_back}};",
            "// sealane_kernel::write is for the executor",
            "use sealane_kernel::writer;",
        ] {
            assert!(!names_writers(source), "{source}");
        }
    }
}
