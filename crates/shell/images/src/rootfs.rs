//! Root file systems of containers.

use std::path::PathBuf;

/// How root file systems are made on this data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Layers are stacked by the kernel's overlay file system.
    Overlay,
    /// Layers are copied, because overlayfs refuses the data root.
    Copy,
}

/// A prepared root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFs {
    /// Where it is, once mounted.
    pub path: PathBuf,
    /// How it is made.
    pub backend: Backend,
}
