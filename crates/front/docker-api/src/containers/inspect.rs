//! `GET /containers/NAME/json` and `/top`

use super::{answer, wire};
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use bollard_stubs::models::ContainerTopResponse;

/// Shows all about one container. The parameter `size` is taken and changes nothing.
pub(crate) async fn inspect(call: Call, name: String) -> Result<Response, ApiError> {
    let version = call.version;
    let shown = call
        .blocking(move |api| {
            let model = answer::inspection(api.containers.inspect(&name)?);
            let shown = wire::inspect(&model, version)?;
            let mac = api.containers.wished_mac(&name)?;
            Ok::<_, ApiError>(wire::with_mac(shown, mac, version))
        })
        .await?;
    Ok(respond::ok(&shown))
}

/// Shows the processes in a container.
pub(crate) async fn top(call: Call, name: String) -> Result<Response, ApiError> {
    let arguments = call.query.text("ps_args").map(str::to_owned);
    let top = call
        .blocking(move |api| api.containers.top(&name, arguments.as_deref()))
        .await?;
    Ok(respond::ok(&ContainerTopResponse {
        titles: Some(top.titles),
        processes: Some(top.processes),
    }))
}
