//! The daemon's id, the same over restarts. The engine makes it, since addresses follow from it.

use super::error::{DaemonError, Result};
use std::fs;
use std::path::Path;

/// Reads the id below the data root.
pub(crate) fn id(data_root: &Path) -> Result<String> {
    let path = data_root.join("engine-id");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(DaemonError::Identity { path, source }),
    }
}
