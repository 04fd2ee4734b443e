//! A disk in memory, for tests: what is written survives the one who wrote it, as on a real one, and
//! every write is a step that can be refused.

use crate::disk::{Appended, Disk};
use redb::StorageBackend;
use sealane_kernel::fake::Steps;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The error numbers of Linux for no room, and for a file that cannot be removed.
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// Files and a database, in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Bytes>>>,
    database: Bytes,
    steps: Steps,
}

/// What a file has, whatever its name.
type Bytes = Arc<Mutex<Vec<u8>>>;

impl MemoryDisk {
    /// An empty disk, whose writes are steps of a run.
    pub fn new(steps: Steps) -> Self {
        Self {
            steps,
            ..Self::default()
        }
    }

    /// Another disk with the same on it.
    #[must_use]
    pub fn copy(&self, steps: Steps) -> Self {
        let bytes = |bytes: Vec<u8>| Arc::new(Mutex::new(bytes));
        let files = self.files().into_iter();
        let files = files.map(|(path, file)| (path, bytes(file)));
        Self {
            files: Arc::new(Mutex::new(files.collect())),
            database: bytes(lock(&self.database).clone()),
            steps,
        }
    }

    /// What is on it, by path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = lock(&self.files);
        let contents = files.iter();
        contents
            .map(|(path, file)| (path.clone(), lock(file).clone()))
            .collect()
    }

    /// The file of the database.
    pub(crate) fn database(&self) -> impl StorageBackend + use<> {
        Paged(self.database.clone())
    }

    /// Begins a transaction of the store: on a full disk it fails as a whole.
    pub(crate) fn begin_commit(&self) -> io::Result<()> {
        self.steps.take(ENOSPC, || "commit to the store".into())
    }

    /// The file of this name, made if need be.
    fn file(&self, path: &Path) -> Bytes {
        let mut files = lock(&self.files);
        files.entry(path.to_owned()).or_default().clone()
    }

    fn step(&self, refusal: i32, what: &str, path: &Path) -> io::Result<()> {
        self.steps
            .take(refusal, || format!("{what} {}", path.display()))
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let files = lock(&self.files);
        let found = files.get(path).map(|file| lock(file).clone());
        found.ok_or_else(not_found)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let files = lock(&self.files);
        let inside = files.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.cloned().collect())
    }

    fn make_folder(&self, _path: &Path, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(ENOSPC, "write", path)?;
        *lock(&self.file(path)) = bytes.to_owned();
        Ok(())
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write(path, bytes)
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Appended>> {
        Ok(Box::new(MemoryFile {
            path: path.to_owned(),
            bytes: self.file(path),
            disk: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(ENOSPC, "rename to", to)?;
        let mut files = lock(&self.files);
        let moved = files.remove(from).ok_or_else(not_found)?;
        files.insert(to.to_owned(), moved);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if !lock(&self.files).contains_key(path) {
            return Err(not_found());
        }
        self.step(EIO, "remove", path)?;
        lock(&self.files).remove(path);
        Ok(())
    }
}

/// A file that is open for appending.
#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    bytes: Bytes,
    disk: MemoryDisk,
}

impl Appended for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.step(ENOSPC, "append to", &self.path)?;
        lock(&self.bytes).extend_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        let len = usize::try_from(bytes).map_err(io::Error::other)?;
        lock(&self.bytes).resize(len, 0);
        Ok(())
    }
}

/// The file of a database.
#[derive(Debug)]
struct Paged(Bytes);

impl StorageBackend for Paged {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = lock(&self.0);
        let found = bytes.get(range(offset, out.len())?);
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        lock(&self.0).resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let place = bytes.get_mut(range(offset, data.len())?);
        place
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        Ok(())
    }
}

fn range(offset: u64, len: usize) -> io::Result<Range<usize>> {
    let offset = usize::try_from(offset).map_err(io::Error::other)?;
    Ok(offset..offset + len)
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// What is guarded is only ever replaced whole.
fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}
