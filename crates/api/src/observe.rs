//! What happens around every request: its id, its line in the log, its time, and the end of what is too long or panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use afterimage_telemetry::MetricsError;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use prometheus::{HistogramOpts, HistogramVec, IntGauge, Registry};
use tracing::Instrument;

use crate::request_id::{RequestId, X_REQUEST_ID};
use crate::{Problem, ProblemKind};

/// Longest URL: every record of one question fits, and proxies refuse longer ones anyway.
const URL_BYTES_MAX: usize = 16 << 10;
/// The label of what is no route: no caller can make series up.
const OTHER: &str = "other";

/// From a key lookup to the longest that a request may take.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What is measured of requests.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl HttpMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, MetricsError> {
        let opts = HistogramOpts::new(
            "afterimage_http_request_duration_seconds",
            "From a request's head to its answer's head (an export goes on after that)",
        );
        let durations = HistogramVec::new(opts.buckets(BUCKETS.to_vec()), &["method", "route", "status"])?;
        let in_flight = IntGauge::new("afterimage_http_requests_in_flight", "Requests whose answer has not begun")?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self { durations, in_flight })
    }
}

/// Counts down also where a caller goes away before the answer.
struct InFlight(IntGauge);

impl InFlight {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(crate) async fn observe(State(metrics): State<HttpMetrics>, mut request: Request, next: Next) -> Response {
    let (began, _in_flight) = (Instant::now(), InFlight::new(&metrics.in_flight));
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        _ => OTHER,
    };
    let route = request.extensions().get::<MatchedPath>().map_or(OTHER, MatchedPath::as_str).to_owned();

    let span = tracing::info_span!("request", request_id = id.as_str());
    let mut response = answer(request, next).instrument(span.clone()).await;

    let headers = response.headers_mut();
    if let Some(id) = id.header() {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let (status, elapsed) = (response.status(), began.elapsed());
    metrics.durations.with_label_values(&[method, &route, status.as_str()]).observe(elapsed.as_secs_f64());
    if route.starts_with("/v1/") || route == OTHER {
        // Not the URL: the ids and addresses in it are for the trail, not for the log.
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| tracing::info!(method, route, status = status.as_u16(), duration_ms, "answered"));
    }
    response
}

async fn answer(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if length > URL_BYTES_MAX {
        let detail = format!("{length} bytes, at most {URL_BYTES_MAX} are read; ask about fewer records at once");
        return Problem::new(ProblemKind::UrlTooLong, detail).into_response();
    }
    // A request that panics must not look like a network failure to its caller, nor be missing in the metrics.
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("answering panicked; this is a defect of afterimage, please report it");
        Problem::new(ProblemKind::Internal, "a defect of the server; its log says more, under this request id")
            .into_response()
    })
}
