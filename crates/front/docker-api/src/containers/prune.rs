//! `POST /containers/prune`

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::networks::OnePrune;
use crate::respond::{self, Response};
use sealane_containers::EventKind;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    /// `null` if there was nothing to remove.
    containers_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

/// Removes all containers that do not run.
pub(crate) async fn prune(call: Call) -> Result<Response, ApiError> {
    call.requires(25, "POST /containers/prune")?;
    let filters = Filters::of(&call.query, &["label", "label!", "until"])?;
    let pruned = call
        .blocking(move |api| {
            let _alone = OnePrune::begin(&api.pruning_containers)?;
            let pruned = api.containers.prune(&filters.0)?;
            let attributes = BTreeMap::from([("reclaimed".into(), pruned.space.to_string())]);
            api.events
                .publish(EventKind::Container, "prune", "", attributes);
            Ok::<_, ApiError>(pruned)
        })
        .await?;
    let ids: Vec<String> = pruned.containers.iter().map(ToString::to_string).collect();
    let containers_deleted = Some(ids).filter(|ids| !ids.is_empty());
    Ok(respond::ok(&Report {
        containers_deleted,
        space_reclaimed: pruned.space,
    }))
}
