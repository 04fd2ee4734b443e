//! `POST /containers/create`

use super::{Translate, containers_version, settings_of};
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use bollard_stubs::models::{ContainerConfig, EndpointSettings, HostConfig};
use hyper::StatusCode;
use sealane_containers::CreateRequest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
    warnings: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Networking {
    #[serde(default, rename = "EndpointsConfig")]
    endpoints: Option<BTreeMap<String, Option<EndpointSettings>>>,
}

/// Makes a container.
pub(crate) async fn create(mut call: Call) -> Result<Response, ApiError> {
    let name = call.query.text("name").map(str::to_owned);
    let body: Map<String, Value> = call.json().await?;
    let request = request(name, body, call.version)?;
    let created = call
        .blocking(move |api| api.containers.create(request))
        .await?;
    let answer = Created {
        id: created.id.to_string(),
        warnings: created.warnings,
    };
    Ok(respond::json(StatusCode::CREATED, &answer))
}

/// Takes the body apart: the container's own settings are at its top level, beside three others.
pub(crate) fn request(
    name: Option<String>,
    mut body: Map<String, Value>,
    version: ApiVersion,
) -> Result<CreateRequest, ApiError> {
    let networking: Networking = part(body.shift_remove("NetworkingConfig"))?;
    let mut host = body.shift_remove("HostConfig").unwrap_or_default();
    let mac_address: Option<String> = part(body.shift_remove("MacAddress"))?;
    check_restart_policy(&host)?;
    forget_newer_fields(&mut host, version);
    normalize_config(&mut body);
    let endpoints = networking.endpoints.unwrap_or_default().into_iter();
    Ok(CreateRequest {
        name,
        config: part::<ContainerConfig>(Some(Value::Object(body)))?.translate(),
        host_config: part::<HostConfig>(Some(host))?.translate(),
        endpoints: endpoints
            .map(|(name, to)| (name, settings_of(to, version)))
            .collect(),
        mac_address: mac_address.filter(|text| !text.is_empty()),
        api_version: containers_version(version),
    })
}

/// Decodes one part; an absent one and `null` are empty.
fn part<T: DeserializeOwned + Default>(value: Option<Value>) -> Result<T, ApiError> {
    let value = value.filter(|value| !value.is_null());
    let decoded = value.map_or_else(|| Ok(T::default()), serde_json::from_value);
    decoded.map_err(|error| {
        let text: String = error.to_string().chars().take(400).collect();
        ApiError::invalid(format!("invalid JSON: {text}"))
    })
}

/// Brings the spellings that Docker takes to the one that the types have.
fn normalize_config(config: &mut Map<String, Value>) {
    for key in ["Cmd", "Entrypoint", "Shell"] {
        if let Some(value @ Value::String(_)) = config.get_mut(key) {
            *value = Value::Array(vec![value.take()]);
        }
    }
    for key in ["ExposedPorts", "Volumes"] {
        let Some(Value::Object(entries)) = config.get_mut(key) else {
            continue;
        };
        for value in entries.values_mut().filter(|value| value.is_null()) {
            *value = Value::Object(Map::new());
        }
    }
}

/// Refuses a restart policy that does not exist, in Docker's words and not the decoder's.
fn check_restart_policy(host: &Value) -> Result<(), ApiError> {
    let Some(Value::String(name)) = host.pointer("/RestartPolicy/Name") else {
        return Ok(());
    };
    match name.as_str() {
        "" | "no" | "always" | "on-failure" | "unless-stopped" => Ok(()),
        _ => {
            let shown: String = name.chars().take(80).collect();
            Err(ApiError::invalid(format!(
                "invalid restart policy: unknown policy '{shown}'; use one of 'no', 'always', \
                 'on-failure', or 'unless-stopped'"
            )))
        }
    }
}

/// Drops what clients of a version cannot have meant.
fn forget_newer_fields(host: &mut Value, version: ApiVersion) {
    let Some(host) = host.as_object_mut() else {
        return;
    };
    if !version.at_least(42) {
        host.shift_remove("ConsoleSize");
    }
    if !version.at_least(43) {
        host.shift_remove("Annotations");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<CreateRequest, ApiError> {
        request(None, serde_json::from_str(json).unwrap(), ApiVersion::MAX)
    }

    fn exposed(request: &CreateRequest) -> Vec<&String> {
        request.config.exposed_ports.iter().flatten().collect()
    }

    #[test]
    fn what_the_cli_sends_is_understood() {
        // As the docker CLI 28 sends it for `run -d -p 8080:80 --network blue busybox httpd`.
        let json = r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,
            "AttachStdout":false,"AttachStderr":false,"ExposedPorts":{"80/tcp":{}},"Tty":false,
            "OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":["httpd"],"Image":"busybox",
            "Volumes":{},"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{},
            "HostConfig":{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},
            "NetworkMode":"blue","PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8080"}]},
            "RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,
            "VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,
            "CgroupnsMode":"","Dns":[],"DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,
            "IpcMode":"","Isolation":"","MemorySwappiness":-1,"BlkioDeviceReadBps":[],
            "Devices":[],"Ulimits":null,"MaskedPaths":null},
            "NetworkingConfig":{"EndpointsConfig":{"blue":{"IPAMConfig":{},"Links":null,
            "Aliases":null,"DriverOpts":null,"GwPriority":0,"NetworkID":"","EndpointID":"",
            "Gateway":"","IPAddress":"","MacAddress":"","IPPrefixLen":0,"DNSNames":null}}}}"#;
        let request = read(json).unwrap();
        assert_eq!(request.config.cmd, Some(vec!["httpd".into()]));
        assert_eq!(exposed(&request), ["80/tcp"]);
        assert_eq!(request.host_config.network_mode.as_deref(), Some("blue"));
        assert!(request.endpoints.contains_key("blue"));
        assert_eq!(request.mac_address, None);
    }

    #[test]
    fn other_spellings_are_understood() {
        let request = read(
            r#"{"Cmd":"ls","Entrypoint":"sh","ExposedPorts":{"1/udp":null},"HostConfig":null,
            "NetworkingConfig":{"EndpointsConfig":{"a":null}},"MacAddress":""}"#,
        )
        .unwrap();
        assert_eq!(request.config.cmd, Some(vec!["ls".into()]));
        assert_eq!(request.config.entrypoint, Some(vec!["sh".into()]));
        assert_eq!(exposed(&request), ["1/udp"]);
        assert!(request.endpoints.contains_key("a"));
    }

    #[test]
    fn wrong_types_are_refused() {
        for json in [
            r#"{"Image":1}"#,
            r#"{"Cmd":[1]}"#,
            r#"{"Env":{}}"#,
            r#"{"HostConfig":[]}"#,
            r#"{"HostConfig":"x"}"#,
            r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}"#,
            r#"{"NetworkingConfig":{"EndpointsConfig":[]}}"#,
            r#"{"MacAddress":7}"#,
            r#"{"Labels":{"a":1}}"#,
        ] {
            let error = read(json).unwrap_err();
            assert!(
                error.to_string().starts_with("invalid JSON: "),
                "{json}: {error}"
            );
        }
    }

    #[test]
    fn an_unknown_restart_policy_is_refused_in_docker_words() {
        let error = read(r#"{"HostConfig":{"RestartPolicy":{"Name":"maybe"}}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid restart policy: unknown policy 'maybe'; use one of 'no', 'always', \
             'on-failure', or 'unless-stopped'"
        );
    }
}
