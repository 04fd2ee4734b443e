//! Requests of images.

mod archive;
mod inspect;
mod list;
mod remove;
mod tag;

pub(crate) use archive::{import, load, save, save_many};
pub(crate) use inspect::{history, inspect};
pub(crate) use list::{list, summaries};
pub(crate) use remove::{prune, remove};
pub(crate) use tag::tag;

use crate::api::Api;
use crate::error::ApiError;
use sealane_containers::EventKind;
use sealane_images::ImageError;
use std::collections::BTreeMap;

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        Self::of(error.class(), &error)
    }
}

/// Publishes what happened to an image.
fn publish(api: &Api, action: &str, id: &str, name: &str) {
    let attributes = BTreeMap::from([("name".into(), name.into())]);
    api.events.publish(EventKind::Image, action, id, attributes);
}
