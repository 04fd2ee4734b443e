//! `GET /images/NAME/json` and `/history`

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::shape::complete;
use crate::version::ApiVersion;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, USER_AGENT};
use jiff::Timestamp;
use sealane_images::{HistoryEntry, Image};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    comment: String,
    created: i64,
    created_by: String,
    id: String,
    size: u64,
    /// `null` where an image has no name.
    tags: Option<Vec<String>>,
}

/// Shows all about one image.
pub(crate) async fn inspect(call: Call, name: String) -> Result<Response, ApiError> {
    let driver = call.api.facts().storage_driver.clone();
    let version = call.version;
    let as_once = !version.at_least(45) || is_compose_1(&call.headers);
    let image = call.blocking(move |api| api.images.inspect(&name)).await?;
    let mut shown = wire(image, &driver, version)?;
    if as_once && let Some(fields) = shown.as_object_mut() {
        // Of the container that an image was once made of; nothing is known of one here.
        let of_none = complete(json!({}), &config_template(ApiVersion::new(1, 44)));
        fields.insert("Container".into(), "".into());
        fields.insert("ContainerConfig".into(), of_none);
    }
    Ok(respond::ok(&shown))
}

/// Compose 1 speaks the newest version and reads a field that 1.45 took away; without it, it fails at
/// every change of a service.
fn is_compose_1(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    agent.is_some_and(|agent| agent.starts_with(b"docker-compose/1."))
}

/// Shows how an image was made.
pub(crate) async fn history(call: Call, name: String) -> Result<Response, ApiError> {
    let entries = call.blocking(move |api| api.images.history(&name)).await?;
    Ok(respond::ok(
        &entries.into_iter().map(step).collect::<Vec<_>>(),
    ))
}

fn wire(image: Image, driver: &str, version: ApiVersion) -> Result<Value, ApiError> {
    let config = serde_json::to_value(&image.config)
        .map_err(|error| ApiError::internal(format!("an image could not be shown: {error}")))?;
    let mut shown = json!({
        "Id": image.id.to_string(),
        "RepoTags": image.repo_tags,
        "RepoDigests": image.repo_digests,
        "Comment": image.comment,
        "Created": image.created.map(|time| time.to_string()).unwrap_or_default(),
        "Author": image.author,
        "Config": complete(config, &config_template(version)),
        "Architecture": image.architecture,
        "Variant": image.variant,
        "Os": image.os,
        "Size": image.size,
        "GraphDriver": {"Data": null, "Name": driver},
        "RootFS": {"Type": "layers", "Layers": image.layers},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
    });
    let Some(fields) = shown.as_object_mut() else {
        return Ok(shown);
    };
    if version.at_least(52) {
        fields.retain(|key, value| {
            !(matches!(key.as_str(), "Comment" | "Author") && *value == json!(""))
        });
    } else {
        fields.insert("Parent".into(), "".into());
        fields.insert("DockerVersion".into(), "".into());
    }
    if image.variant.is_empty() {
        fields.shift_remove("Variant");
    }
    if !version.at_least(44) {
        fields.insert("VirtualSize".into(), image.size.into());
    }
    Ok(shown)
}

/// The fields of `Config` that a version shows although they are empty.
fn config_template(version: ApiVersion) -> Value {
    if version.at_least(52) {
        return json!({});
    }
    let empty = json!({
        "User": "",
        "Env": null,
        "Cmd": null,
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": null,
    });
    if version.at_least(50) {
        return empty;
    }
    let container_fields = json!({
        "Hostname": "",
        "Domainname": "",
        "AttachStdin": false,
        "AttachStdout": false,
        "AttachStderr": false,
        "Tty": false,
        "OpenStdin": false,
        "StdinOnce": false,
        "Image": "",
    });
    complete(empty, &container_fields)
}

fn step(entry: HistoryEntry) -> Step {
    Step {
        comment: entry.comment,
        created: entry.created.map_or(0, Timestamp::as_second),
        created_by: entry.created_by,
        id: entry
            .id
            .map_or_else(|| "<missing>".into(), |id| id.to_string()),
        size: entry.size,
        tags: Some(entry.tags).filter(|tags| !tags.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealane_core::model::derive_id;
    use sealane_images::{ImageConfig, ImageId};

    fn image() -> Image {
        Image {
            id: ImageId::from_digest(derive_id(&[b"image"])),
            created: None,
            repo_tags: vec!["busybox:latest".into()],
            repo_digests: Vec::new(),
            size: 7,
            config: ImageConfig {
                cmd: Some(vec!["sh".into()]),
                ..ImageConfig::default()
            },
            architecture: "amd64".into(),
            variant: String::new(),
            os: "linux".into(),
            author: String::new(),
            comment: String::new(),
            layers: Vec::new(),
        }
    }

    #[test]
    fn empty_fields_go_with_1_52() {
        let shown = |minor| wire(image(), "overlay2", ApiVersion::new(1, minor)).unwrap();
        assert_eq!(shown(52)["Config"], json!({"Cmd": ["sh"]}));
        assert!(shown(52).get("Author").is_none());
        assert_eq!(shown(51)["Author"], "");
        assert_eq!(shown(51)["Config"]["Entrypoint"], Value::Null);
        assert!(shown(51)["Config"].get("Hostname").is_none());
        assert_eq!(shown(49)["Config"]["Hostname"], "");
        assert_eq!(shown(43)["VirtualSize"], 7);
    }

    #[test]
    fn compose_1_is_known_by_its_agent() {
        let is = |agent: &'static str| {
            is_compose_1(&HeaderMap::from_iter([(
                USER_AGENT,
                HeaderValue::from_static(agent),
            )]))
        };
        assert!(is("docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1"));
        assert!(!is("Docker-Client/29.0.0 (linux)") && !is("docker-compose/5.0.1"));
        assert!(!is_compose_1(&HeaderMap::new()));
    }
}
