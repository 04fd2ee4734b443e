//! Spans for a collector of traces: how long each request took, and each step of it.
//!
//! Set up as with every program that speaks OpenTelemetry, by the variables of its specification:
//! nothing is sent unless `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`
//! names a collector. What goes there is OTLP over HTTP, in batches, on a thread of its own: no
//! request waits for it. Start at [`start`].

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thiserror::Error;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// The variables that name a collector; the first is for traces alone.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const CERTIFICATES: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];
/// What the collector calls us, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "sealane";
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last batch may take when the daemon ends.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// Why spans cannot be sent.
#[derive(Debug, Error)]
pub(crate) enum SpansError {
    /// A protocol that is not spoken here.
    #[error(
        "spans are sent by http/protobuf or http/json; set {variable} to one of them, not to \"{value}\""
    )]
    Protocol {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// A certificate that cannot be read.
    #[error("the certificates in {path} (of {variable}) cannot be read")]
    Certificate {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Variables that make no sense.
    #[error("spans cannot be sent as the OTEL_ variables say")]
    Exporter(#[source] Box<opentelemetry_otlp::ExporterBuildError>),
}

/// Sends spans for as long as the daemon runs.
pub(crate) struct Spans(SdkTracerProvider);

impl Spans {
    /// What makes spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer(SERVICE)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_BATCH) {
            tracing::warn!(%error, "the last spans did not reach their collector");
        }
    }
}

/// Begins to send spans, if the environment names a collector.
pub(crate) fn start() -> Result<Option<Spans>, SpansError> {
    if first_of(ENDPOINTS).is_none() || is_off("OTEL_SDK_DISABLED", "true") {
        return Ok(None);
    }
    if is_off("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(protocol()?)
        .with_http_client(Client {
            agent: agent()?,
            failing: AtomicBool::new(false),
        })
        .build()
        .map_err(|error| SpansError::Exporter(Box::new(error)))?;
    let mut resource = Resource::builder();
    if first_of(["OTEL_SERVICE_NAME"]).is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    // Clients tell the span of theirs that a request belongs to (W3C Trace Context).
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Some(Spans(provider)))
}

fn protocol() -> Result<Protocol, SpansError> {
    match first_of(PROTOCOLS) {
        None => Ok(Protocol::HttpBinary),
        Some((_, value)) if value == "http/protobuf" => Ok(Protocol::HttpBinary),
        Some((_, value)) if value == "http/json" => Ok(Protocol::HttpJson),
        Some((variable, value)) => Err(SpansError::Protocol { variable, value }),
    }
}

/// The first of these variables that is set.
fn first_of<const N: usize>(names: [&'static str; N]) -> Option<(&'static str, String)> {
    let mut set = names
        .into_iter()
        .filter_map(|name| Some((name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.is_empty())
}

fn is_off(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|found| found.eq_ignore_ascii_case(value))
}

/// What sends: it trusts the certificates of the variable, or those that browsers trust.
fn agent() -> Result<Agent, SpansError> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false);
    if let Some((variable, path)) = first_of(CERTIFICATES) {
        let read = fs::read(&path).and_then(|pem| certificates(&pem));
        let roots = read.map_err(|source| SpansError::Certificate {
            variable,
            path,
            source,
        })?;
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().new_agent())
}

fn certificates(pem: &[u8]) -> io::Result<RootCerts> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item.map_err(io::Error::other)? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(io::Error::other("there is none in it"));
    }
    Ok(RootCerts::from(found))
}

/// An HTTP client for the thread of the exporter, which may block. It tells in the log when the
/// collector begins and ceases to fail, and not of every batch.
struct Client {
    agent: Agent,
    failing: AtomicBool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (head, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(head, body.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }

    fn tell(&self, failure: Option<String>, collector: &str) {
        let failed = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(error) if !failed => {
                tracing::warn!(collector, error, "spans do not reach their collector");
            }
            None if failed => tracing::info!(collector, "spans reach their collector again"),
            Some(_) | None => {}
        }
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let collector = request.uri().to_string();
        let answer = self.send(request);
        let failure = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        self.tell(failure, &collector);
        Ok(answer?)
    }
}
