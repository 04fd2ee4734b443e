//! Programs of others that work in this network namespace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether a process of another program that is called `name` works in our network namespace. One
/// that ends meanwhile, or whose namespace may not be looked at, does not count.
pub fn runs_here(name: &str) -> io::Result<bool> {
    let ours = fs::read_link("/proc/self/ns/net")?;
    // We may have been started under the name of another.
    let ourselves = fs::read_link("/proc/self/exe")?;
    for entry in fs::read_dir("/proc")? {
        let process = entry?.path();
        if is_called(&process, name)
            && link(&process, "ns/net").is_some_and(|netns| netns == ours)
            && link(&process, "exe").is_some_and(|program| program != ourselves)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_called(process: &Path, name: &str) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
}

fn link(process: &Path, name: &str) -> Option<PathBuf> {
    fs::read_link(process.join(name)).ok()
}
