//! One request on its way: what was asked, and the means to answer it.

use crate::api::Api;
use crate::body::{self, RequestBody};
use crate::error::ApiError;
use crate::query::Query;
use crate::version::ApiVersion;
use hyper::HeaderMap;
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tracing::Span;

/// A request, its path taken apart.
pub(crate) struct Call {
    /// What answers it.
    pub(crate) api: Arc<Api>,
    /// The version that the client speaks.
    pub(crate) version: ApiVersion,
    /// Its query.
    pub(crate) query: Query,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: RequestBody,
    /// The connection, for those who take it over.
    pub(crate) upgrade: Option<OnUpgrade>,
}

impl Call {
    /// Decodes the body; an empty one is an empty object.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        let bytes = body::collect(self.take_body()).await?;
        match body::json(&self.headers, &bytes)? {
            Some(value) => Ok(value),
            None => serde_json::from_str("{}")
                .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}"))),
        }
    }

    /// Refuses clients that are older than a route, which is spelled as Docker spells it.
    pub(crate) fn requires(&self, minor: u32, route: &str) -> Result<(), ApiError> {
        match self.version.at_least(minor) {
            true => Ok(()),
            false => Err(ApiError::invalid(format!(
                "{route} requires minimum API version 1.{minor}"
            ))),
        }
    }

    /// Takes the body, and leaves an empty one.
    pub(crate) fn take_body(&mut self) -> RequestBody {
        std::mem::replace(&mut self.body, body::empty())
    }

    /// As [`Self::blocking`], but begins only when it is awaited.
    pub(crate) fn blocking_later<T, E, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, ApiError>> + Send + use<T, E, W>
    where
        W: FnOnce(&Api) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let api = Arc::clone(&self.api);
        async move { blocking(api, work).await }
    }

    /// Runs what blocks on a thread of its own, so that other clients are not kept waiting.
    pub(crate) fn blocking<T, E, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, ApiError>> + Send + use<T, E, W>
    where
        W: FnOnce(&Api) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        blocking(Arc::clone(&self.api), work)
    }
}

fn blocking<T, E, W>(
    api: Arc<Api>,
    work: W,
) -> impl Future<Output = Result<T, ApiError>> + Send + use<T, E, W>
where
    W: FnOnce(&Api) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<ApiError> + Send + 'static,
{
    let span = Span::current();
    let working = tokio::task::spawn_blocking(move || span.in_scope(|| work(&api)));
    async move {
        match working.await {
            Ok(result) => result.map_err(|error| error.into()),
            // The panic itself is in the log already: the hook wrote it.
            Err(_) => Err(ApiError::internal(
                "the daemon failed at this request; see its log",
            )),
        }
    }
}
