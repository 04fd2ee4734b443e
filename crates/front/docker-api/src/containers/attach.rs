//! `POST /containers/NAME/attach` and `/resize`

use crate::call::Call;
use crate::error::ApiError;
use crate::hijack;
use crate::query::Query;
use crate::respond::{self, Response};
use hyper::StatusCode;
use sealane_containers::{AttachOptions, DetachKeys, TerminalSize};

/// Joins the client to a container's streams.
pub(crate) async fn attach(call: Call, name: String) -> Result<Response, ApiError> {
    let keys = call.query.text("detachKeys").unwrap_or_default();
    let detach_keys = DetachKeys::parse(keys)
        .ok_or_else(|| ApiError::invalid(format!("Invalid detach keys ({keys}) provided")))?;
    let options = AttachOptions {
        logs: call.query.flag("logs"),
        stream: call.query.flag("stream"),
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        detach_keys,
    };
    let attached = call
        .blocking(move |api| api.containers.attach(&name, options))
        .await?;
    Ok(hijack::join(call, attached))
}

/// Tells a container's terminal its size.
pub(crate) async fn resize(call: Call, name: String) -> Result<Response, ApiError> {
    let size = terminal_size(&call.query)?;
    call.blocking(move |api| api.containers.resize(&name, size))
        .await?;
    Ok(respond::empty(StatusCode::OK))
}

/// Reads the parameters `h` and `w`.
pub(crate) fn terminal_size(query: &Query) -> Result<TerminalSize, ApiError> {
    Ok(TerminalSize {
        height: dimension(query, "h", "height")?,
        width: dimension(query, "w", "width")?,
    })
}

fn dimension(query: &Query, key: &str, word: &str) -> Result<u16, ApiError> {
    let text = query.text(key).unwrap_or_default();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let refused = |why| {
        let shown: String = text.chars().take(80).collect();
        ApiError::invalid(format!("invalid resize {word} {shown:?}: {why}"))
    };
    if !is_number {
        return Err(refused("invalid syntax"));
    }
    let number: u32 = text.parse().map_err(|_| refused("value out of range"))?;
    // The kernel has 16 bits for it; no terminal is larger.
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_numbers() {
        let read = |text| terminal_size(&Query::parse(text).unwrap());
        assert_eq!(
            read("h=24&w=80").unwrap(),
            TerminalSize {
                height: 24,
                width: 80
            }
        );
        assert_eq!(
            read("h=70000&w=0").unwrap(),
            TerminalSize {
                height: u16::MAX,
                width: 0
            }
        );
        let refusal = |text| read(text).unwrap_err().to_string();
        assert_eq!(
            refusal("w=80"),
            "invalid resize height \"\": invalid syntax"
        );
        assert_eq!(
            refusal("h=-1&w=80"),
            "invalid resize height \"-1\": value out of range"
        );
        assert_eq!(
            refusal("h=1&w=99999999999"),
            "invalid resize width \"99999999999\": value out of range"
        );
    }
}
