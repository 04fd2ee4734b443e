//! Writing images as an archive that every engine's `load` reads: an OCI layout that also has
//! Docker's `manifest.json` and `repositories`.

use crate::blobs::digest;
use crate::layers::Layer;
use crate::manifest::{
    ArchivedImage, Descriptor, Manifest, ManifestList, NAME, OCI_CONFIG, OCI_INDEX, OCI_LAYER,
    OCI_LAYER_GZIP, OCI_MANIFEST, REF_NAME,
};
use crate::reference::Reference;
use crate::store::Pins;
use crate::{ImageError, ImageId, Images, Result};
use sealane_core::model::Id;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use tar::{Builder, EntryType, Header};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Images {
    /// Writes images as a tar that any engine's `load` reads.
    pub fn save(&self, references: &[String], out: impl Write) -> Result<()> {
        let mut wanted: Vec<(ImageId, Vec<Reference>)> = Vec::new();
        for reference in references {
            for (id, name) in self.find_all(reference)? {
                let known = wanted.iter().position(|(other, _)| *other == id);
                let place = known.unwrap_or(wanted.len());
                if known.is_none() {
                    wanted.push((id, Vec::new()));
                }
                let names = &mut wanted[place].1;
                names.extend(name.filter(|name| !names.contains(name)));
            }
        }
        let mut pins = Pins::new(self);
        let mut saver = Saver {
            images: self,
            archive: Archive::new(out)?,
            contents: <_>::default(),
        };
        for (id, names) in &wanted {
            saver.image(id, names, &mut pins)?;
        }
        saver.finish()
    }
}

/// What has been written, as the files at the end tell it.
#[derive(Default)]
struct Contents {
    blobs: BTreeSet<Id>,
    archived: Vec<ArchivedImage>,
    manifests: Vec<Descriptor>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

struct Saver<'a, W: Write> {
    images: &'a Images,
    archive: Archive<W>,
    contents: Contents,
}

impl<W: Write> Saver<'_, W> {
    fn image(&mut self, id: &ImageId, names: &[Reference], pins: &mut Pins<'_>) -> Result<()> {
        let layers = self.layers(id, pins)?;
        let configuration = self.images.raw_configuration(id)?;
        self.bytes_as_blob(&configuration)?;
        let mut described = Vec::new();
        for layer in &layers {
            described.push(self.layer(layer)?);
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.into(),
            config: descriptor(OCI_CONFIG, &id.digest(), configuration.len() as u64),
            layers: described,
        };
        let manifest = json(&manifest)?;
        self.bytes_as_blob(&manifest)?;
        let top = layers
            .last()
            .map_or(id.digest(), |layer| layer.blob)
            .to_string();
        self.name(
            &descriptor(OCI_MANIFEST, &digest(&manifest), manifest.len() as u64),
            names,
            &top,
        );
        self.contents.archived.push(ArchivedImage {
            config: blob_path(&id.digest()),
            repo_tags: names.iter().map(Reference::familiar).collect(),
            layers: layers.iter().map(|layer| blob_path(&layer.blob)).collect(),
        });
        Ok(())
    }

    /// The layers of an image, kept from removal while they are written.
    fn layers(&self, id: &ImageId, pins: &mut Pins<'_>) -> Result<Vec<Layer>> {
        let layers = self
            .images
            .index()
            .images
            .get(id)
            .map(|record| record.layers.clone());
        let layers = layers.ok_or_else(|| ImageError::NotFound(id.to_string()))?;
        pins.add(id.digest());
        layers.iter().for_each(|layer| pins.add(layer.blob));
        Ok(layers)
    }

    fn name(&mut self, manifest: &Descriptor, names: &[Reference], top: &str) {
        if names.is_empty() {
            self.contents.manifests.push(manifest.clone());
        }
        for name in names {
            let mut named = manifest.clone();
            let tag = name.tag().unwrap_or_default().to_owned();
            named.annotations.insert(NAME.into(), name.to_string());
            named.annotations.insert(REF_NAME.into(), tag.clone());
            self.contents.manifests.push(named);
            let repository = name.familiar_repository().to_owned();
            self.contents
                .repositories
                .entry(repository)
                .or_default()
                .insert(tag, top.to_owned());
        }
    }

    fn layer(&mut self, layer: &Layer) -> Result<Descriptor> {
        let size = self.images.blobs.size(&layer.blob)?;
        if self.contents.blobs.insert(layer.blob) {
            let blob = self.images.blobs.open_blob(&layer.blob)?;
            self.archive.file(&blob_path(&layer.blob), size, blob)?;
        }
        let media_type = if layer.gzip {
            OCI_LAYER_GZIP
        } else {
            OCI_LAYER
        };
        Ok(descriptor(media_type, &layer.blob, size))
    }

    fn bytes_as_blob(&mut self, bytes: &[u8]) -> Result<()> {
        let digest = digest(bytes);
        if self.contents.blobs.insert(digest) {
            self.archive.bytes(&blob_path(&digest), bytes)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let index = ManifestList {
            schema_version: 2,
            media_type: OCI_INDEX.into(),
            manifests: self.contents.manifests,
        };
        self.archive.bytes("index.json", &json(&index)?)?;
        self.archive
            .bytes("manifest.json", &json(&self.contents.archived)?)?;
        self.archive.bytes("oci-layout", LAYOUT)?;
        if !self.contents.repositories.is_empty() {
            self.archive
                .bytes("repositories", &json(&self.contents.repositories)?)?;
        }
        self.archive.finish()
    }
}

/// The tar that is being written.
struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    fn new(out: W) -> Result<Self> {
        let mut archive = Self(Builder::new(out));
        for folder in ["blobs/", "blobs/sha256/"] {
            let mut header = header(EntryType::Directory, 0o755, 0);
            let appended = archive.0.append_data(&mut header, folder, std::io::empty());
            appended.map_err(|source| ImageError::Stream("write", source))?;
        }
        Ok(archive)
    }

    fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.file(path, bytes.len() as u64, bytes)
    }

    fn file(&mut self, path: &str, size: u64, content: impl Read) -> Result<()> {
        let mut header = header(EntryType::Regular, 0o644, size);
        let appended = self.0.append_data(&mut header, path, content.take(size));
        appended.map_err(|source| ImageError::Stream("write", source))
    }

    fn finish(self) -> Result<()> {
        let written = self.0.into_inner().and_then(|mut out| out.flush());
        written.map_err(|source| ImageError::Stream("write", source))
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn descriptor(media_type: &str, digest: &Id, size: u64) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest: format!("sha256:{digest}"),
        size,
        ..Descriptor::default()
    }
}

fn blob_path(digest: &Id) -> String {
    format!("blobs/sha256/{digest}")
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| ImageError::InvalidArchive(error.to_string()))
}
