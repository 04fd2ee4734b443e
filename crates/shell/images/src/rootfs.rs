//! Root file systems of containers: an image's layers below, and a folder for what changes.

use crate::files::{self, failed};
use crate::overlay::{self, Stack};
use crate::{ImageError, ImageId, Images, Result, copy};
use sealane_core::model::Id;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How root file systems are made on this data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// Layers are stacked by the kernel's overlay file system.
    Overlay,
    /// Layers are copied, because overlayfs refuses the data root.
    Copy,
}

/// A prepared root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFs {
    /// Where it is, once mounted.
    pub path: PathBuf,
    /// How it is made.
    pub backend: Backend,
}

/// What is written down about a root file system.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    image: ImageId,
    backend: Backend,
    /// Lowest first.
    layers: Vec<Id>,
}

impl Images {
    /// Makes the folders of a container's root file system. Calling it again changes nothing.
    pub fn prepare(&self, image: &ImageId, container: &Id) -> Result<RootFs> {
        let folder = self.root(container);
        let path = folder.join("merged");
        if let Some(record) = read(&folder)? {
            return Ok(RootFs {
                path,
                backend: record.backend,
            });
        }
        let layers = self.hold_layers(image, container)?;
        let record = Record {
            image: *image,
            backend: self.backend,
            layers,
        };
        if let Err(error) = self.make_root(&record, &folder) {
            self.index().roots.remove(container);
            return Err(error);
        }
        Ok(RootFs {
            path,
            backend: self.backend,
        })
    }

    /// Mounts a container's root file system, unless it is, and returns where.
    pub fn mount(&self, container: &Id) -> Result<PathBuf> {
        let folder = self.root(container);
        let record = read(&folder)?.ok_or(ImageError::NoRoot(*container))?;
        let merged = folder.join("merged");
        if record.backend == Backend::Overlay && !overlay::is_mounted(&merged)? {
            self.stack(&record, &folder).mount()?;
        }
        Ok(merged)
    }

    /// Unmounts a container's root file system, if it is mounted.
    pub fn unmount(&self, container: &Id) -> Result<()> {
        overlay::unmount_all(&self.root(container).join("merged"))
    }

    /// Unmounts and removes a container's root file system, if there is one.
    pub fn remove_root(&self, container: &Id) -> Result<()> {
        self.unmount(container)?;
        self.workshop.discard(&self.root(container))?;
        self.index().roots.remove(container);
        Ok(())
    }

    /// The containers that have a root file system here.
    pub fn roots(&self) -> Result<Vec<Id>> {
        let names = files::names(&self.roots)?;
        Ok(names
            .iter()
            .filter_map(|name| Id::try_from(name.as_str()).ok())
            .collect())
    }

    /// Notes that a root file system uses the layers of an image, so that they stay.
    fn hold_layers(&self, image: &ImageId, container: &Id) -> Result<Vec<Id>> {
        let mut index = self.index();
        let record = index.images.get(image);
        let record = record.ok_or_else(|| ImageError::NotFound(image.to_string()))?;
        let layers: Vec<Id> = record.layers.iter().map(|layer| layer.diff_id).collect();
        index
            .roots
            .insert(*container, layers.iter().copied().collect());
        Ok(layers)
    }

    fn make_root(&self, record: &Record, folder: &Path) -> Result<()> {
        let draft = self.workshop.draft_folder()?;
        for name in ["upper", "work", "merged", "nothing"] {
            files::make_folder(&draft.path().join(name))?;
        }
        let content = match record.backend {
            Backend::Overlay => draft.path().join("upper"),
            Backend::Copy => draft.path().join("merged"),
        };
        if record.backend == Backend::Copy {
            for layer in &record.layers {
                copy::apply(
                    &self.layers.files(layer),
                    &self.layers.about(layer)?,
                    &content,
                )?;
            }
        }
        if record.backend == Backend::Overlay {
            for layer in &record.layers {
                self.layers.mark(&self.workshop, layer)?;
            }
        }
        if let Some(top) = record.layers.last() {
            // Of the folders that are stacked, the uppermost shows its mode and owner.
            copy::dress_like(&self.layers.files(top), &content)?;
        }
        // Whatever the image says of its root, Docker lets every user in.
        let open = PermissionsExt::from_mode(0o755);
        fs::set_permissions(&content, open).map_err(failed("set the mode of", &content))?;
        // By this file programs tell that they run in a container.
        let sign = content.join(".dockerenv");
        fs::write(&sign, "").map_err(failed("write", &sign))?;
        self.workshop
            .write_json(&draft.path().join("root.json"), record)?;
        draft.publish(folder)
    }

    fn stack(&self, record: &Record, folder: &Path) -> Stack {
        let mut lower: Vec<PathBuf> = Vec::new();
        for files in record
            .layers
            .iter()
            .rev()
            .map(|layer| self.layers.files(layer))
        {
            // A layer that is there twice shows as the upper one; the kernel refuses the other.
            if !lower.contains(&files) {
                lower.push(files);
            }
        }
        if lower.is_empty() {
            // An image may have no layers, overlayfs wants one below.
            lower.push(folder.join("nothing"));
        }
        let at = |name: &str| folder.join(name);
        Stack {
            lower,
            upper: at("upper"),
            work: at("work"),
            merged: at("merged"),
        }
    }

    fn root(&self, container: &Id) -> PathBuf {
        self.roots.join(container.to_string())
    }
}

/// The layers that the root file systems here use.
pub(crate) fn layers_of_roots(roots: &Path) -> Result<BTreeMap<Id, BTreeSet<Id>>> {
    let mut used = BTreeMap::new();
    for name in files::names(roots)? {
        let Ok(container) = Id::try_from(name.as_str()) else {
            continue;
        };
        if let Some(record) = read(&roots.join(name))? {
            used.insert(container, record.layers.into_iter().collect());
        }
    }
    Ok(used)
}

fn read(folder: &Path) -> Result<Option<Record>> {
    files::read_json(&folder.join("root.json"))
}
