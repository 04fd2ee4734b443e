//! Images and root file systems: what a container's files are made from.
//!
//! May touch `<data root>/images`, `<data root>/rootfs` and the overlay mounts below the latter.
//! Layers are content-addressed by their diff id and shared between images. Every write is a
//! temporary file or folder, then a rename; what an interrupted import left is swept at open.
//! Start at [`Images`].

mod config;
mod error;
mod image;
mod rootfs;
mod store;

pub use config::{Empty, HealthConfig, ImageConfig};
pub use error::ImageError;
pub use image::{HistoryEntry, Image, ImageId, ImageUser, InvalidImageId, Removed};
pub use rootfs::{Backend, RootFs};
pub use store::Images;

/// What this crate's operations return.
pub type Result<T, E = ImageError> = std::result::Result<T, E>;
