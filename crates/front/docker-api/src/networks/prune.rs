//! `POST /networks/prune`

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::time;
use jiff::Timestamp;
use sealane_containers::EventKind;
use sealane_core::model::{ErrorClass, Network};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    /// `null` if there was nothing to remove.
    networks_deleted: Option<Vec<String>>,
}

/// Holds off a second prune until it is dropped.
pub(crate) struct OnePrune<'a>(&'a AtomicBool);

/// The checked filters of a prune.
struct Chosen {
    filters: Filters,
    until: Option<Timestamp>,
}

/// Removes every user-made network without endpoints.
pub(crate) async fn prune(call: Call) -> Result<Response, ApiError> {
    call.requires(25, "POST /networks/prune")?;
    let filters = Filters::of(&call.query, &["label", "label!", "until"])?;
    let until = match filters.values("until") {
        [] => None,
        [text] => Some(time::parse(text, Timestamp::now())?),
        _ => return Err(ApiError::invalid("more than one until filter specified")),
    };
    let chosen = Chosen { filters, until };
    let removed = call
        .blocking(move |api| {
            let _alone = OnePrune::begin(&api.pruning_networks)?;
            let removed = api
                .engine
                .prune_networks(&|network| chosen.takes(network))?;
            let attributes = BTreeMap::from([("reclaimed".into(), "0".into())]);
            api.events
                .publish(EventKind::Network, "prune", "", attributes);
            Ok::<_, ApiError>(removed)
        })
        .await?;
    let networks_deleted = Some(removed).filter(|names| !names.is_empty());
    Ok(respond::ok(&Report { networks_deleted }))
}

impl<'a> OnePrune<'a> {
    /// Begins a prune unless one is under way.
    pub(crate) fn begin(running: &'a AtomicBool) -> Result<Self, ApiError> {
        if running.swap(true, Ordering::AcqRel) {
            let text = "a prune operation is already running";
            return Err(ApiError::new(ErrorClass::Conflict, text));
        }
        Ok(Self(running))
    }
}

impl Drop for OnePrune<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Chosen {
    fn takes(&self, network: &Network) -> bool {
        let labels = &network.spec.labels;
        let excluded =
            !self.filters.values("label!").is_empty() && self.filters.labels("label!", labels);
        // One whose time cannot be read is kept: removing is not undone.
        let old = |until| {
            network
                .created
                .parse::<Timestamp>()
                .is_ok_and(|made| made <= until)
        };
        self.filters.labels("label", labels) && !excluded && self.until.is_none_or(old)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::tests::network;
    use super::*;

    fn takes(key: &str, value: &str, until: Option<&str>) -> bool {
        let filters = Filters(BTreeMap::from([(key.into(), vec![value.into()])]));
        let until = until.map(|text| text.parse().unwrap());
        Chosen { filters, until }.takes(&network("blue"))
    }

    #[test]
    fn labels_choose_and_exclude() {
        assert!(takes("label", "team=net", None) && !takes("label", "team=x", None));
        assert!(!takes("label!", "team", None) && takes("label!", "other", None));
    }

    #[test]
    fn younger_networks_are_kept() {
        assert!(takes("label", "team", Some("2027-01-01T00:00:00Z")));
        assert!(!takes("label", "team", Some("2020-01-01T00:00:00Z")));
    }

    #[test]
    fn a_second_prune_is_refused_while_one_runs() {
        let running = AtomicBool::new(false);
        let first = OnePrune::begin(&running).unwrap();
        assert!(OnePrune::begin(&running).is_err_and(|error| error.status() == 409));
        drop(first);
        assert!(OnePrune::begin(&running).is_ok());
    }
}
