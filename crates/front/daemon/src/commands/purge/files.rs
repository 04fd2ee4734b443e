//! The files below the roots: what is ours by name is removed, anything else stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a daemon makes below its exec root.
pub(super) const EXEC_ENTRIES: [&str; 15] = [
    "boot-id",
    "claims",
    "containers",
    "daemon.lock",
    "execs",
    "exits",
    "files",
    "given",
    "host",
    "netns",
    "runtime",
    "sandboxes",
    "session",
    "spare",
    "trial",
];

/// What a daemon makes below its data root.
pub(super) const DATA_ENTRIES: [&str; 9] = [
    "containers",
    "engine-id",
    "images",
    "logs",
    "rootfs",
    "sealane.lock",
    "sealane.redb",
    "sealane.spare",
    "settings.json",
];

/// Removes the named entries of a folder, and the folder if nothing else is in it. Goes on after
/// a failure, and returns each.
pub(super) fn remove(root: &Path, entries: &[&str]) -> Vec<(PathBuf, io::Error)> {
    let mut failures = Vec::new();
    for path in entries.iter().map(|entry| root.join(entry)) {
        if let Err(error) = remove_one(&path) {
            failures.push((path, error));
        }
    }
    // What is left is not ours, so that the folder stays too.
    match fs::remove_dir(root) {
        Ok(()) => {}
        Err(error) => {
            use io::ErrorKind::{DirectoryNotEmpty, NotFound, ResourceBusy};
            if !matches!(error.kind(), DirectoryNotEmpty | NotFound | ResourceBusy) {
                failures.push((root.into(), error));
            }
        }
    }
    failures
}

fn remove_one(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        fs::create_dir_all(root.join("images/a")).unwrap();
        fs::write(root.join("engine-id"), "x").unwrap();
        fs::write(root.join("thesis.txt"), "x").unwrap();
        assert!(remove(&root, &DATA_ENTRIES).is_empty());
        let left: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["thesis.txt"]);
        fs::remove_file(root.join("thesis.txt")).unwrap();
        assert!(remove(&root, &DATA_ENTRIES).is_empty() && !root.exists());
    }
}
