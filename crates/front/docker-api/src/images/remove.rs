//! `DELETE /images/NAME` and `POST /images/prune`

use super::publish;
use crate::api::Api;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::time;
use jiff::Timestamp;
use sealane_core::model::ErrorClass;
use sealane_images::{Image, ImageId, Removed};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
enum Line {
    Untagged(String),
    Deleted(String),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    /// `null` if there was nothing to remove.
    images_deleted: Option<Vec<Line>>,
    space_reclaimed: u64,
}

/// Removes a name, and the image with its last one.
pub(crate) async fn remove(call: Call, name: String) -> Result<Response, ApiError> {
    let force = call.query.flag("force");
    let lines = call
        .blocking(move |api| remove_one(api, &name, force))
        .await?;
    Ok(respond::ok(&lines))
}

/// Removes the images that have no name, or with `dangling=false` those that are not in use.
pub(crate) async fn prune(call: Call) -> Result<Response, ApiError> {
    call.requires(25, "POST /images/prune")?;
    let filters = Filters::of(&call.query, &["dangling", "label", "label!", "until"])?;
    let dangling = !matches!(filters.single("dangling")?, Some("0" | "false"));
    let now = Timestamp::now();
    let until = filters
        .single("until")?
        .map(|text| time::parse(text, now))
        .transpose()?;
    let report = call
        .blocking(move |api| {
            let unwanted = |image: &Image| {
                let labels = &image.config.labels;
                let excluded =
                    !filters.values("label!").is_empty() && filters.labels("label!", labels);
                let made = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
                (!dangling || image.repo_tags.is_empty())
                    && api.containers.image_users(&image.id).is_empty()
                    && filters.labels("label", labels)
                    && !excluded
                    && until.is_none_or(|until| made < until)
            };
            prune_all(api, api.images.list()?.into_iter().filter(unwanted))
        })
        .await?;
    Ok(respond::ok(&report))
}

fn prune_all(api: &Api, images: impl Iterator<Item = Image>) -> Result<Report, ApiError> {
    let (mut lines, mut space) = (Vec::new(), 0);
    for image in images {
        match remove_one(api, &image.id.to_string(), true) {
            Ok(removed) => {
                lines.extend(removed);
                space += image.size;
            }
            // Another request was faster, or began to use it.
            Err(error) if matches!(error.class(), ErrorClass::NotFound | ErrorClass::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    let images_deleted = Some(lines).filter(|lines| !lines.is_empty());
    Ok(Report {
        images_deleted,
        space_reclaimed: space,
    })
}

fn remove_one(api: &Api, name: &str, force: bool) -> Result<Vec<Line>, ApiError> {
    let id = api.images.inspect(name)?.id.to_string();
    let users = |image: &ImageId| api.containers.image_users(image);
    let removed = api.images.remove(name, force, &users)?;
    let line = |removed| match removed {
        Removed::Untagged(name) => {
            publish(api, "untag", &id, &id);
            Line::Untagged(name)
        }
        Removed::Deleted(deleted) => {
            if deleted == id {
                publish(api, "delete", &id, &id);
            }
            Line::Deleted(deleted)
        }
    };
    Ok(removed.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_a_list_of_lines() {
        let lines = [
            Line::Untagged("a:1".into()),
            Line::Deleted("sha256:x".into()),
        ];
        let text = serde_json::to_string(&lines).unwrap();
        assert_eq!(text, r#"[{"Untagged":"a:1"},{"Deleted":"sha256:x"}]"#);
    }
}
