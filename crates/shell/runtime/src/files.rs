//! Files that are whole or absent, and the errors about them.

use crate::{Result, RuntimeError, fault};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Turns an I/O error into ours, for `map_err`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RuntimeError {
    move |source| RuntimeError::File {
        action,
        path: path.into(),
        source,
    }
}

/// Writes a file that readers see whole or not at all. Not synced: the exec root is in memory.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fault::point("write a runtime file");
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    let mut file = create(temporary)?;
    file.write_all(bytes).map_err(failed("write", temporary))?;
    fs::rename(temporary, path).map_err(failed("replace", path))
}

/// Makes a file that only root reads: environments are in some of them.
pub(crate) fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(failed("create", path))
}

/// Writes a value as JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|error| damaged(path, &error))?;
    write(path, &bytes)
}

/// Reads a JSON value; `None` if there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| damaged(path, &error))
}

/// Reads a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    present(fs::read(path)).map_err(failed("read", path))
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(failed("make the folder", path))
}

/// Makes a folder that only root looks into: what containers print and get told is below it.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    make_folder(path)?;
    let mode = PermissionsExt::from_mode(0o700);
    fs::set_permissions(path, mode).map_err(failed("set the mode of", path))
}

/// Removes a folder with everything in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    present(fs::remove_dir_all(path))
        .map_err(failed("remove", path))
        .map(drop)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    present(fs::remove_file(path))
        .map_err(failed("remove", path))
        .map(drop)
}

/// The names in a folder; none if it is absent.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let Some(entries) = present(fs::read_dir(path)).map_err(failed("list", path))? else {
        return Ok(Vec::new());
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    entries
        .map(|entry| name(entry).map_err(failed("list", path)))
        .collect()
}

/// Turns "not found" into `None`.
pub(crate) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn damaged(path: &Path, error: &serde_json::Error) -> RuntimeError {
    RuntimeError::Damaged {
        path: path.into(),
        reason: error.to_string(),
    }
}
