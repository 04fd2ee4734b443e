//! Making an image of a tar, and taking in images with all their layers.

use crate::config::ImageConfig;
use crate::layers::Layer;
use crate::record::{Configuration, ImageRecord, RootFsOfLayers, Step};
use crate::reference::Reference;
use crate::store::Pins;
use crate::{ImageError, ImageId, Images, Result, changes};
use jiff::Timestamp;
use std::io::Read;

impl Images {
    /// Makes an image of one layer from a tar, plain or gzip, as `docker import` does.
    /// `changes` are instructions as `docker import --change` takes them.
    pub fn import(
        &self,
        tar: impl Read,
        reference: Option<&str>,
        changes: &[String],
        message: &str,
    ) -> Result<ImageId> {
        let name = reference
            .map(Reference::parse)
            .transpose()?
            .map(Reference::or_latest);
        if name.as_ref().is_some_and(Reference::has_digest) {
            let text = ": cannot import digest reference";
            return Err(ImageError::InvalidReference(text.into()));
        }
        let mut config = ImageConfig::default();
        for change in changes {
            changes::apply(&mut config, change)?;
        }
        let mut pins = Pins::new(self);
        let layer = self.take_layer(tar, &mut pins)?;
        let configuration = imported(config, &layer, message);
        let bytes = serde_json::to_vec(&configuration)
            .map_err(|error| ImageError::InvalidChange(error.to_string()))?;
        self.take_image(
            &bytes,
            vec![layer],
            &name.into_iter().collect::<Vec<_>>(),
            &mut pins,
        )
    }

    /// Takes in one layer.
    pub(crate) fn take_layer(&self, tar: impl Read, pins: &mut Pins<'_>) -> Result<Layer> {
        let incoming = self.layers.receive(&self.workshop, tar)?;
        pins.add(incoming.layer.diff_id);
        pins.add(incoming.layer.blob);
        self.layers.place(&self.blobs, incoming)
    }

    /// Takes in an image whose layers are here, then its names. In this order, so that a crash
    /// leaves nothing but what the next start sweeps.
    pub(crate) fn take_image(
        &self,
        configuration: &[u8],
        layers: Vec<Layer>,
        names: &[Reference],
        pins: &mut Pins<'_>,
    ) -> Result<ImageId> {
        let id = ImageId::from_digest(crate::blobs::digest(configuration));
        pins.add(id.digest());
        self.blobs.put(&self.workshop, configuration)?;
        let record = ImageRecord { layers };
        let mut index = self.index();
        if index.images.get(&id) != Some(&record) {
            self.index_files.write_image(&self.workshop, &id, &record)?;
            index.images.insert(id, record);
        }
        self.set_names(&mut index, names, &id)?;
        Ok(id)
    }
}

fn imported(config: ImageConfig, layer: &Layer, message: &str) -> Configuration {
    let now = Some(Timestamp::now().to_string());
    let comment = if message.is_empty() {
        "Imported from -"
    } else {
        message
    };
    Configuration {
        architecture: architecture().into(),
        comment: comment.into(),
        config,
        created: now.clone(),
        history: vec![Step {
            created: now,
            comment: comment.into(),
            ..Step::default()
        }],
        os: "linux".into(),
        rootfs: RootFsOfLayers {
            diff_ids: vec![format!("sha256:{}", layer.diff_id)],
            ..RootFsOfLayers::default()
        },
        ..Configuration::default()
    }
}

/// This machine's processor, by its Go name.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Reads an image's configuration and checks that it fits its layers.
pub(crate) fn check(bytes: &[u8], layers: &[Layer]) -> Result<()> {
    let configuration: Configuration = serde_json::from_slice(bytes).map_err(|error| {
        ImageError::InvalidArchive(format!("invalid image configuration: {error}"))
    })?;
    let diff_ids = &configuration.rootfs.diff_ids;
    if diff_ids.len() != layers.len() {
        let (layers, diff_ids) = (layers.len(), diff_ids.len());
        let text =
            format!("invalid manifest, layers length mismatch: expected {layers}, got {diff_ids}");
        return Err(ImageError::InvalidArchive(text));
    }
    for (place, (wanted, layer)) in diff_ids.iter().zip(layers).enumerate() {
        let found = format!("sha256:{}", layer.diff_id);
        if *wanted != found {
            let text =
                format!("invalid diffID for layer {place}: expected \"{wanted}\", got \"{found}\"");
            return Err(ImageError::InvalidArchive(text));
        }
    }
    Ok(())
}
