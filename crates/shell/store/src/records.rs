//! Runtime state: one small file per sandbox.

use crate::BootId;
use crate::disk::{Disk, LocalDisk};
use crate::private::PRIVATE;
use sealane_kernel::fault;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

const SUFFIX: &str = ".json";
const NEW_SUFFIX: &str = ".new";

/// Why a runtime record cannot be read or changed.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The system refused.
    #[error("cannot use the runtime record {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a record of this kind.
    #[error("the runtime record {} cannot be read; remove it if its container is gone", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The record cannot be written as JSON.
    #[error("the runtime record {} cannot be written as JSON", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

/// What was found at start.
#[derive(Debug)]
pub struct LoadedRecords<T> {
    /// The records of this boot, by name.
    pub records: BTreeMap<String, T>,
    /// Files that could not be read. They stay where they are.
    pub damaged: Vec<RecordError>,
}

/// A folder of records, one file each, written as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Records<T> {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    boot: BootId,
    kind: PhantomData<fn(T)>,
}

#[derive(Serialize)]
struct Stamped<'a, T> {
    boot: &'a BootId,
    record: &'a T,
}

#[derive(Deserialize)]
struct Stamp {
    boot: BootId,
}

#[derive(Deserialize)]
struct Contents<T> {
    record: T,
}

impl<T: Serialize + DeserializeOwned> Records<T> {
    /// Opens a folder, making it if need be. Records of another boot are removed, and so is what a
    /// crash left half written.
    pub fn open(folder: &Path, boot: BootId) -> Result<(Self, LoadedRecords<T>), RecordError> {
        Self::open_on(Arc::new(LocalDisk), folder, boot)
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folder: &Path,
        boot: BootId,
    ) -> Result<(Self, LoadedRecords<T>), RecordError> {
        disk.make_folder(folder, PRIVATE).map_err(at(folder))?;
        let records = Self {
            disk,
            folder: folder.to_owned(),
            boot,
            kind: PhantomData,
        };
        let mut loaded = LoadedRecords {
            records: BTreeMap::new(),
            damaged: Vec::new(),
        };
        for path in records.disk.list(folder).map_err(at(folder))? {
            let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if file.ends_with(NEW_SUFFIX) {
                records.disk.remove(&path).map_err(at(&path))?;
            } else if let Some(name) = file.strip_suffix(SUFFIX) {
                records.load(&path, name, &mut loaded)?;
            }
        }
        Ok((records, loaded))
    }

    /// Writes a record, or replaces it.
    pub fn write(&self, name: &str, record: &T) -> Result<(), RecordError> {
        let path = self.path(name);
        let encode = |source| RecordError::Encode {
            path: path.clone(),
            source,
        };
        let stamped = Stamped {
            boot: &self.boot,
            record,
        };
        let text = serde_json::to_vec(&stamped).map_err(encode)?;
        fault::point("record write");
        let new = self.folder.join(format!("{name}{NEW_SUFFIX}"));
        let written = self.disk.write(&new, &text).map_err(at(&new));
        let written = written.and_then(|()| self.disk.rename(&new, &path).map_err(at(&path)));
        if written.is_err()
            && let Err(error) = self.disk.remove(&new)
        {
            // The next start does it; until then it only takes up room.
            tracing::debug!(%error, "a record that could not be written is left half written");
        }
        written
    }

    /// Removes a record; there need not be one.
    pub fn remove(&self, name: &str) -> Result<(), RecordError> {
        let path = self.path(name);
        fault::point("record remove");
        match self.disk.remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(RecordError::Io { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    fn load(
        &self,
        path: &Path,
        name: &str,
        loaded: &mut LoadedRecords<T>,
    ) -> Result<(), RecordError> {
        let text = self.disk.read(path).map_err(at(path))?;
        let damaged = |source| RecordError::Damaged {
            path: path.to_owned(),
            source,
        };
        match serde_json::from_slice::<Stamp>(&text) {
            Err(source) => loaded.damaged.push(damaged(source)),
            Ok(stamp) if stamp.boot != self.boot => self.disk.remove(path).map_err(at(path))?,
            Ok(_) => match serde_json::from_slice::<Contents<T>>(&text) {
                Ok(contents) => {
                    loaded.records.insert(name.to_owned(), contents.record);
                }
                Err(source) => loaded.damaged.push(damaged(source)),
            },
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> RecordError {
    move |source| RecordError::Io {
        path: path.to_owned(),
        source,
    }
}
