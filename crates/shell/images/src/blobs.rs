//! Content by digest: layers as they came, and configurations.

use crate::files::{Draft, Workshop, failed};
use crate::{Result, files};
use sealane_core::model::Id;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The store of blobs.
#[derive(Debug)]
pub(crate) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Makes the folder if it is missing.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        files::make_folder(&folder)?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self, digest: &Id) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Stores bytes.
    pub(crate) fn put(&self, workshop: &Workshop, bytes: &[u8]) -> Result<Id> {
        let digest = digest(bytes);
        workshop.write(&self.path(&digest), bytes)?;
        Ok(digest)
    }

    /// Stores a file that was written and synced elsewhere, under its digest.
    pub(crate) fn adopt(&self, draft: Draft, digest: &Id) -> Result<()> {
        draft.publish(&self.path(digest))
    }

    pub(crate) fn open_blob(&self, digest: &Id) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(failed("open", &path))
    }

    pub(crate) fn read(&self, digest: &Id) -> Result<Vec<u8>> {
        let path = self.path(digest);
        std::fs::read(&path).map_err(failed("read", &path))
    }

    pub(crate) fn size(&self, digest: &Id) -> Result<u64> {
        let path = self.path(digest);
        std::fs::metadata(&path)
            .map(|about| about.len())
            .map_err(failed("look at", &path))
    }

    /// Removes what is not wanted.
    pub(crate) fn sweep(&self, wanted: impl Fn(&Id) -> bool) -> Result<()> {
        for name in files::names(&self.folder)? {
            if !Id::try_from(name.as_str()).is_ok_and(|digest| wanted(&digest)) {
                files::remove(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&self, digest: &Id) -> Result<()> {
        files::remove(&self.path(digest))
    }
}

/// The SHA-256 of bytes.
pub(crate) fn digest(bytes: &[u8]) -> Id {
    Id::from_bytes(Sha256::digest(bytes).into())
}

/// Passes on what it reads, and keeps its digest and a copy.
pub(crate) struct Recorder<R, W> {
    reader: R,
    copy: W,
    hash: Sha256,
    length: u64,
}

impl<R: Read, W: Write> Recorder<R, W> {
    pub(crate) fn new(reader: R, copy: W) -> Self {
        Self {
            reader,
            copy,
            hash: Sha256::new(),
            length: 0,
        }
    }

    /// What it reads from, and the digest of what was read so far.
    pub(crate) fn into_parts(self) -> (R, Id) {
        (self.reader, Id::from_bytes(self.hash.finalize().into()))
    }

    /// Reads what is left; returns the copy, the digest and the length of all.
    pub(crate) fn finish(mut self) -> io::Result<(W, Id, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        self.copy.flush()?;
        Ok((
            self.copy,
            Id::from_bytes(self.hash.finalize().into()),
            self.length,
        ))
    }
}

impl<R: Read, W: Write> Read for Recorder<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.hash.update(&buffer[..length]);
        self.length += length as u64;
        self.copy.write_all(&buffer[..length])?;
        Ok(length)
    }
}

/// Copies a stream into a file; returns its digest.
pub(crate) fn copy_to_file(reader: impl Read, path: &Path) -> Result<Id> {
    let file = File::create(path).map_err(failed("create", path))?;
    let recorded = Recorder::new(reader, file).finish();
    let (file, digest, _) = recorded.map_err(|source| crate::ImageError::Stream("copy", source))?;
    file.sync_all().map_err(failed("sync", path))?;
    Ok(digest)
}
