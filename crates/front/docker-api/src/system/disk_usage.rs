//! `GET /system/df`: how much is stored, in images and by how many containers.

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use crate::version::ApiVersion;
use serde_json::{Value, json};

/// What is counted.
struct Usage {
    images: usize,
    image_bytes: u64,
    containers: usize,
    running: usize,
}

/// Tells how much is stored. Layers and writable files are not measured one by one.
pub(crate) async fn disk_usage(call: Call) -> Result<Response, ApiError> {
    let usage = call
        .blocking(|api| {
            let images = api.images.list()?;
            let counts = api.containers.counts();
            Ok::<_, ApiError>(Usage {
                images: images.len(),
                image_bytes: images.iter().map(|image| image.size).sum(),
                containers: counts.total,
                running: counts.running,
            })
        })
        .await?;
    Ok(respond::ok(&wire(&usage, call.version)))
}

fn wire(usage: &Usage, version: ApiVersion) -> Value {
    if !version.at_least(52) {
        return json!({
            "LayersSize": usage.image_bytes,
            "Images": [],
            "Containers": [],
            "Volumes": [],
            "BuildCache": [],
        });
    }
    let counted = |total: usize, active: usize, bytes: u64| {
        json!({
            "ActiveCount": active,
            "TotalCount": total,
            "Reclaimable": 0,
            "TotalSize": bytes,
        })
    };
    json!({
        "ImageUsage": counted(usage.images, 0, usage.image_bytes),
        "ContainerUsage": counted(usage.containers, usage.running, 0),
        "VolumeUsage": counted(0, 0, 0),
        "BuildCacheUsage": counted(0, 0, 0),
    })
}
