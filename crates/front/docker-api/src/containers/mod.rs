//! Requests of containers.

mod answer;
mod attach;
mod create;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod prune;
mod settings;
mod stats;
mod status;
mod wait;
mod wire;

pub(crate) use attach::{attach, resize, terminal_size};
pub(crate) use create::{create, request};
pub(crate) use inspect::{inspect, top};
pub(crate) use lifecycle::{UpdateBody, kill, remove, rename, restart, start, stop, update};
pub(crate) use list::{list, summaries};
pub(crate) use logs::logs;
pub(crate) use prune::prune;
pub(crate) use settings::Translate;
pub(crate) use stats::stats;
pub(crate) use wait::wait;

use crate::error::ApiError;
use crate::version::ApiVersion;
use bollard_stubs::models::EndpointSettings;
use sealane_containers::ContainerError;
use sealane_containers::options::EndpointOptions;

impl From<ContainerError> for ApiError {
    fn from(error: ContainerError) -> Self {
        Self::of(error.class(), &error)
    }
}

/// What the containers call a version.
pub(crate) fn containers_version(version: ApiVersion) -> sealane_containers::ApiVersion {
    let (major, minor) = version.parts();
    sealane_containers::ApiVersion(major, minor)
}

/// What is asked for of an endpoint, without what the version of a request does not have.
pub(crate) fn settings_of(
    settings: Option<EndpointSettings>,
    version: ApiVersion,
) -> EndpointOptions {
    let mut settings: EndpointOptions = settings.unwrap_or_default().translate();
    if !version.at_least(48) {
        settings.gw_priority = None;
    }
    settings
}
