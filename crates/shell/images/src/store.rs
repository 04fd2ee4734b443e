//! The store: the operations on images and root file systems.

use crate::{
    Backend, HistoryEntry, Image, ImageError, ImageId, ImageUser, Removed, Result, RootFs,
};
use sealane_core::model::Id;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Images and root file systems under one data root. Usable from many threads.
#[derive(Debug)]
pub struct Images {
    data_root: PathBuf,
    backend: Backend,
}

fn unfinished<T>() -> Result<T> {
    Err(ImageError::InvalidArchive("being written".into()))
}

impl Images {
    /// Opens the store, sweeps what an interrupted run left, and finds out whether overlayfs
    /// accepts the data root.
    pub fn open(data_root: &Path) -> Result<Self> {
        Ok(Self {
            data_root: data_root.into(),
            backend: Backend::Copy,
        })
    }

    /// How root file systems are made here.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Makes an image of one layer from a tar, plain or gzip, as `docker import` does.
    /// `changes` are instructions as `docker import --change` takes them.
    pub fn import(
        &self,
        tar: impl Read,
        reference: Option<&str>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId> {
        let _ = (tar, reference, changes, message);
        unfinished()
    }

    /// Reads images from what `docker save` wrote (docker-archive or OCI layout); returns
    /// the lines that Docker prints, such as `Loaded image: busybox:latest`.
    pub fn load(&self, tar: impl Read) -> Result<Vec<String>> {
        let _ = tar;
        unfinished()
    }

    /// Writes images as a tar that any engine's `load` reads.
    pub fn save(&self, references: &[String], out: impl Write) -> Result<()> {
        let _ = (references, out);
        unfinished()
    }

    /// Gives an image another name.
    pub fn tag(&self, source: &str, target: &str) -> Result<()> {
        let _ = (source, target);
        unfinished()
    }

    /// All images, the newest first.
    pub fn list(&self) -> Result<Vec<Image>> {
        unfinished()
    }

    /// The image that a name, an id or a unique prefix of an id leads to.
    pub fn inspect(&self, reference: &str) -> Result<Image> {
        let _ = reference;
        unfinished()
    }

    /// How an image was made, the newest step first.
    pub fn history(&self, reference: &str) -> Result<Vec<HistoryEntry>> {
        let _ = reference;
        unfinished()
    }

    /// Removes a name, and the image with its last one. `users` tells which containers use an
    /// image; the rules about them are Docker's.
    pub fn remove(
        &self,
        reference: &str,
        force: bool,
        users: &dyn Fn(&ImageId) -> Vec<ImageUser>,
    ) -> Result<Vec<Removed>> {
        let _ = (reference, force, users);
        unfinished()
    }

    /// Makes the folders of a container's root file system. Calling it again changes nothing.
    pub fn prepare(&self, image: &ImageId, container: &Id) -> Result<RootFs> {
        let _ = (image, container, &self.data_root);
        unfinished()
    }

    /// Mounts a container's root file system, unless it is, and returns where.
    pub fn mount(&self, container: &Id) -> Result<PathBuf> {
        let _ = container;
        unfinished()
    }

    /// Unmounts a container's root file system, if it is mounted.
    pub fn unmount(&self, container: &Id) -> Result<()> {
        let _ = container;
        unfinished()
    }

    /// Unmounts and removes a container's root file system, if there is one.
    pub fn remove_root(&self, container: &Id) -> Result<()> {
        let _ = container;
        unfinished()
    }

    /// The containers that have a root file system here.
    pub fn roots(&self) -> Result<Vec<Id>> {
        unfinished()
    }
}
