//! The page of a worker: is it alive, can it work, what has it done.
//!
//! | path | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process makes progress or waits for good reason, else 503: restart it |
//! | `GET /readyz` | 200 while queue and store answer, else 503 with the reason: leave it alone |
//! | `GET /metrics` | Prometheus text |

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use afterimage_consumer::{Health, Unhealthy};
use afterimage_telemetry::Metrics;
use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The page while it is served; it ends when this drops.
pub(crate) struct HealthPage {
    address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

/// What the page shows.
#[derive(Clone)]
struct Shown {
    health: Arc<Health>,
    metrics: Metrics,
}

impl HealthPage {
    /// Listens and serves.
    pub(crate) async fn start(listen: SocketAddr, health: Arc<Health>, metrics: Metrics) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; --listen names another address"))?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics_text))
            .with_state(Shown { health, metrics });
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, server })
    }

    /// Where it listens: the port is chosen by the system where 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HealthPage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn healthz(State(shown): State<Shown>) -> Response {
    verdict(shown.health.live())
}

async fn readyz(State(shown): State<Shown>) -> Response {
    verdict(shown.health.ready())
}

fn verdict(verdict: Result<(), Unhealthy>) -> Response {
    match verdict {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics_text(State(shown): State<Shown>) -> Response {
    match shown.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
