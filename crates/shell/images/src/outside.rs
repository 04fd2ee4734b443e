//! The readers of what clients and archives say, by themselves: for the fuzz targets, and nothing
//! else.

use crate::config::ImageConfig;
use crate::record::Configuration;
use crate::reference::{Meaning, Reference, meaning};
use crate::{Result, changes, extract};
use std::io::Read;
use std::path::Path;

/// Reads the name of an image, and checks that it is the same when written and read again.
pub fn reference(text: &str) -> Result<String> {
    let found = Reference::parse(text)?;
    let whole = found.to_string();
    assert_eq!(
        Reference::parse(&whole)?,
        found,
        "{text:?} became {whole:?}"
    );
    if let Meaning::Name(name) = meaning(&whole)? {
        assert_eq!(name, found, "{whole:?} means something else");
    }
    let tagged = found.clone().or_latest();
    assert!(!tagged.is_bare(), "{tagged} has neither tag nor digest");
    Ok(found.familiar())
}

/// Unpacks a plain tar into an empty folder.
pub fn unpack(tar: impl Read, folder: &Path) -> Result<String> {
    extract::unpack(tar, folder).map(|unpacked| format!("{unpacked:?}"))
}

/// Applies instructions, one a line, to the configuration of an image.
pub fn change(text: &str) -> Result<ImageConfig> {
    let mut config = ImageConfig::default();
    for line in text.lines() {
        changes::apply(&mut config, line)?;
    }
    Ok(config)
}

/// Reads the configuration of an image as OCI and Docker write it; what was read of it is the same
/// when it is written and read again.
pub fn configuration(json: &[u8]) -> serde_json::Result<ImageConfig> {
    let found: Configuration = serde_json::from_slice(json)?;
    let written = serde_json::to_vec(&found)?;
    let again: Configuration = serde_json::from_slice(&written)?;
    assert_eq!(again.config, found.config, "of {json:?}");
    Ok(found.config)
}
