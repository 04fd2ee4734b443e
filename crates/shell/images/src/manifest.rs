//! The files that say what an archive of images holds: Docker's `manifest.json`, and an OCI
//! layout's `index.json` and manifests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The annotation with an image's whole name.
pub(crate) const NAME: &str = "io.containerd.image.name";
/// The annotation with an image's tag, or with its name.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// One image in `manifest.json`; paths are of entries of the archive.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ArchivedImage {
    pub(crate) config: String,
    #[serde(deserialize_with = "crate::config::null_as_default")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(deserialize_with = "crate::config::null_as_default")]
    pub(crate) layers: Vec<String>,
}

/// A blob, by digest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(
        deserialize_with = "crate::config::null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

/// What a manifest is for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// A list of manifests: `index.json`, or one image for several platforms.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ManifestList {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    pub(crate) manifests: Vec<Descriptor>,
}

/// One image for one platform.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

impl Descriptor {
    /// Whether it is a list of manifests.
    pub(crate) fn is_list(&self) -> bool {
        self.media_type == OCI_INDEX || self.media_type == DOCKER_LIST
    }

    /// Whether it is for this platform, or does not say.
    pub(crate) fn is_for(&self, architecture: &str) -> bool {
        self.platform
            .as_ref()
            .is_none_or(|platform| platform.os == "linux" && platform.architecture == architecture)
    }

    /// The name its annotations give it.
    pub(crate) fn name(&self) -> Option<&str> {
        let whole = self.annotations.get(NAME);
        // A tag alone names nothing.
        let named = || {
            self.annotations
                .get(REF_NAME)
                .filter(|name| name.contains([':', '/']))
        };
        whole.or_else(named).map(String::as_str)
    }
}
