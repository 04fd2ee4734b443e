//! `POST /networks/NAME/update`: a network changed in place. Ours; Docker has no such request.

use super::create::IpamConfig;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::shape::{nullable, strict_list};
use sealane_core::model::DNS;
use sealane_engine::NetworkChange;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The body of the request: what is absent stays as it is, a label or an option that is `null` goes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Body {
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, Option<String>>,
    #[serde(deserialize_with = "nullable")]
    options: BTreeMap<String, Option<String>>,
    /// DNS servers; none to go back to the daemon's.
    #[serde(rename = "DNS")]
    dns: Option<Vec<String>>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: Option<bool>,
    #[serde(rename = "IPAM", deserialize_with = "nullable")]
    ipam: Ipam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
struct Ipam {
    /// Subnets in place of the smaller ones there are, or an IPv6 one where there is none.
    #[serde(deserialize_with = "strict_list")]
    config: Vec<IpamConfig>,
}

/// Changes a network.
pub(crate) async fn update(mut call: Call, name: String) -> Result<Response, ApiError> {
    let body: Body = call.json().await?;
    let change = body.into_change();
    call.blocking(move |api| api.engine.update_network(&name, &change))
        .await?;
    Ok(respond::ok(&serde_json::json!({ "Warning": "" })))
}

impl Body {
    /// The change in the engine's words.
    pub(crate) fn into_change(self) -> NetworkChange {
        let mut options = self.options;
        if let Some(servers) = self.dns {
            let value = Some(servers.join(",")).filter(|text| !text.is_empty());
            options.insert(DNS.into(), value);
        }
        NetworkChange {
            labels: self.labels,
            options,
            enable_ipv6: self.enable_ipv6,
            subnets: self
                .ipam
                .config
                .into_iter()
                .map(IpamConfig::into_subnet)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_stays_and_null_goes() {
        let json = r#"{"Labels":{"a":"b","c":null},"DNS":["10.0.0.1","10.0.0.2"],"Options":null}"#;
        let change = serde_json::from_str::<Body>(json).unwrap().into_change();
        assert_eq!(change.labels["a"].as_deref(), Some("b"));
        assert_eq!(change.labels["c"], None);
        assert_eq!(change.options[DNS].as_deref(), Some("10.0.0.1,10.0.0.2"));
        assert_eq!(change.enable_ipv6, None);
        let nothing = serde_json::from_str::<Body>("{}").unwrap().into_change();
        assert_eq!(nothing, NetworkChange::default());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for json in [
            r#"{"Driver":"macvlan"}"#,
            r#"{"Labels":{"a":1}}"#,
            r#"{"IPAM":{"Config":{}}}"#,
        ] {
            assert!(serde_json::from_str::<Body>(json).is_err(), "{json}");
        }
    }
}
