//! `GET /containers/json`

use super::{answer, wire};
use crate::api::Api;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use jiff::Timestamp;
use sealane_containers::ListOptions;
use serde_json::Value;

/// Lists containers. The parameter `size` is taken and changes nothing.
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    // Zero and negative numbers mean no limit.
    let limit = call
        .query
        .integer("limit")?
        .and_then(|limit| usize::try_from(limit).ok());
    let options = ListOptions {
        all: call.query.flag("all"),
        limit: limit.filter(|limit| *limit > 0),
        filters: Filters::unchecked(&call.query)?.0,
    };
    let version = call.version;
    let list = call
        .blocking(move |api| summaries(api, &options, version))
        .await?;
    Ok(respond::ok(&list))
}

/// The containers that are chosen, as a list shows them.
pub(crate) fn summaries(
    api: &Api,
    options: &ListOptions,
    version: ApiVersion,
) -> Result<Vec<Value>, ApiError> {
    let listed = api.containers.list(options)?.into_iter();
    let now = Timestamp::now();
    listed
        .map(|listed| wire::summary(&answer::summary(listed, now), version))
        .collect()
}
