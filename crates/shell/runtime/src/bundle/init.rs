//! The small init that runs as process 1 with `--init`.

use crate::{Result, RuntimeError};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where containers find it.
pub(crate) const DESTINATION: &str = "/sbin/docker-init";

const NAMES: [&str; 5] = [
    "docker-init",
    "tini-static",
    "catatonit",
    "tini",
    "dumb-init",
];

/// An init that runs in any image: it must need no libraries.
pub(crate) fn find(search: &[PathBuf]) -> Result<PathBuf> {
    let candidates = NAMES
        .iter()
        .flat_map(|name| search.iter().map(move |folder| folder.join(name)));
    candidates
        .into_iter()
        .find(|path| is_static(path))
        .ok_or_else(|| {
            RuntimeError::InvalidSpec(
            "no init found for --init: install the package tini (with its tini-static) or catatonit"
                .into(),
        )
        })
}

/// Whether a file is a 64-bit program without an interpreter.
fn is_static(path: &Path) -> bool {
    let headers = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        let mut header = [0; 64];
        file.read_exact(&mut header)?;
        if !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(false);
        }
        let (mut at, size) = (little(&header[32..40]), little(&header[54..56]));
        for _ in 0..little(&header[56..58]) {
            let mut kind = [0; 4];
            file.read_exact_at(&mut kind, at)?;
            if little(&kind) == INTERPRETER {
                return Ok(false);
            }
            at += size;
        }
        Ok(true)
    };
    headers().unwrap_or(false)
}

/// `PT_INTERP`.
const INTERPRETER: u64 = 3;

fn little(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(
            is_static(Path::new("/bin/busybox")),
            "busybox-static is installed"
        );
        assert!(!is_static(Path::new("/bin/sh")));
        assert!(!is_static(Path::new("/etc/passwd")));
    }
}
