//! `GET /networks`

use super::wire;
use crate::api::Api;
use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use sealane_core::model::Network;
use sealane_engine::NetworkView;

const ACCEPTED: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// The names of networks that the daemon makes for itself.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// The checked filters of a list.
struct Chosen {
    filters: Filters,
    dangling: Option<bool>,
}

/// Lists the networks that the filters choose.
pub(crate) async fn list(call: Call) -> Result<Response, ApiError> {
    let chosen = Chosen::of(Filters::of(&call.query, &ACCEPTED)?)?;
    let version = call.version;
    if version.at_least(28) {
        let networks = call
            .blocking(move |api| {
                let mut networks = api.engine.networks();
                networks.retain(|network| chosen.takes(network, api.engine.in_use(&network.id)));
                Ok::<_, ApiError>(networks)
            })
            .await?;
        let list: Vec<_> = networks
            .iter()
            .map(|network| wire::summary(network, version))
            .collect();
        return Ok(respond::ok(&list));
    }
    let views = call.blocking(move |api| views(api, &chosen)).await?;
    let list: Vec<_> = views
        .iter()
        .map(|view| wire::inspect(view, version, false))
        .collect();
    Ok(respond::ok(&list))
}

/// The networks with their endpoints, as clients before 1.28 saw them.
fn views(api: &Api, chosen: &Chosen) -> Result<Vec<NetworkView>, ApiError> {
    let networks = api.engine.networks();
    let taken = networks
        .iter()
        .filter(|network| chosen.takes(network, api.engine.in_use(&network.id)));
    Ok(taken
        // One that was removed meanwhile is not there any more.
        .filter_map(|network| api.engine.network(&network.id.to_string()).ok())
        .collect())
}

impl Chosen {
    fn of(filters: Filters) -> Result<Self, ApiError> {
        for kind in filters.values("type") {
            if !matches!(kind.as_str(), "builtin" | "custom") {
                return Err(Filters::bad_value("type", kind));
            }
        }
        let dangling = match filters.single("dangling")? {
            None => None,
            Some("1" | "true") => Some(true),
            Some("0" | "false") => Some(false),
            Some(_) => {
                return Err(ApiError::invalid(
                    "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \
                     \"false\" (or \"0\")",
                ));
            }
        };
        Ok(Self { filters, dangling })
    }

    fn takes(&self, network: &Network, in_use: bool) -> bool {
        let spec = &network.spec;
        let predefined = PREDEFINED.contains(&spec.name.as_str());
        let kind = if predefined { "builtin" } else { "custom" };
        self.filters.exact("driver", &spec.driver.to_string())
            && self.filters.exact("scope", &spec.scope.to_string())
            && self.filters.exact("type", kind)
            && self.filters.pattern("name", &spec.name)
            && self.filters.pattern("id", &network.id.to_string())
            && self.filters.labels("label", &spec.labels)
            && self
                .dangling
                .is_none_or(|dangling| dangling != (predefined || in_use))
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::tests::network;
    use super::*;
    use crate::query::Query;

    fn takes(json: &str, in_use: bool) -> Result<bool, ApiError> {
        let query = Query::parse(&format!("filters={json}"))?;
        Ok(Chosen::of(Filters::of(&query, &ACCEPTED)?)?.takes(&network("blue"), in_use))
    }

    #[test]
    fn filters_choose_networks() {
        let hits = [
            r#"{}"#,
            r#"{"name":["lu"]}"#,
            r#"{"name":{"^blue$":true}}"#,
            r#"{"driver":["bridge"],"scope":["local"],"type":["custom"]}"#,
            r#"{"label":["team%3Dnet"]}"#,
            r#"{"dangling":["true"]}"#,
        ];
        for json in hits {
            assert!(takes(json, false).unwrap(), "{json}");
        }
        let misses = [
            r#"{"name":["red"]}"#,
            r#"{"driver":["bri"]}"#,
            r#"{"scope":["swarm"]}"#,
            r#"{"type":["builtin"]}"#,
            r#"{"label":["team%3Dx"]}"#,
            r#"{"dangling":["0"]}"#,
        ];
        for json in misses {
            assert!(!takes(json, false).unwrap(), "{json}");
        }
        assert!(!takes(r#"{"dangling":["1"]}"#, true).unwrap());
    }

    #[test]
    fn wrong_values_are_refused_as_docker_does() {
        let dangling = takes(r#"{"dangling":["x"]}"#, false).unwrap_err();
        assert_eq!(dangling.status(), 400);
        let kind = takes(r#"{"type":["x"]}"#, false).unwrap_err();
        assert_eq!(
            (kind.status().as_u16(), kind.to_string().as_str()),
            (500, "invalid filter: 'type'='x'")
        );
    }
}
