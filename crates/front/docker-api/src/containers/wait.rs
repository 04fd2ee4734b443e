//! `POST /containers/NAME/wait`

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use sealane_containers::{Exit, WaitCondition};
use serde::Serialize;
use std::future::ready;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Waited {
    status_code: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<WaitError>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WaitError {
    message: String,
}

/// Answers at once that it waits, and tells the exit code when there is one: clients start the
/// container only when they have seen the answer's head.
pub(crate) async fn wait(call: Call, name: String) -> Result<Response, ApiError> {
    let at_once = call.version.at_least(30);
    let condition = match call.query.text("condition").filter(|_| at_once) {
        None | Some("not-running") => WaitCondition::NotRunning,
        Some("next-exit") => WaitCondition::NextExit,
        Some("removed") => WaitCondition::Removed,
        Some(other) => {
            let shown: String = other.chars().take(80).collect();
            return Err(ApiError::invalid(format!("invalid condition: {shown:?}")));
        }
    };
    let waiter = call
        .blocking(move |api| api.containers.wait(&name, condition))
        .await?;
    if !at_once {
        let exit = waiter
            .await
            .ok_or_else(|| ApiError::internal("the daemon is ending"))?;
        return Ok(respond::ok(&wire(exit)));
    }
    // Should the daemon end first, the answer stays empty, which clients take for an error.
    let body = stream::once(waiter.map(|exit| exit.and_then(encode))).filter_map(ready);
    Ok(respond::stream("application/json", body))
}

fn encode(exit: Exit) -> Option<Bytes> {
    let mut bytes = serde_json::to_vec(&wire(exit)).ok()?;
    bytes.push(b'\n');
    Some(bytes.into())
}

fn wire(exit: Exit) -> Waited {
    Waited {
        status_code: exit.code,
        error: exit.error.map(|message| WaitError { message }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_its_code_and_what_went_wrong() {
        let shown = |exit| String::from_utf8(encode(exit).unwrap().to_vec()).unwrap();
        assert_eq!(
            shown(Exit {
                code: 137,
                error: None
            }),
            "{\"StatusCode\":137}\n"
        );
        let failed = Exit {
            code: 0,
            error: Some("busy".into()),
        };
        assert_eq!(
            shown(failed),
            "{\"StatusCode\":0,\"Error\":{\"Message\":\"busy\"}}\n"
        );
    }
}
