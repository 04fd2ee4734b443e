//! `GET /system/df`: how much is stored, in images and by how many containers.

use crate::call::Call;
use crate::error::ApiError;
use crate::filters::Filters;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use crate::{containers, images};
use sealane_containers::ListOptions;
use serde_json::{Value, json};

/// What is stored.
struct Usage {
    images: Value,
    image_count: usize,
    image_bytes: u64,
    containers: Vec<Value>,
    running: usize,
}

/// Tells how much is stored. Layers and writable files are not measured one by one.
pub(crate) async fn disk_usage(call: Call) -> Result<Response, ApiError> {
    let version = call.version;
    let usage = call
        .blocking(move |api| {
            let stored = api.images.list()?;
            let images = images::summaries(api, Filters::default(), version)?;
            let all = ListOptions {
                all: true,
                ..ListOptions::default()
            };
            Ok::<_, ApiError>(Usage {
                images: json!(images),
                image_count: stored.len(),
                image_bytes: stored.iter().map(|image| image.size).sum(),
                containers: containers::summaries(api, &all, version)?,
                running: api.containers.counts().running,
            })
        })
        .await?;
    let verbose = call.query.flag("verbose");
    Ok(respond::ok(&wire(usage, version, verbose)))
}

fn wire(usage: Usage, version: ApiVersion, verbose: bool) -> Value {
    if !version.at_least(52) {
        return json!({
            "LayersSize": usage.image_bytes,
            "Images": usage.images,
            "Containers": usage.containers,
            "Volumes": [],
            "BuildCache": [],
        });
    }
    let counted = |total: usize, active: usize, bytes: u64, items: Value| {
        let mut counted = json!({
            "ActiveCount": active,
            "TotalCount": total,
            "Reclaimable": 0,
            "TotalSize": bytes,
        });
        if verbose {
            counted["Items"] = items;
        }
        counted
    };
    let count = usage.containers.len();
    json!({
        "ImageUsage": counted(usage.image_count, 0, usage.image_bytes, usage.images),
        "ContainerUsage": counted(count, usage.running, 0, json!(usage.containers)),
        "VolumeUsage": counted(0, 0, 0, json!([])),
        "BuildCacheUsage": counted(0, 0, 0, json!([])),
    })
}
