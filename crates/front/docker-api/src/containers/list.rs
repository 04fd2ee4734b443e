//! `GET /containers/json`

use super::wire;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use sealane_containers::ListOptions;

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
        .blocking(move |api| {
            let summaries = api.containers.list(&options)?;
            summaries
                .iter()
                .map(|summary| wire::summary(summary, version))
                .collect::<Result<Vec<_>, ApiError>>()
        })
        .await?;
    Ok(respond::ok(&list))
}
