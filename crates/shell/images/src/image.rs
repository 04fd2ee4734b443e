//! What an image is to its users: an id, names, a configuration and layers.

use crate::ImageConfig;
use jiff::Timestamp;
use sealane_core::model::Id;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The digest of an image's configuration, written `sha256:<64 digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId(Id);

/// Why a text is not an [`ImageId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("\"{0}\" is not an image id; one is written sha256:<64 lower-case hexadecimal digits>")]
pub struct InvalidImageId(String);

impl ImageId {
    /// The id whose digest these bytes are.
    pub fn from_digest(digest: Id) -> Self {
        Self(digest)
    }

    /// The digest without its `sha256:`.
    pub fn digest(&self) -> Id {
        self.0
    }

    /// The 12 digits people use.
    pub fn short(&self) -> String {
        self.0.short(12)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.short())
    }
}

impl TryFrom<&str> for ImageId {
    type Error = InvalidImageId;

    fn try_from(text: &str) -> Result<Self, InvalidImageId> {
        text.strip_prefix("sha256:")
            .and_then(|digits| Id::try_from(digits).ok())
            .map(Self)
            .ok_or_else(|| InvalidImageId(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for ImageId {
    type Error = InvalidImageId;

    fn try_from(text: String) -> Result<Self, InvalidImageId> {
        Self::try_from(text.as_str())
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.to_string()
    }
}

/// One image, as `docker image inspect` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// When it was made; `None` if it does not say.
    pub created: Option<Timestamp>,
    /// Its names with tags, as people write them: `busybox:latest`.
    pub repo_tags: Vec<String>,
    /// Its names with digests.
    pub repo_digests: Vec<String>,
    /// Bytes of all its files.
    pub size: u64,
    /// How to run it.
    pub config: ImageConfig,
    /// Its processor architecture, as Go names it: `amd64`.
    pub architecture: String,
    /// The variant of the architecture; empty if there is none.
    pub variant: String,
    /// Its operating system: `linux`.
    pub os: String,
    /// Who made it; empty if it does not say.
    pub author: String,
    /// The message of its last step.
    pub comment: String,
    /// The layers' diff ids, lowest first, each `sha256:<64 digits>`.
    pub layers: Vec<String>,
}

/// One step of how an image was made, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image this step ended in; `None` for steps whose images are not here.
    pub id: Option<ImageId>,
    /// When; `None` if it does not say.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Names of the image, on its own entry.
    pub tags: Vec<String>,
    /// Bytes of the files the step added.
    pub size: u64,
    /// The message.
    pub comment: String,
}

/// A container that uses an image, told by the caller of [`crate::Images::remove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageUser {
    /// The container.
    pub container: Id,
    /// Whether it runs.
    pub running: bool,
}

/// What a removal did, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// This name no longer leads to an image.
    Untagged(String),
    /// This image or layer is gone.
    Deleted(String),
}
