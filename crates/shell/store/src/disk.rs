//! Where files are kept: on the disk of this machine, or in memory.

use crate::private;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Files by their path. [`LocalDisk`] has those of this machine,
/// [`MemoryDisk`](crate::MemoryDisk) those of a test.
pub trait Disk: Debug + Send + Sync {
    /// All of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The files in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes a folder with this mode; one that is there gets the mode, too.
    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Writes a file for root alone, whatever was there before.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes a file in place, for those who have it mounted: it is never emptied first.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file of root's alone to append to, making it if need be.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Appended>>;
    /// Gives a file another name, in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that grows at its end.
pub trait Appended: Debug + Send {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it off.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }

    fn make_folder(&self, path: &Path, mode: u32) -> io::Result<()> {
        private::make_folder(path, mode)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        private::write(path, bytes)
    }

    /// ext4 takes a file that is emptied first for a replacement and writes it out at once, which
    /// costs milliseconds; and an empty file must not be read.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Appended>> {
        private::tighten_file(path)?;
        let mut options = OpenOptions::new();
        let file = private::private(options.append(true).create(true)).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

impl Appended for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        File::set_len(self, bytes)
    }
}
