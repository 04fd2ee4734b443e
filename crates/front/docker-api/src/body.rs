//! Request bodies: bounded, and decoded with Docker's errors.

use crate::error::ApiError;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The body of a request, as it arrives.
pub(crate) type RequestBody = BoxBody<Bytes, hyper::Error>;

/// The largest JSON body that is read. A container with thousands of ports takes well under it.
const MAX_JSON_BYTES: usize = 8 << 20;

/// No body.
pub(crate) fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Decodes a body that is JSON; an empty one is `None`.
pub(crate) fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Option<T>, ApiError> {
    check_type(headers, bytes.is_empty())?;
    if bytes.is_empty() {
        Ok(None)
    } else {
        decode(bytes).map(Some)
    }
}

/// Decodes one JSON object and refuses what follows it.
fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::invalid(
            "invalid JSON: got EOF while reading request body",
        ));
    }
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let value = match stream.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) => return Err(invalid_json(&error)),
        None => {
            return Err(ApiError::invalid(
                "invalid JSON: got EOF while reading request body",
            ));
        }
    };
    if bytes[stream.byte_offset()..]
        .iter()
        .any(|byte| !byte.is_ascii_whitespace())
    {
        return Err(ApiError::invalid("unexpected content after JSON"));
    }
    // The derived decoders would take an array for an object; `null` is an empty one in Go.
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(ApiError::invalid("invalid JSON: an object is expected"));
        }
    };
    serde_json::from_value(Value::Object(fields)).map_err(|error| invalid_json(&error))
}

fn invalid_json(error: &serde_json::Error) -> ApiError {
    let text: String = error.to_string().chars().take(400).collect();
    ApiError::invalid(format!("invalid JSON: {text}"))
}

/// Refuses a body that says it is something else than JSON.
fn check_type(headers: &HeaderMap, empty: bool) -> Result<(), ApiError> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return match empty {
            true => Ok(()),
            false => Err(ApiError::invalid(
                "malformed Content-Type header (): mime: no media type".to_string(),
            )),
        };
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let shown: String = text.chars().take(200).collect();
    Err(ApiError::invalid(format!(
        "unsupported Content-Type header ({shown}): must be 'application/json'"
    )))
}

/// Reads a whole body of bounded size.
pub(crate) async fn collect(body: RequestBody) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_JSON_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::invalid(format!(
            "the request body is larger than {MAX_JSON_BYTES} bytes"
        ))),
        Err(error) => Err(ApiError::invalid(format!(
            "the request body broke off: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(rename = "Name")]
        _name: String,
    }

    fn refusal(text: &str) -> String {
        decode::<Sample>(text.as_bytes())
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn broken_json_is_refused_in_docker_words() {
        for text in [
            "{",
            "nope",
            "{\"Name\":}",
            "{\"Name\":1}",
            "[]",
            "\"x\"",
            "\u{0}",
            "{\"a\":1e999}",
        ] {
            assert!(
                refusal(text).starts_with("invalid JSON: "),
                "{text:?}: {}",
                refusal(text)
            );
        }
        assert_eq!(
            refusal("  "),
            "invalid JSON: got EOF while reading request body"
        );
        assert_eq!(
            refusal("{\"Name\":\"a\"} x"),
            "unexpected content after JSON"
        );
        assert_eq!(
            refusal("{\"Name\":\"a\"}{}"),
            "unexpected content after JSON"
        );
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = "[".repeat(100_000);
        assert!(refusal(&deep).starts_with("invalid JSON: "));
    }

    #[test]
    fn a_name_may_be_long() {
        let text = format!("{{\"Name\":\"{}\"}}\n", "x".repeat(10_000));
        decode::<Sample>(text.as_bytes()).expect("decodes");
    }
}
