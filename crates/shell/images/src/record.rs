//! What the store writes down: an image's layers, and which names lead to which image.

use crate::files::{self, Workshop};
use crate::layers::Layer;
use crate::reference::Reference;
use crate::{ImageConfig, ImageError, ImageId, Result};
use jiff::Timestamp;
use sealane_core::model::Id;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// An image of the store. Its id is the digest of its configuration, which is a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// Lowest first.
    pub(crate) layers: Vec<Layer>,
}

/// What the store knows, as it is on disk.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) images: BTreeMap<ImageId, ImageRecord>,
    /// By whole name.
    pub(crate) names: BTreeMap<String, ImageId>,
    /// The layers that root file systems use, also of images that are gone.
    pub(crate) roots: BTreeMap<Id, BTreeSet<Id>>,
    /// Layers and blobs of imports on their way: a removal must leave them.
    pub(crate) pinned: BTreeMap<Id, usize>,
}

/// Where the index is on disk.
#[derive(Debug)]
pub(crate) struct IndexFiles {
    images: PathBuf,
    names: PathBuf,
}

impl IndexFiles {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let files = Self {
            images: folder.join("records"),
            names: folder.join("names.json"),
        };
        files::make_folder(&files.images)?;
        Ok(files)
    }

    /// Reads everything. A name without an image is from a run that died, and left out.
    pub(crate) fn read(&self) -> Result<Index> {
        let mut index = Index::default();
        for file in files::names(&self.images)? {
            let id = file
                .strip_suffix(".json")
                .map(|digest| format!("sha256:{digest}"));
            let Some(Ok(id)) = id.map(ImageId::try_from) else {
                continue;
            };
            index
                .images
                .extend(files::read_json(&self.image(&id))?.map(|record| (id, record)));
        }
        index.names = files::read_json(&self.names)?.unwrap_or_default();
        index.names.retain(|_, id| index.images.contains_key(id));
        Ok(index)
    }

    pub(crate) fn write_image(
        &self,
        workshop: &Workshop,
        id: &ImageId,
        record: &ImageRecord,
    ) -> Result<()> {
        workshop.write_json(&self.image(id), record)
    }

    pub(crate) fn remove_image(&self, id: &ImageId) -> Result<()> {
        files::remove(&self.image(id))
    }

    pub(crate) fn write_names(
        &self,
        workshop: &Workshop,
        names: &BTreeMap<String, ImageId>,
    ) -> Result<()> {
        workshop.write_json(&self.names, names)
    }

    fn image(&self, id: &ImageId) -> PathBuf {
        self.images.join(format!("{}.json", id.digest()))
    }
}

impl Index {
    /// The image that a name, an id or the beginning of an id leads to.
    pub(crate) fn find(&self, text: &str) -> Result<ImageId> {
        use crate::reference::{Meaning, meaning};
        let name = match meaning(text)? {
            Meaning::Id(id) if self.images.contains_key(&id) => return Ok(id),
            Meaning::Id(id) => return Err(ImageError::NotFound(id.to_string())),
            Meaning::Name(name) => name.or_latest(),
        };
        if let Some(id) = self.names.get(&name.to_string()) {
            return Ok(*id);
        }
        self.by_prefix(text)
            .ok_or_else(|| ImageError::NotFound(name.familiar()))
    }

    fn by_prefix(&self, text: &str) -> Option<ImageId> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut matching = self
            .images
            .keys()
            .filter(|id| id.digest().to_string().starts_with(digits));
        matching
            .next()
            .filter(|_| matching.next().is_none())
            .copied()
    }

    /// The names that lead to an image.
    pub(crate) fn names_of(&self, id: &ImageId) -> Vec<Reference> {
        let names = self.names.iter().filter(|(_, named)| *named == id);
        names
            .filter_map(|(name, _)| Reference::parse(name).ok())
            .collect()
    }

    /// Whether a layer is used by an image, a root file system or an import.
    pub(crate) fn uses_layer(&self, diff_id: &Id) -> bool {
        let layers = || self.images.values().flat_map(|record| &record.layers);
        self.pinned.contains_key(diff_id)
            || layers().any(|layer| layer.diff_id == *diff_id)
            || self.roots.values().any(|layers| layers.contains(diff_id))
    }

    /// Whether a blob is used by an image or an import.
    pub(crate) fn uses_blob(&self, digest: &Id) -> bool {
        let layers = || self.images.values().flat_map(|record| &record.layers);
        self.pinned.contains_key(digest)
            || self.images.contains_key(&ImageId::from_digest(*digest))
            || layers().any(|layer| layer.blob == *digest)
    }
}

/// An image's configuration, as OCI and Docker write it. Its bytes are kept as they came; this
/// is what is read of them, and what is written for a new image.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Configuration {
    pub(crate) architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    #[serde(deserialize_with = "crate::config::null_as_default")]
    pub(crate) config: ImageConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(deserialize_with = "crate::config::null_as_default")]
    pub(crate) history: Vec<Step>,
    pub(crate) os: String,
    pub(crate) rootfs: RootFsOfLayers,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) variant: String,
}

/// One step of how an image was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) empty_layer: bool,
}

/// The layers an image consists of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RootFsOfLayers {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "crate::config::null_as_default")]
    pub(crate) diff_ids: Vec<String>,
}

impl Default for RootFsOfLayers {
    fn default() -> Self {
        Self {
            kind: "layers".into(),
            diff_ids: Vec::new(),
        }
    }
}

/// Reads a time as OCI writes it.
pub(crate) fn time(text: Option<&String>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}
