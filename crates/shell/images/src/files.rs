//! Files and folders that are whole or absent, also after a crash.
//!
//! Everything is made in a temporary folder on the same file system, synced, and renamed into
//! place. What is left in that folder when the store is opened is from a run that died.

use crate::{ImageError, Result, fault};
use rustix::fs::{Mode, OFlags, open, syncfs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder for what is being made.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
    number: AtomicU64,
}

/// Something that is being made, or being removed. It is removed when dropped; what was renamed
/// to its place by then is safe.
#[derive(Debug)]
pub(crate) struct Draft(PathBuf);

impl Workshop {
    /// Removes what a run that died left.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        remove_folder(&folder)?;
        make_folder(&folder)?;
        Ok(Self {
            folder,
            number: AtomicU64::new(0),
        })
    }

    /// A new name in the folder.
    pub(crate) fn draft(&self) -> Draft {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        Draft(self.folder.join(number.to_string()))
    }

    /// A new folder in the folder.
    pub(crate) fn draft_folder(&self) -> Result<Draft> {
        let draft = self.draft();
        make_folder(draft.path())?;
        Ok(draft)
    }

    /// Writes a file whole, to last.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let draft = self.draft();
        let mut file = File::create(draft.path()).map_err(failed("create", draft.path()))?;
        file.write_all(bytes)
            .map_err(failed("write", draft.path()))?;
        file.sync_all().map_err(failed("sync", draft.path()))?;
        draft.publish(path)
    }

    /// Writes a value as JSON, to last.
    pub(crate) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|error| damaged(path, error))?;
        self.write(path, &bytes)
    }

    /// Takes a folder away at once, then removes it.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        let draft = self.draft();
        fault::point("remove a folder of the data root");
        match fs::rename(path, draft.path()) {
            Ok(()) => remove_folder(draft.path()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed("remove", path)(source)),
        }
    }
}

impl Draft {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Renames a synced file or folder to its place, to last.
    pub(crate) fn publish(self, path: &Path) -> Result<()> {
        fault::point("write to the data root");
        fs::rename(&self.0, path).map_err(failed("put in place", path))?;
        let folder = path.parent().unwrap_or(path);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed("sync", folder))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.0) {
            Ok(about) if about.is_dir() => fs::remove_dir_all(&self.0),
            Ok(_) => fs::remove_file(&self.0),
            Err(_) => return,
        };
        if let Err(error) = removed {
            tracing::warn!(%error, path = %self.0.display(), "something unfinished is left");
        }
    }
}

/// Turns an I/O error into ours, for `map_err`.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    move |source| ImageError::File {
        action,
        path: path.into(),
        source,
    }
}

/// Makes everything below last that was written so far.
pub(crate) fn sync_all(path: &Path) -> Result<()> {
    let synced = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).and_then(syncfs);
    synced.map_err(|errno| failed("sync", path)(errno.into()))
}

pub(crate) fn damaged(path: &Path, error: impl ToString) -> ImageError {
    ImageError::Damaged {
        path: path.into(),
        reason: error.to_string(),
    }
}

/// Reads a JSON value; `None` if there is no file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match present(fs::read(path)).map_err(failed("read", path))? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| damaged(path, e)),
        None => Ok(None),
    }
}

/// The names in a folder.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let name = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let entries = fs::read_dir(path).map_err(failed("list", path))?;
    entries
        .map(|entry| name(entry).map_err(failed("list", path)))
        .collect()
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(failed("make the folder", path))
}

/// Makes a folder that only root looks into: set-user-id programs of images are below it.
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
    fault::point("remove a file of the data root");
    present(fs::remove_file(path))
        .map_err(failed("remove", path))
        .map(drop)
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
