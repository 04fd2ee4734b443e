//! Reading images from what `docker save` wrote, today's and yesterday's, and from OCI layouts.
//!
//! An archive comes as a stream and refers forth and back, so it is spread out first: each of
//! its files goes into a file of ours with a number for a name. Names from the archive are only
//! looked up, never used as paths.

use crate::files::{Draft, failed};
use crate::import::{architecture, check};
use crate::layers::Layer;
use crate::manifest::{ArchivedImage, Descriptor, Manifest, ManifestList};
use crate::reference::Reference;
use crate::store::Pins;
use crate::{ImageError, Images, Result, blobs};
use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// The longest file that is read into memory.
const MAX_JSON: u64 = 16 << 20;
/// How many links in a row are followed.
const MAX_LINKS: usize = 8;
/// How deep lists of manifests may be nested.
const MAX_LISTS: usize = 4;

impl Images {
    /// Reads images from what `docker save` wrote (docker-archive or OCI layout); returns
    /// the lines that Docker prints, such as `Loaded image: busybox:latest`.
    pub fn load(&self, tar: impl Read) -> Result<Vec<String>> {
        let folder = self.workshop.draft_folder()?;
        let spread = Spread::read(tar, folder)?;
        let mut pins = Pins::new(self);
        if spread.has("manifest.json") {
            let images: Vec<ArchivedImage> = spread.json("manifest.json")?;
            let load = |image: &ArchivedImage| self.load_archived(&spread, image, &mut pins);
            return Ok(images
                .iter()
                .map(load)
                .collect::<Result<Vec<_>>>()?
                .concat());
        }
        if spread.has("index.json") {
            let list: ManifestList = spread.json("index.json")?;
            let mut lines = Vec::new();
            for descriptor in &list.manifests {
                let name = descriptor.name();
                self.load_manifest(&spread, descriptor, name, MAX_LISTS, &mut pins, &mut lines)?;
            }
            return Ok(lines);
        }
        let text = "invalid archive: does not contain a manifest.json or an index.json";
        Err(ImageError::InvalidArchive(text.into()))
    }

    fn load_archived(
        &self,
        spread: &Spread,
        image: &ArchivedImage,
        pins: &mut Pins<'_>,
    ) -> Result<Vec<String>> {
        let configuration = spread.bytes(&image.config)?;
        let names = image.repo_tags.iter().map(|name| Reference::parse(name));
        let names = names.collect::<Result<Vec<_>>>()?;
        let layers = self.load_layers(spread, &image.layers, pins)?;
        self.finish(&configuration, layers, &names, pins)
    }

    fn load_manifest(
        &self,
        spread: &Spread,
        descriptor: &Descriptor,
        name: Option<&str>,
        depth: usize,
        pins: &mut Pins<'_>,
        lines: &mut Vec<String>,
    ) -> Result<()> {
        if descriptor.is_list() {
            if depth == 0 {
                let text = "invalid archive: lists of manifests are nested too deep";
                return Err(ImageError::InvalidArchive(text.into()));
            }
            let list: ManifestList = spread.json(&spread.blob(descriptor)?)?;
            let fitting = list.manifests.iter().find(|other| {
                other.is_for(architecture()) && (other.is_list() || spread.blob(other).is_ok())
            });
            return match fitting {
                Some(other) => self.load_manifest(spread, other, name, depth - 1, pins, lines),
                None => Err(ImageError::InvalidArchive(format!(
                    "no image for linux/{} in the archive",
                    architecture()
                ))),
            };
        }
        let manifest: Manifest = spread.json(&spread.blob(descriptor)?)?;
        let configuration = spread.bytes(&spread.blob(&manifest.config)?)?;
        let paths = manifest.layers.iter().map(|layer| spread.blob(layer));
        let layers = self.load_layers(spread, &paths.collect::<Result<Vec<_>>>()?, pins)?;
        let names = name
            .map(Reference::parse)
            .transpose()?
            .map(Reference::or_latest);
        let names = names.into_iter().collect::<Vec<_>>();
        lines.extend(self.finish(&configuration, layers, &names, pins)?);
        Ok(())
    }

    fn load_layers(
        &self,
        spread: &Spread,
        paths: &[String],
        pins: &mut Pins<'_>,
    ) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        for path in paths {
            let (_, digest) = spread.find(path)?;
            let layer = match pins.known_layer(digest) {
                Some(known) => known,
                None => self.take_layer(spread.open(path)?, pins)?,
            };
            layers.push(layer);
        }
        Ok(layers)
    }

    fn finish(
        &self,
        configuration: &[u8],
        layers: Vec<Layer>,
        names: &[Reference],
        pins: &mut Pins<'_>,
    ) -> Result<Vec<String>> {
        check(configuration, &layers)?;
        let id = self.take_image(configuration, layers, names, pins)?;
        if names.is_empty() {
            return Ok(vec![format!("Loaded image ID: {id}")]);
        }
        Ok(names
            .iter()
            .map(|name| format!("Loaded image: {}", name.familiar()))
            .collect())
    }
}

/// The files of an archive, spread out in a folder of ours.
struct Spread {
    folder: Draft,
    files: BTreeMap<PathBuf, Found>,
}

enum Found {
    /// The number of our file, and the digest of its bytes.
    File {
        number: usize,
        digest: String,
    },
    Link(PathBuf),
}

impl Spread {
    fn read(tar: impl Read, folder: Draft) -> Result<Self> {
        let broken = |source| ImageError::Stream("read", source);
        let mut reader = BufReader::new(tar);
        let gzip = reader.fill_buf().map_err(broken)?.starts_with(b"\x1f\x8b");
        let plain: Box<dyn Read + '_> = if gzip {
            Box::new(MultiGzDecoder::new(reader))
        } else {
            Box::new(reader)
        };
        let mut spread = Self {
            folder,
            files: BTreeMap::new(),
        };
        let mut archive = Archive::new(plain);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = clean(&entry.path().map_err(broken)?);
            let target = entry
                .link_name()
                .map_err(broken)?
                .map(std::borrow::Cow::into_owned);
            let found = match (entry.header().entry_type(), target) {
                (EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse, _) => {
                    let number = spread.files.len();
                    let file = spread.folder.path().join(number.to_string());
                    let digest = blobs::copy_to_file(&mut entry, &file)?.to_string();
                    Found::File { number, digest }
                }
                (EntryType::Symlink, Some(target)) => {
                    Found::Link(clean(&path.parent().unwrap_or(Path::new("")).join(target)))
                }
                (EntryType::Link, Some(target)) => Found::Link(clean(&target)),
                _ => continue,
            };
            spread.files.insert(path, found);
        }
        Ok(spread)
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(Path::new(path))
    }

    /// The path of a blob whose bytes have the digest that is asked for.
    fn blob(&self, descriptor: &Descriptor) -> Result<String> {
        let digits = descriptor
            .digest
            .strip_prefix("sha256:")
            .unwrap_or_default();
        let path = format!("blobs/sha256/{digits}");
        match self.find(&path)? {
            (_, digest) if digest == digits => Ok(path),
            _ => Err(ImageError::InvalidArchive(format!(
                "{path} does not have its digest"
            ))),
        }
    }

    fn find(&self, path: &str) -> Result<(usize, &str)> {
        let mut at = clean(Path::new(path));
        for _ in 0..MAX_LINKS {
            match self.files.get(&at) {
                Some(Found::File { number, digest }) => return Ok((*number, digest)),
                Some(Found::Link(target)) => at.clone_from(target),
                None => break,
            }
        }
        Err(ImageError::InvalidArchive(format!(
            "invalid archive: {path} is missing"
        )))
    }

    fn open(&self, path: &str) -> Result<File> {
        let (number, _) = self.find(path)?;
        let file = self.folder.path().join(number.to_string());
        File::open(&file).map_err(failed("open", &file))
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.open(path)?.take(MAX_JSON + 1);
        file.read_to_end(&mut bytes)
            .map_err(failed("read", self.folder.path()))?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(ImageError::InvalidArchive(format!(
                "invalid archive: {path} is too long"
            )));
        }
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        serde_json::from_slice(&self.bytes(path)?).map_err(|error| {
            ImageError::InvalidArchive(format!("invalid archive: {path}: {error}"))
        })
    }
}

/// A path as a key: without `.`, `..` and a leading slash.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}
