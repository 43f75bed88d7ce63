//! A collector, over HTTP: spans as protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_util::sync::CancellationToken;

use super::settings::TraceSettings;

/// Largest answer that is read: it is empty, or counts what was refused.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Times that a batch is sent: a collector that is restarted comes back soon.
const ATTEMPTS_MAX: u32 = 3;
/// Before it is sent again, times the attempts made. More spans wait meanwhile, as far as there is room.
const PAUSE: Duration = Duration::from_secs(1);

/// Where spans are posted to.
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Uri,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    timeout: Duration,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("no connection: {0}")]
    Unreachable(String),
}

impl Collector {
    pub(super) fn new(settings: &TraceSettings, resource: &Resource) -> Result<Self, std::io::Error> {
        // Authorities are read where they are needed: plain HTTP must work where there are none.
        let roots = ClientConfig::builder();
        let tls = if settings.endpoint.scheme_str() == Some("https") {
            roots.with_native_roots()?
        } else {
            roots.with_root_certificates(RootCertStore::empty())
        };
        let tls = tls.with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let mut headers = settings.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: settings.endpoint.clone(),
            headers,
            resource: resource.into(),
            timeout: settings.timeout,
        })
    }

    /// Sends a batch; how many spans of it the collector refused. What may pass is tried again, unless there is no time
    /// for it.
    pub(super) async fn export(&self, batch: Vec<SpanData>, stop: &CancellationToken) -> Result<usize, ExportError> {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let mut attempts = 0;
        loop {
            attempts += 1;
            let result = match tokio::time::timeout(self.timeout, self.post(body.clone())).await {
                Ok(result) => result,
                Err(_) => Err(ExportError::Silent(self.timeout)),
            };
            match result {
                Err(error) if error.may_pass() && attempts < ATTEMPTS_MAX && !stop.is_cancelled() => {
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE * attempts) => {}
                        () = stop.cancelled() => {}
                    }
                }
                result => return result,
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<usize, ExportError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = self.client.request(request).await.map_err(|error| ExportError::Unreachable(cause(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(ExportError::Status(status));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        // What it says of single spans is worth a count and nothing more: it has them.
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let refused = ExportTraceServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
        Ok(refused.map_or(0, |refused| usize::try_from(refused.rejected_spans).unwrap_or(0)))
    }
}

impl ExportError {
    /// By the specification; everything else is for good.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Silent(_) | Self::Unreachable(_) => true,
        }
    }
}

/// The first that says why is the last of the chain.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
