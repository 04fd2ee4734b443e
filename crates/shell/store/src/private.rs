//! Folders and files that only root reads: containers' environments, passwords among them, are in there.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A file for root alone.
const FILE: u32 = 0o600;
/// The bits of a mode that say who may do what.
const PERMISSIONS: u32 = 0o7777;

/// For a folder that root alone enters.
pub const PRIVATE: u32 = 0o700;
/// For a folder that members of root's group may pass through to what they know the name of.
pub const PASSABLE: u32 = 0o710;

/// Makes a folder with this mode, and those above it with the usual one. One that is there already
/// gets the mode, too.
pub fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => set_mode(path, mode),
    }
}

/// Takes a file of an earlier version from all but root; there need not be one.
pub fn tighten_file(path: &Path) -> io::Result<()> {
    match set_mode(path, FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes a file for root alone, whatever was there before.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = private(options.write(true).create(true).truncate(true)).open(path)?;
    file.write_all(bytes.as_ref())
}

/// Has a file that is made be root's alone.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(FILE)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let present = fs::metadata(path)?.permissions().mode() & PERMISSIONS;
    if present == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & PERMISSIONS
    }

    #[test]
    fn what_is_made_is_root_s_and_what_was_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("a/b"), folder.path().join("a/b/file"));
        make_folder(&inner, PASSABLE).unwrap();
        write(&file, "secret").unwrap();
        assert_eq!((mode(&inner), mode(&file)), (0o710, 0o600));
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        make_folder(&inner, PRIVATE).unwrap();
        tighten_file(&file).unwrap();
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        tighten_file(&folder.path().join("nosuch")).unwrap();
    }
}
