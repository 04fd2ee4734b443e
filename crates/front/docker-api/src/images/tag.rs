//! `POST /images/NAME/tag`

use super::publish;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use hyper::StatusCode;

/// Gives an image a further name.
pub(crate) async fn tag(call: Call, name: String) -> Result<Response, ApiError> {
    let target = match (call.query.text("repo"), call.query.text("tag")) {
        (Some(name), Some(tag)) => format!("{name}:{tag}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => return Err(ApiError::invalid("invalid reference format: repo is empty")),
    };
    call.blocking(move |api| {
        api.images.tag(&name, &target)?;
        let id = api.images.inspect(&target)?.id.to_string();
        publish(api, "tag", &id, &target);
        Ok::<_, ApiError>(())
    })
    .await?;
    Ok(respond::empty(StatusCode::CREATED))
}
