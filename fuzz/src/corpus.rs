//! The committed seeds: inputs as they were met, and those that once failed.

use crate::Target;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The folder of a target's seeds.
pub(crate) fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}

/// The seeds of a target, each with its name, in order.
pub fn seeds(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = Vec::new();
    match fs::read_dir(folder(target)) {
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                seeds.push((name.into_owned(), fs::read(&path)?));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    seeds.sort();
    let made = (target.made)().into_iter().enumerate();
    seeds.extend(made.map(|(number, seed)| (format!("made {number}"), seed)));
    Ok(seeds)
}
