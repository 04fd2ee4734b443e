//! Layers: unpacked once, under the digest of their plain tar, shared by images.

use crate::blobs::{Blobs, Recorder};
use crate::extract::{self, Unpacked};
use crate::files::{self, Draft, Workshop, failed};
use crate::{Backend, ImageError, Result, marks};
use flate2::read::MultiGzDecoder;
use sealane_core::model::Id;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read};
use std::path::PathBuf;

/// The folder of unpacked layers.
#[derive(Debug)]
pub(crate) struct Layers {
    folder: PathBuf,
    backend: Backend,
}

/// One layer of an image: what it holds, and the blob it came as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// The digest of its plain tar.
    pub(crate) diff_id: Id,
    /// The digest of the tar as it came.
    pub(crate) blob: Id,
    /// Whether it came compressed.
    pub(crate) gzip: bool,
    /// Bytes of its files.
    pub(crate) size: u64,
}

/// What lies beside an unpacked layer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct About {
    size: u64,
    /// Whether what it removes is marked among its files, as overlayfs wants it.
    marked: bool,
    /// Paths it removes from the layers below.
    pub(crate) removed: BTreeSet<PathBuf>,
    /// Folders that hide what the layers below have in them.
    pub(crate) opaque: BTreeSet<PathBuf>,
}

/// A layer that was unpacked and has no place yet.
pub(crate) struct Incoming {
    pub(crate) layer: Layer,
    blob: Draft,
    unpacked: Draft,
}

impl Layers {
    /// Makes the folder if it is missing.
    pub(crate) fn open(folder: PathBuf, backend: Backend) -> Result<Self> {
        files::make_folder(&folder)?;
        Ok(Self { folder, backend })
    }

    /// The files of a layer.
    pub(crate) fn files(&self, diff_id: &Id) -> PathBuf {
        self.folder.join(diff_id.to_string()).join("diff")
    }

    /// What a layer removes.
    pub(crate) fn about(&self, diff_id: &Id) -> Result<About> {
        let path = self.about_file(diff_id);
        files::read_json(&path)?.ok_or_else(|| files::damaged(&path, "it is missing"))
    }

    /// Unpacks a layer, plain or gzip, into the workshop.
    pub(crate) fn receive(&self, workshop: &Workshop, tar: impl Read) -> Result<Incoming> {
        let unpacked = workshop.draft_folder()?;
        let blob = workshop.draft();
        let copy = File::create(blob.path()).map_err(failed("create", blob.path()))?;
        let mut packed = BufReader::new(Recorder::new(tar, BufWriter::new(copy)));
        let gzip = is_gzip(&mut packed)?;
        let diff = unpacked.path().join("diff");
        files::make_folder(&diff)?;
        let (found, diff_id) = if gzip {
            let mut plain = Recorder::new(MultiGzDecoder::new(packed), io::sink());
            let found = extract::unpack(&mut plain, &diff)?;
            let (reader, diff_id) = finish_plain(plain)?;
            packed = reader;
            (found, Some(diff_id))
        } else {
            (extract::unpack(&mut packed, &diff)?, None)
        };
        let finished = packed.into_inner().finish();
        let (file, digest, _) = finished.map_err(|source| ImageError::Stream("read", source))?;
        drop(file);
        let size = found.size;
        let marked = self.backend == Backend::Overlay;
        if marked {
            marks::write(&diff, &found.removed, &found.opaque)?;
        }
        write_about(workshop, &unpacked, found, marked)?;
        let layer = Layer {
            diff_id: diff_id.unwrap_or(digest),
            blob: digest,
            gzip,
            size,
        };
        Ok(Incoming {
            layer,
            blob,
            unpacked,
        })
    }

    /// Gives an unpacked layer and its blob their places. What is there already is the same.
    pub(crate) fn place(&self, blobs: &Blobs, incoming: Incoming) -> Result<Layer> {
        // Once for the blob and all the files.
        files::sync_all(incoming.unpacked.path())?;
        blobs.adopt(incoming.blob, &incoming.layer.blob)?;
        let place = self.folder.join(incoming.layer.diff_id.to_string());
        if !place.exists() {
            incoming.unpacked.publish(&place)?;
        }
        Ok(incoming.layer)
    }

    /// Marks what a layer removes, if it came when overlayfs did not work here.
    pub(crate) fn mark(&self, workshop: &Workshop, diff_id: &Id) -> Result<()> {
        let mut about = self.about(diff_id)?;
        if !about.marked {
            marks::write(&self.files(diff_id), &about.removed, &about.opaque)?;
            about.marked = true;
            workshop.write_json(&self.about_file(diff_id), &about)?;
        }
        Ok(())
    }

    fn about_file(&self, diff_id: &Id) -> PathBuf {
        self.folder.join(diff_id.to_string()).join("layer.json")
    }

    /// Removes the layers that are not wanted.
    pub(crate) fn sweep(&self, workshop: &Workshop, wanted: impl Fn(&Id) -> bool) -> Result<()> {
        for name in files::names(&self.folder)? {
            if !Id::try_from(name.as_str()).is_ok_and(|diff_id| wanted(&diff_id)) {
                workshop.discard(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&self, workshop: &Workshop, diff_id: &Id) -> Result<()> {
        workshop.discard(&self.folder.join(diff_id.to_string()))
    }
}

fn write_about(workshop: &Workshop, unpacked: &Draft, found: Unpacked, marked: bool) -> Result<()> {
    let about = About {
        marked,
        size: found.size,
        removed: found.removed,
        opaque: found.opaque,
    };
    workshop.write_json(&unpacked.path().join("layer.json"), &about)
}

/// Reads a plain tar to its very end; returns what it came from, and its digest.
fn finish_plain<R: Read>(mut plain: Recorder<MultiGzDecoder<R>, io::Sink>) -> Result<(R, Id)> {
    let read = |source| ImageError::Stream("read", source);
    io::copy(&mut plain, &mut io::sink()).map_err(read)?;
    let (decoder, digest) = plain.into_parts();
    Ok((decoder.into_inner(), digest))
}

/// Looks at the first bytes. Compressions other than gzip are refused by name.
fn is_gzip(reader: &mut impl io::BufRead) -> Result<bool> {
    let start = reader
        .fill_buf()
        .map_err(|source| ImageError::Stream("read", source))?;
    let known: [(&[u8], &str); 3] = [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
    ];
    if let Some((_, name)) = known.iter().find(|(magic, _)| start.starts_with(magic)) {
        let text = format!("layers compressed with {name} are not read here; use gzip or none");
        return Err(ImageError::InvalidArchive(text));
    }
    Ok(start.starts_with(b"\x1f\x8b"))
}
