//! `POST /networks/create`

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::shape::{nullable, strict, strict_list};
use crate::version::ApiVersion;
use hyper::StatusCode;
use sealane_engine::{CreateNetwork, RequestedSubnet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of the request. Whatever is absent or `null` is empty, as in Go.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Body {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    driver: String,
    #[serde(deserialize_with = "nullable")]
    scope: String,
    #[serde(deserialize_with = "nullable")]
    internal: bool,
    #[serde(deserialize_with = "nullable")]
    attachable: bool,
    #[serde(deserialize_with = "nullable")]
    ingress: bool,
    #[serde(deserialize_with = "nullable")]
    config_only: bool,
    #[serde(deserialize_with = "strict")]
    config_from: ConfigFrom,
    #[serde(rename = "IPAM", deserialize_with = "strict")]
    ipam: Ipam,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    options: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ConfigFrom {
    #[serde(deserialize_with = "nullable")]
    network: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Ipam {
    #[serde(deserialize_with = "nullable")]
    driver: String,
    options: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "strict_list")]
    config: Vec<IpamConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IpamConfig {
    #[serde(rename = "Subnet", deserialize_with = "nullable")]
    subnet: String,
    #[serde(rename = "IPRange", deserialize_with = "nullable")]
    ip_range: String,
    #[serde(rename = "Gateway", deserialize_with = "nullable")]
    gateway: String,
    /// Two spellings: the first is the documented one, the second what Docker's clients send.
    #[serde(
        rename = "AuxiliaryAddresses",
        alias = "AuxAddress",
        deserialize_with = "nullable"
    )]
    auxiliary: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
    warning: String,
}

/// Makes a network.
pub(crate) async fn create(mut call: Call) -> Result<Response, ApiError> {
    let body: Body = call.json().await?;
    let request = body.into_request(call.version);
    let created = call
        .blocking(move |api| api.engine.create_network(&request))
        .await?;
    let answer = Created {
        id: created.id.to_string(),
        warning: created.warning,
    };
    Ok(respond::json(StatusCode::CREATED, &answer))
}

impl Body {
    /// What the engine is asked for.
    pub(crate) fn into_request(self, version: ApiVersion) -> CreateNetwork {
        let ipam = self.ipam;
        CreateNetwork {
            name: self.name,
            driver: self.driver,
            scope: self.scope,
            internal: self.internal,
            attachable: self.attachable,
            ingress: self.ingress,
            config_only: self.config_only,
            config_from: Some(self.config_from.network).filter(|name| !name.is_empty()),
            // Older clients cannot mean it: the field is newer than they are.
            enable_ipv4: self.enable_ipv4.filter(|_| version.at_least(48)),
            enable_ipv6: self.enable_ipv6,
            ipam_driver: ipam.driver,
            ipam_options: ipam.options,
            subnets: ipam
                .config
                .into_iter()
                .map(IpamConfig::into_subnet)
                .collect(),
            options: self.options,
            labels: self.labels,
        }
    }
}

impl IpamConfig {
    /// What the engine is asked for.
    pub(super) fn into_subnet(self) -> RequestedSubnet {
        RequestedSubnet {
            subnet: self.subnet,
            ip_range: self.ip_range,
            gateway: self.gateway,
            auxiliary: self.auxiliary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str, version: ApiVersion) -> CreateNetwork {
        serde_json::from_str::<Body>(json)
            .unwrap()
            .into_request(version)
    }

    #[test]
    fn null_is_empty_everywhere() {
        let json = r#"{"Name":"a","Driver":null,"Internal":null,"IPAM":{"Driver":null,"Options":null,
            "Config":null},"Options":null,"Labels":null,"ConfigFrom":null,"EnableIPv6":null}"#;
        let expected = CreateNetwork {
            name: "a".into(),
            ..CreateNetwork::default()
        };
        assert_eq!(request(json, ApiVersion::MAX), expected);
        assert_eq!(
            request(r#"{"Name":"a","CheckDuplicate":true}"#, ApiVersion::MAX),
            expected
        );
    }

    #[test]
    fn enable_ipv4_means_nothing_before_its_version() {
        let json = r#"{"Name":"a","EnableIPv4":false}"#;
        assert_eq!(request(json, ApiVersion::new(1, 47)).enable_ipv4, None);
        assert_eq!(
            request(json, ApiVersion::new(1, 48)).enable_ipv4,
            Some(false)
        );
    }

    #[test]
    fn wrong_types_are_refused() {
        for json in [
            r#"{"Name":1}"#,
            r#"{"Internal":"yes"}"#,
            r#"{"Options":{"a":1}}"#,
            r#"{"IPAM":[]}"#,
            r#"{"IPAM":{"Config":{}}}"#,
            r#"{"IPAM":{"Config":[[]]}}"#,
            r#"{"Labels":[]}"#,
        ] {
            assert!(serde_json::from_str::<Body>(json).is_err(), "{json}");
        }
    }
}
