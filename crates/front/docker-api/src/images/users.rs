//! Which containers use which image.

use crate::api::Api;
use crate::error::ApiError;
use bollard_stubs::models::ContainerSummaryStateEnum;
use sealane_containers::ListOptions;
use sealane_core::model::Id;
use sealane_images::ImageUser;
use std::collections::HashMap;

/// The containers of each image, by the image's id.
pub(super) struct Users(HashMap<String, Vec<ImageUser>>);

impl Users {
    /// Asks for all containers.
    pub(super) fn of(api: &Api) -> Result<Self, ApiError> {
        let all = ListOptions {
            all: true,
            ..ListOptions::default()
        };
        let mut users: HashMap<String, Vec<ImageUser>> = HashMap::new();
        for summary in api.containers.list(&all)? {
            let id = summary.id.as_deref().map(Id::try_from);
            let (Some(Ok(container)), Some(image)) = (id, summary.image_id) else {
                continue;
            };
            let running = summary.state == Some(ContainerSummaryStateEnum::RUNNING);
            users
                .entry(image)
                .or_default()
                .push(ImageUser { container, running });
        }
        Ok(Self(users))
    }

    /// The containers of one image.
    pub(super) fn of_image(&self, id: &str) -> &[ImageUser] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }
}
