//! `GET /networks/NAME`

use super::wire;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{self, Response};

/// Shows one network with those who joined it.
pub(crate) async fn inspect(call: Call, name: String) -> Result<Response, ApiError> {
    let verbose = verbose(call.query.text("verbose"))?;
    let scope = call.query.text("scope").map(str::to_owned);
    let version = call.version;
    let asked = name.clone();
    let view = call.blocking(move |api| api.engine.network(&asked)).await?;
    if scope.is_some_and(|scope| scope != view.network.spec.scope.to_string()) {
        return Err(ApiError::not_found(format!("network {name} not found")));
    }
    Ok(respond::ok(&wire::inspect(&view, version, verbose)))
}

/// Reads a switch by Go's rules, which know fewer words than Docker's other switches.
fn verbose(text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some(other) => {
            let shown: String = other.chars().take(80).collect();
            Err(ApiError::invalid(format!(
                "invalid value for verbose: {shown}: strconv.ParseBool: parsing \"{shown}\": \
                 invalid syntax"
            )))
        }
    }
}
