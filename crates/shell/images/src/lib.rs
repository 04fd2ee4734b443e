//! Images and root file systems: what a container's files are made from.
//!
//! May touch `<data root>/images`, `<data root>/rootfs` and the overlay mounts below the latter.
//! Layers are content-addressed by their diff id and shared between images; the blobs they came
//! as are kept, so that an image leaves as it arrived. Every write is a temporary file or folder,
//! then a rename; what an interrupted import left is swept at open.
//! Start at [`Images`].

mod blobs;
mod changes;
mod config;
mod copy;
mod error;
mod extract;
mod fault;
mod files;
mod image;
mod import;
mod layers;
mod load;
mod manifest;
mod marks;
mod metadata;
pub mod outside;
mod overlay;
mod record;
mod reference;
mod remove;
mod rootfs;
mod save;
mod store;

pub use config::{Empty, HealthConfig, ImageConfig};
pub use error::ImageError;
pub use image::{HistoryEntry, Image, ImageId, ImageUser, InvalidImageId, Removed};
pub use rootfs::{Backend, RootFs};
pub use store::Images;

/// What this crate's operations return.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;
