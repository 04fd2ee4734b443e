//! How a container looks on the wire: what the containers tell, with Docker's empty fields, and
//! with the fields that each version has.

use crate::error::ApiError;
use crate::shape::{complete, object};
use crate::version::ApiVersion;
use bollard_stubs::models::{ContainerInspectResponse, ContainerSummary};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// `GET /containers/NAME/json` of a container about which nothing is known.
static INSPECT: LazyLock<Value> = LazyLock::new(|| template(include_str!("inspect.json")));
/// One entry of `GET /containers/json`, likewise.
static SUMMARY: LazyLock<Value> = LazyLock::new(|| template(include_str!("summary.json")));
/// One entry of `NetworkSettings.Networks`, likewise.
static ENDPOINT: LazyLock<Value> = LazyLock::new(|| template(include_str!("endpoint.json")));

/// What the top of `NetworkSettings` tells clients before 1.52 of the default bridge.
const BRIDGE_FIELDS: [&str; 8] = [
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
];

/// The templates are part of the program; a test reads them all.
fn template(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// A container as `inspect` shows it.
pub(super) fn inspect(
    model: &ContainerInspectResponse,
    version: ApiVersion,
) -> Result<Value, ApiError> {
    let mut shown = complete(encode(model)?, &INSPECT);
    let id = model.id.clone().unwrap_or_default();
    let hostname = model
        .config
        .as_ref()
        .and_then(|config| config.hostname.clone());
    let own_names = [id.chars().take(12).collect(), hostname.unwrap_or_default()];
    if let Some(settings) = object(&mut shown, "NetworkSettings") {
        let own_names = (!version.at_least(45)).then_some(&own_names[..]);
        complete_endpoints(settings, version, own_names);
        if !version.at_least(52) {
            add_bridge_fields(settings);
        }
    }
    if !version.at_least(52)
        && let Some(config) = object(&mut shown, "Config")
    {
        config.entry("OnBuild").or_insert(Value::Null);
    }
    if !version.at_least(48)
        && let Some(shown) = shown.as_object_mut()
    {
        shown.shift_remove("ImageManifestDescriptor");
    }
    Ok(shown)
}

/// Adds the container-wide hardware address that clients before 1.52 look for.
pub(super) fn with_mac(mut shown: Value, mac: Option<String>, version: ApiVersion) -> Value {
    if let Some(mac) = mac.filter(|_| !version.at_least(52))
        && let Some(config) = object(&mut shown, "Config")
    {
        config.insert("MacAddress".into(), mac.into());
    }
    shown
}

/// A container as a list shows it.
pub(super) fn summary(model: &ContainerSummary, version: ApiVersion) -> Result<Value, ApiError> {
    let mut shown = complete(encode(model)?, &SUMMARY);
    if let Some(settings) = object(&mut shown, "NetworkSettings") {
        complete_endpoints(settings, version, None);
    }
    if !version.at_least(52)
        && let Some(shown) = shown.as_object_mut()
    {
        shown.shift_remove("Health");
    }
    Ok(shown)
}

fn encode(model: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(model)
        .map_err(|error| ApiError::internal(format!("a container could not be shown: {error}")))
}

/// Fills in each network's entry. Clients before 1.45 look for a container's own names among its
/// aliases.
fn complete_endpoints(
    settings: &mut Map<String, Value>,
    version: ApiVersion,
    own_names: Option<&[String]>,
) {
    let Some(Value::Object(networks)) = settings.get_mut("Networks") else {
        return;
    };
    for (name, endpoint) in networks {
        *endpoint = complete(endpoint.take(), &ENDPOINT);
        let Some(endpoint) = endpoint.as_object_mut() else {
            continue;
        };
        let user_made = !matches!(name.as_str(), "bridge" | "host" | "none" | "default");
        if let Some(names) = own_names.filter(|_| user_made) {
            add_aliases(endpoint, names);
        }
        if !version.at_least(48) {
            endpoint.shift_remove("GwPriority");
        }
        if !version.at_least(44) {
            endpoint.shift_remove("DNSNames");
        }
    }
}

fn add_aliases(endpoint: &mut Map<String, Value>, names: &[String]) {
    let aliases = endpoint.entry("Aliases").or_insert(Value::Null);
    if aliases.is_null() {
        *aliases = json!([]);
    }
    let Value::Array(aliases) = aliases else {
        return;
    };
    for name in names {
        let name = Value::from(name.as_str());
        if !aliases.contains(&name) {
            aliases.push(name);
        }
    }
}

fn add_bridge_fields(settings: &mut Map<String, Value>) {
    let bridge = settings
        .get("Networks")
        .and_then(|networks| networks.get("bridge"))
        .cloned();
    let bridge = bridge.unwrap_or_else(|| ENDPOINT.clone());
    let networks = settings
        .shift_remove("Networks")
        .unwrap_or_else(|| json!({}));
    let always_empty = json!({
        "Bridge": "",
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
    });
    if let Value::Object(fields) = always_empty {
        settings.extend(fields);
    }
    for field in BRIDGE_FIELDS {
        settings.insert(field.into(), bridge.get(field).cloned().unwrap_or_default());
    }
    settings.insert("Networks".into(), networks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_stubs::models::{ContainerConfig, EndpointSettings, NetworkSettings};
    use std::collections::HashMap;

    fn on(network: &str) -> ContainerInspectResponse {
        let endpoint = EndpointSettings {
            ip_address: Some("10.1.0.2".into()),
            ip_prefix_len: Some(24),
            ..EndpointSettings::default()
        };
        ContainerInspectResponse {
            id: Some("0123456789abcdef".into()),
            config: Some(ContainerConfig {
                hostname: Some("web".into()),
                ..ContainerConfig::default()
            }),
            network_settings: Some(NetworkSettings {
                networks: Some(HashMap::from([(network.into(), endpoint)])),
                ..NetworkSettings::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn the_templates_can_be_read() {
        for template in [&INSPECT, &SUMMARY, &ENDPOINT] {
            assert!(template.is_object());
        }
    }

    #[test]
    fn empty_fields_are_there() {
        let shown = inspect(&on("blue"), ApiVersion::MAX).unwrap();
        for path in ["/HostConfig/Binds", "/Config/Volumes", "/ExecIDs"] {
            assert_eq!(shown.pointer(path), Some(&Value::Null), "{path}");
        }
        let endpoint = shown.pointer("/NetworkSettings/Networks/blue").unwrap();
        assert_eq!(endpoint["GlobalIPv6Address"], "");
        assert_eq!(endpoint["IPAddress"], "10.1.0.2");
        assert_eq!(endpoint["GwPriority"], 0);
        assert_eq!(endpoint["Aliases"], Value::Null);
    }

    #[test]
    fn the_default_bridge_is_at_the_top_until_1_51() {
        let old = inspect(&on("bridge"), ApiVersion::new(1, 51)).unwrap();
        assert_eq!(old["NetworkSettings"]["IPAddress"], "10.1.0.2");
        assert_eq!(old["NetworkSettings"]["IPPrefixLen"], 24);
        let elsewhere = inspect(&on("blue"), ApiVersion::new(1, 51)).unwrap();
        assert_eq!(elsewhere["NetworkSettings"]["IPAddress"], "");
        let new = inspect(&on("bridge"), ApiVersion::new(1, 52)).unwrap();
        assert!(new["NetworkSettings"].get("IPAddress").is_none());
        assert!(new["NetworkSettings"].get("Bridge").is_none());
    }

    #[test]
    fn fields_come_with_their_version() {
        let endpoint = |version| {
            let shown = inspect(&on("blue"), version).unwrap();
            let endpoint = shown
                .pointer("/NetworkSettings/Networks/blue")
                .unwrap()
                .clone();
            ["GwPriority", "DNSNames"].map(|field| endpoint.get(field).is_some())
        };
        assert_eq!(endpoint(ApiVersion::new(1, 48)), [true, true]);
        assert_eq!(endpoint(ApiVersion::new(1, 47)), [false, true]);
        assert_eq!(endpoint(ApiVersion::new(1, 43)), [false, false]);
    }

    #[test]
    fn old_clients_find_own_names_among_the_aliases() {
        let aliases = |network, version| {
            let shown = inspect(&on(network), version).unwrap();
            shown
                .pointer(&format!("/NetworkSettings/Networks/{network}/Aliases"))
                .cloned()
        };
        let own = json!(["0123456789ab", "web"]);
        assert_eq!(aliases("blue", ApiVersion::new(1, 44)), Some(own));
        assert_eq!(aliases("blue", ApiVersion::new(1, 45)), Some(Value::Null));
        assert_eq!(aliases("bridge", ApiVersion::new(1, 44)), Some(Value::Null));
    }
}
