//! The readers of what clients send, by themselves: for the fuzz targets, and nothing else.
//!
//! Each checks what has to hold of every refusal: that it is the client's fault, in a short text.

use crate::body;
use crate::containers::{UpdateBody, request, settings_of};
use crate::error::ApiError;
use crate::exec;
use crate::filters::Filters;
use crate::networks::{ConnectBody, CreateBody, UpdateBody as NetworkUpdateBody};
use crate::own::PlanBody;
use crate::query::{Query, decode};
use crate::request_line::encode_line;
use crate::route::find;
use crate::time;
use crate::version::ApiVersion;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Debug;

/// What was read, as it is shown for debugging; or the text of the refusal.
pub type Outcome = Result<String, String>;

/// The longest text of a refusal: what is wrong is shown, not sent back whole.
const LONGEST: usize = 1000;

/// The body of `POST /containers/create`.
pub fn container(json: &[u8]) -> Outcome {
    let body: Result<Map<String, Value>, ApiError> = read(json);
    let versions = [ApiVersion::MAX, ApiVersion::FLOOR];
    let requests = versions.map(|version| {
        let body = body.as_ref().map_err(copy)?.clone();
        request(None, body, version)
    });
    outcome(requests.into_iter().collect::<Result<Vec<_>, _>>())
}

/// The body of `POST /networks/create`.
pub fn network(json: &[u8]) -> Outcome {
    let body: Result<CreateBody, ApiError> = read(json);
    outcome(body.map(|body| body.into_request(ApiVersion::MAX)))
}

/// The body of `POST /networks/NAME/connect`.
pub fn connect(json: &[u8]) -> Outcome {
    let body: Result<ConnectBody, ApiError> = read(json);
    outcome(body.map(|body| settings_of(body.endpoint_config, ApiVersion::MAX)))
}

/// The body of `POST /networks/NAME/update`.
pub fn network_update(json: &[u8]) -> Outcome {
    let body: Result<NetworkUpdateBody, ApiError> = read(json);
    outcome(body.map(NetworkUpdateBody::into_change))
}

/// The body of `POST /containers/NAME/update`.
pub fn container_update(json: &[u8]) -> Outcome {
    outcome(read::<UpdateBody>(json))
}

/// The body of `POST /containers/NAME/exec`.
pub fn exec(json: &[u8]) -> Outcome {
    outcome(read(json).and_then(|body| exec::request(body, ApiVersion::MAX)))
}

/// The body of `POST /sealane/plan`.
pub fn plan(json: &[u8]) -> Outcome {
    outcome(read::<PlanBody>(json))
}

/// A query, with every kind of parameter that requests have.
pub fn query(text: &str) -> Outcome {
    let query = match Query::parse(text) {
        Ok(query) => query,
        Err(error) => return outcome::<()>(Err(error)),
    };
    let numbers = outcome(query.integer("limit"));
    let now = Timestamp::UNIX_EPOCH;
    let times = outcome(time::optional(query.text("since"), now));
    let found = (query.flag("all"), numbers, times, filters(&query));
    Ok(format!("{found:?}"))
}

fn filters(query: &Query) -> Outcome {
    let filters = Filters::unchecked(query);
    if let Ok(filters) = &filters {
        for key in filters.0.keys() {
            filters.pattern(key, "any");
            outcome(filters.single(key)).err();
        }
    }
    outcome(filters)
}

/// The first line of a request: what of it may not stand in a URL is encoded, and nothing else.
pub fn request_line(bytes: &[u8]) -> Outcome {
    let encoded = encode_line(bytes);
    assert_eq!(encode_line(&encoded), encoded, "it is encoded already");
    let line = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n')
            .next()
            .map(<[u8]>::to_vec)
    };
    let text = |bytes: &[u8]| String::from_utf8(line(bytes).unwrap_or_default());
    let (Ok(before), Ok(after)) = (text(bytes), text(&encoded)) else {
        return Err("it is not UTF-8".into());
    };
    let mut words = after.split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let path = decode(path, false);
    if let Ok(decoded) = decode(&before, false) {
        let again = decode(&after, false).map_err(|error| error.to_string());
        assert_eq!(again.as_ref(), Ok(&decoded), "of {before:?}");
    }
    let method = Method::from_bytes(method.unwrap_or_default().as_bytes());
    let method = method.map_err(|error| error.to_string())?;
    outcome(path.map(|path| find(&method, &path)))
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    let body = body::json(&headers, json)?;
    body.ok_or_else(|| ApiError::invalid("no body"))
}

fn copy(error: &ApiError) -> ApiError {
    ApiError::new(error.class(), error.to_string())
}

fn outcome<T: Debug>(result: Result<T, ApiError>) -> Outcome {
    let error = match result {
        Ok(found) => return Ok(format!("{found:?}")),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(error.status().is_client_error(), "{text}");
    assert!(text.len() <= LONGEST, "{} bytes: {text}", text.len());
    Err(text)
}
