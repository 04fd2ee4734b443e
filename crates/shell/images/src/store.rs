//! The store: what it is made of, and the operations that only read or name.

use crate::blobs::Blobs;
use crate::files::{self, Workshop};
use crate::layers::{Layer, Layers};
use crate::overlay;
use crate::record::{Configuration, Index, IndexFiles, time};
use crate::reference::{Meaning, Reference, meaning};
use crate::{Backend, HistoryEntry, Image, ImageError, ImageId, Result};
use sealane_core::model::Id;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Images and root file systems under one data root. Usable from many threads.
#[derive(Debug)]
pub struct Images {
    pub(crate) roots: PathBuf,
    pub(crate) workshop: Workshop,
    pub(crate) blobs: Blobs,
    pub(crate) layers: Layers,
    pub(crate) index_files: IndexFiles,
    pub(crate) backend: Backend,
    index: Mutex<Index>,
}

impl Images {
    /// Opens the store, sweeps what an interrupted run left, and finds out whether overlayfs
    /// accepts the data root.
    pub fn open(data_root: &Path) -> Result<Self> {
        let folder = data_root.join("images");
        let roots = data_root.join("rootfs");
        files::make_private_folder(&folder)?;
        files::make_private_folder(&roots)?;
        let workshop = Workshop::open(folder.join("tmp"))?;
        let backend = overlay::probe(&workshop)?;
        let index_files = IndexFiles::open(&folder)?;
        let mut index = index_files.read()?;
        index.roots = crate::rootfs::layers_of_roots(&roots)?;
        let images = Self {
            roots,
            blobs: Blobs::open(folder.join("blobs"))?,
            layers: Layers::open(folder.join("layers"), backend)?,
            workshop,
            index_files,
            backend,
            index: Mutex::new(index),
        };
        images.sweep()?;
        Ok(images)
    }

    /// How root file systems are made here.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Gives an image another name.
    pub fn tag(&self, source: &str, target: &str) -> Result<()> {
        let name = Reference::parse(target)?.or_latest();
        if name.has_digest() {
            return Err(ImageError::InvalidReference(
                ": refusing to create a tag with a digest reference".into(),
            ));
        }
        let mut index = self.index();
        let id = index.find(source)?;
        self.set_names(&mut index, &[name], &id)
    }

    /// All images, the newest first. One that is damaged is left out, and the log says so.
    pub fn list(&self) -> Result<Vec<Image>> {
        let index = self.index();
        let whole = |id: &ImageId| match self.image(&index, id) {
            Ok(image) => Some(image),
            Err(error) => {
                tracing::error!(%error, %id, "an image is damaged");
                None
            }
        };
        let mut images: Vec<Image> = index.images.keys().filter_map(whole).collect();
        images.sort_by(|a, b| b.created.cmp(&a.created).then(a.id.cmp(&b.id)));
        Ok(images)
    }

    /// The image that a name, an id or a unique prefix of an id leads to.
    pub fn inspect(&self, reference: &str) -> Result<Image> {
        let index = self.index();
        let id = index.find(reference)?;
        self.image(&index, &id)
    }

    /// How an image was made, the newest step first.
    pub fn history(&self, reference: &str) -> Result<Vec<HistoryEntry>> {
        let index = self.index();
        let id = index.find(reference)?;
        let configuration = self.configuration(&id)?;
        let mut sizes = index
            .images
            .get(&id)
            .into_iter()
            .flat_map(|image| &image.layers)
            .map(|l| l.size);
        let step = |step: &crate::record::Step| HistoryEntry {
            id: None,
            created: time(step.created.as_ref()),
            created_by: step.created_by.clone(),
            tags: Vec::new(),
            size: if step.empty_layer {
                0
            } else {
                sizes.next().unwrap_or(0)
            },
            comment: step.comment.clone(),
        };
        let mut history: Vec<HistoryEntry> = configuration.history.iter().map(step).collect();
        history.reverse();
        if let Some(newest) = history.first_mut() {
            newest.id = Some(id);
            newest.tags = index
                .names_of(&id)
                .iter()
                .map(Reference::familiar)
                .collect();
        }
        Ok(history)
    }

    /// The image's configuration as JSON, byte for byte what its id is the digest of.
    pub fn raw_configuration(&self, id: &ImageId) -> Result<Vec<u8>> {
        self.blobs.read(&id.digest())
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn configuration(&self, id: &ImageId) -> Result<Configuration> {
        let bytes = self.raw_configuration(id)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| files::damaged(&self.blobs.path(&id.digest()), error))
    }

    fn image(&self, index: &Index, id: &ImageId) -> Result<Image> {
        let configuration = self.configuration(id)?;
        let record = index
            .images
            .get(id)
            .ok_or_else(|| ImageError::NotFound(id.to_string()))?;
        let names = index.names_of(id);
        let familiar = |with_digest: bool| {
            let names = names.iter().filter(|name| name.has_digest() == with_digest);
            names.map(Reference::familiar).collect()
        };
        Ok(Image {
            id: *id,
            created: time(configuration.created.as_ref()),
            repo_tags: familiar(false),
            repo_digests: familiar(true),
            size: record.layers.iter().map(|layer| layer.size).sum(),
            config: configuration.config,
            architecture: configuration.architecture,
            variant: configuration.variant,
            os: configuration.os,
            author: configuration.author,
            comment: configuration.comment,
            layers: record
                .layers
                .iter()
                .map(|layer| format!("sha256:{}", layer.diff_id))
                .collect(),
        })
    }

    /// Lets names lead to an image, on disk first.
    pub(crate) fn set_names(
        &self,
        index: &mut Index,
        names: &[Reference],
        id: &ImageId,
    ) -> Result<()> {
        let mut changed = index.names.clone();
        changed.extend(names.iter().map(|name| (name.to_string(), *id)));
        if changed != index.names {
            self.index_files.write_names(&self.workshop, &changed)?;
            index.names = changed;
        }
        Ok(())
    }

    /// The images a reference means where a repository stands for all its tags.
    pub(crate) fn find_all(&self, text: &str) -> Result<Vec<(ImageId, Option<Reference>)>> {
        let index = self.index();
        let Ok(Meaning::Name(name)) = meaning(text) else {
            return Ok(vec![(index.find(text)?, None)]);
        };
        let tagged = |(whole, id): (&String, &ImageId)| {
            let other = Reference::parse(whole).ok()?;
            let same = other.repository() == name.repository() && other.tag().is_some();
            same.then_some((*id, Some(other)))
        };
        let all: Vec<_> = index.names.iter().filter_map(tagged).collect();
        if name.is_bare() && !all.is_empty() {
            return Ok(all);
        }
        let id = index.find(text)?;
        let named = index.names.get(&name.clone().or_latest().to_string()) == Some(&id);
        Ok(vec![(id, named.then(|| name.or_latest()))])
    }

    fn sweep(&self) -> Result<()> {
        let index = self.index();
        self.blobs.sweep(|digest| index.uses_blob(digest))?;
        self.layers
            .sweep(&self.workshop, |diff_id| index.uses_layer(diff_id))
    }
}

/// Keeps layers and blobs from being removed, until it is dropped. What no image, root file
/// system or other import uses then, as after an import that failed, is removed.
pub(crate) struct Pins<'a> {
    images: &'a Images,
    pinned: Vec<Id>,
}

impl<'a> Pins<'a> {
    pub(crate) fn new(images: &'a Images) -> Self {
        Self {
            images,
            pinned: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, digest: Id) {
        *self.images.index().pinned.entry(digest).or_default() += 1;
        self.pinned.push(digest);
    }

    /// The layer that came as this blob before, if it is still here.
    pub(crate) fn known_layer(&mut self, blob: &str) -> Option<Layer> {
        let blob = Id::try_from(blob).ok()?;
        let mut index = self.images.index();
        let mut layers = index.images.values().flat_map(|image| &image.layers);
        let known = layers.find(|layer| layer.blob == blob)?.clone();
        for digest in [known.diff_id, known.blob] {
            *index.pinned.entry(digest).or_default() += 1;
            self.pinned.push(digest);
        }
        Some(known)
    }

    fn release(&self) -> Result<()> {
        let mut index = self.images.index();
        for digest in &self.pinned {
            if let Some(count) = index.pinned.get_mut(digest) {
                *count -= 1;
            }
        }
        index.pinned.retain(|_, count| *count > 0);
        for digest in &self.pinned {
            if !index.uses_blob(digest) {
                self.images.blobs.remove(digest)?;
            }
            if !index.uses_layer(digest) {
                self.images.layers.remove(&self.images.workshop, digest)?;
            }
        }
        Ok(())
    }
}

impl Drop for Pins<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::warn!(%error, "layers of a failed import are left until the next start");
        }
    }
}
