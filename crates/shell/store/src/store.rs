//! Desired state: tables of JSON values in one transactional file.

use crate::batch::{Batch, Change, Table};
use crate::error::{FORMAT, StoreError, classify};
use crate::lock::{LockError, RootLock, Tenure};
use crate::memory::MemoryDisk;
use crate::private::{self, PASSABLE};
use crate::spare::Spare;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use sealane_kernel::fault;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FILE: &str = "sealane.redb";
const NEW_FILE: &str = "sealane.redb.new";
const LOCK_FILE: &str = "sealane.lock";

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";

/// How long a daemon waits for calls that are under way.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything we keep is read once at start, so a large cache would only hold memory.
const CACHE_BYTES: usize = 1 << 20;

/// The stored desired state under one root. While it lives, no other process can open the same root.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// Opens the file.
    open: Open,
    /// `None` after a failed write, until the next use opens the file again: the database refuses
    /// further work after any such failure.
    database: Mutex<Option<Database>>,
    /// The disk in memory that it is on, if it is.
    memory: Option<MemoryDisk>,
    /// `None` in memory, where there is room.
    spare: Option<Mutex<Spare>>,
    /// `None` in memory, where there is no other process.
    _lock: Option<RootLock>,
}

/// Opens a database.
struct Open(Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>);

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Open")
    }
}

impl Store {
    /// Opens the store under a data root, or makes an empty one where there is none. A damaged one
    /// is refused, never replaced. Refused while a daemon has it; calls are waited for.
    pub fn open(data_root: &Path) -> Result<Self, StoreError> {
        Self::open_for(data_root, Tenure::Daemon, PATIENCE)
    }

    /// The same, for a daemon or for one call; calls are waited for so long.
    pub fn open_for(
        data_root: &Path,
        tenure: Tenure,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        if !data_root.exists() {
            private::make_folder(data_root, PASSABLE).map_err(at(data_root))?;
        }
        let lock = lock(data_root, tenure, patience)?;
        let path = data_root.join(FILE);
        private::tighten_file(&path).map_err(at(&path))?;
        if !path.try_exists().map_err(at(&path))? {
            create(data_root)?;
        }
        let file = path.clone();
        let open = Open(Box::new(move || Ok(builder().open(&file)?)));
        let database = (open.0)().map_err(|error| classify(error, &path))?;
        check_format(&database, &path)?;
        Ok(Self {
            path,
            open,
            database: Mutex::new(Some(database)),
            memory: None,
            spare: Some(Mutex::new(Spare::of(data_root))),
            _lock: Some(lock),
        })
    }

    /// Opens the store of a disk in memory, or makes an empty one.
    pub fn in_memory(disk: &MemoryDisk) -> Result<Self, StoreError> {
        let path = PathBuf::from(FILE);
        let memory = disk.clone();
        let open = move || Ok(builder().create_with_backend(memory.database())?);
        let open = Open(Box::new(open));
        let database = (open.0)().map_err(|error| classify(error, &path))?;
        Ok(Self {
            path,
            open,
            database: Mutex::new(Some(database)),
            memory: Some(disk.clone()),
            spare: None,
            _lock: None,
        })
    }

    /// Makes all changes of a batch in one transaction, which is on the disk when this returns. On a
    /// full disk a removal takes the room that is kept for it.
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut result = self.commit_once(batch);
        let Some(spare) = &self.spare else {
            return result;
        };
        let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
        let full = matches!(result, Err(StoreError::Full { .. }));
        if full && batch.only_deletes() && spare.give_up() {
            result = self.commit_once(batch);
        } else if result.is_ok() {
            spare.take_again();
        }
        result
    }

    fn commit_once(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut database = self.database()?;
        fault::point("store commit");
        let begun = self
            .memory
            .as_ref()
            .map_or(Ok(()), MemoryDisk::begin_commit);
        let begun = begun.map_err(redb::Error::Io);
        let result =
            begun.and_then(|()| database.as_ref().map_or(Ok(()), |open| write(open, batch)));
        result.map_err(|error| {
            *database = None;
            classify(error, &self.path)
        })
    }

    /// Every value of a table, by key.
    pub fn load_all<T: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<BTreeMap<String, T>, StoreError> {
        let database = self.database()?;
        let read = database
            .as_ref()
            .map_or(Ok(Vec::new()), |open| read_all(open, table));
        let rows = read.map_err(|error| classify(error, &self.path))?;
        let decode = |(key, bytes): (String, Vec<u8>)| match serde_json::from_slice(&bytes) {
            Ok(value) => Ok((key, value)),
            Err(source) => Err(StoreError::Value {
                path: self.path.clone(),
                table: table.0,
                key,
                source,
            }),
        };
        rows.into_iter().map(decode).collect()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database, opened again if a failure closed it.
    fn database(&self) -> Result<MutexGuard<'_, Option<Database>>, StoreError> {
        // A panic while the lock was held leaves a transaction that redb has rolled back.
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if database.is_none() {
            let opened = (self.open.0)();
            *database = Some(opened.map_err(|error| classify(error, &self.path))?);
        }
        Ok(database)
    }
}

fn lock(root: &Path, tenure: Tenure, patience: Duration) -> Result<RootLock, StoreError> {
    let path = root.join(LOCK_FILE);
    RootLock::take(&path, tenure, patience).map_err(|error| match error {
        LockError::Held(holder) => StoreError::InUse {
            root: root.to_owned(),
            holder,
        },
        LockError::Io(source) => StoreError::Io { path, source },
    })
}

/// Makes an empty store. It gets its name when it is complete, so that what bears the name and is
/// not complete must be damaged.
fn create(root: &Path) -> Result<(), StoreError> {
    let new = root.join(NEW_FILE);
    let path = root.join(FILE);
    let io = |source| StoreError::Io {
        path: path.clone(),
        source,
    };
    match fs::remove_file(&new) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::Io { path: new, source });
        }
        Ok(()) | Err(_) => {}
    }
    // It takes an empty file for a new one.
    private::write(&new, "").map_err(io)?;
    let database = builder()
        .create(&new)
        .map_err(|error| classify(error.into(), &new))?;
    let format = FORMAT.to_string();
    write_row(&database, FORMAT_KEY, format.as_bytes()).map_err(|error| classify(error, &new))?;
    database
        .close()
        .map_err(|error| classify(error.into(), &new))?;
    fault::point("store create");
    fs::rename(&new, &path).map_err(io)?;
    File::open(root)
        .and_then(|folder| folder.sync_all())
        .map_err(io)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true);
    builder
}

fn check_format(database: &Database, path: &Path) -> Result<(), StoreError> {
    let rows = read_all(database, Table("meta")).map_err(|error| classify(error, path))?;
    let format = rows
        .into_iter()
        .find(|(key, _)| key == FORMAT_KEY)
        .map(|(_, value)| value);
    match format.and_then(|value| String::from_utf8(value).ok()?.parse().ok()) {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
        }),
        None => Err(classify(
            redb::Error::Corrupted("it has no format".into()),
            path,
        )),
    }
}

fn write(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for Change { table, key, value } in &batch.0 {
        let mut table = transaction.open_table(table.definition())?;
        match value {
            Some(value) => table.insert(key.as_str(), value.as_slice())?,
            None => table.remove(key.as_str())?,
        };
    }
    Ok(transaction.commit()?)
}

fn write_row(database: &Database, key: &str, value: &[u8]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(key, value)?;
    Ok(transaction.commit()?)
}

fn read_all(database: &Database, table: Table) -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(table.definition()) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let row = |row: Result<(redb::AccessGuard<'_, &str>, redb::AccessGuard<'_, &[u8]>), _>| {
        let (key, value) = row?;
        Ok((key.value().to_owned(), value.value().to_owned()))
    };
    table.iter()?.map(row).collect()
}
