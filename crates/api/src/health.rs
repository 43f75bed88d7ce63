//! Is the process alive, can it work, what has it done.
//!
//! | path | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process makes progress or waits for good reason, else 503: restart it |
//! | `GET /readyz` | 200 while it can do its work, else 503 with the reason: leave it alone |
//! | `GET /metrics` | Prometheus text |

use std::sync::Arc;

use afterimage_telemetry::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Why not, in words.
pub type Verdict = Result<(), String>;

/// What a process says of itself. Asked often: each answer must be at hand.
#[derive(Clone)]
pub struct Vitals {
    live: Arc<dyn Fn() -> Verdict + Send + Sync>,
    ready: Arc<dyn Fn() -> Verdict + Send + Sync>,
}

impl Vitals {
    /// `live`: would a restart help? `ready`: can it do its work?
    #[must_use]
    pub fn new(
        live: impl Fn() -> Verdict + Send + Sync + 'static,
        ready: impl Fn() -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self { live: Arc::new(live), ready: Arc::new(ready) }
    }
}

#[derive(Clone)]
struct Shown {
    vitals: Vitals,
    metrics: Metrics,
}

/// The three pages.
pub fn health_pages(vitals: Vitals, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(async |State(shown): State<Shown>| verdict((shown.vitals.live)())))
        .route("/readyz", get(async |State(shown): State<Shown>| verdict((shown.vitals.ready)())))
        .route("/metrics", get(metrics_text))
        .with_state(Shown { vitals, metrics })
}

fn verdict(verdict: Verdict) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    match verdict {
        Ok(()) => (StatusCode::OK, no_store, "ok\n".to_owned()).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, no_store, format!("{reason}\n")).into_response(),
    }
}

async fn metrics_text(State(shown): State<Shown>) -> Response {
    match shown.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
