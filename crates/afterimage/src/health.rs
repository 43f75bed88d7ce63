//! The health page of a worker: is it alive, can it work, what has it done. See [`health_pages`].

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use afterimage_api::{Vitals, health_pages};
use afterimage_consumer::{Health, Unhealthy};
use afterimage_telemetry::Metrics;
use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The page while it is served; it ends when this drops.
pub(crate) struct HealthPage {
    address: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl HealthPage {
    /// Listens and serves.
    pub(crate) async fn start(listen: SocketAddr, health: Arc<Health>, metrics: Metrics) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; --listen names another address"))?;
        let address = listener.local_addr()?;
        let (live, ready) = (Arc::clone(&health), health);
        let said = |verdict: Result<(), Unhealthy>| verdict.map_err(|reason| reason.to_string());
        let vitals = Vitals::new(move || said(live.live()), move || said(ready.ready()));
        let server = tokio::spawn(axum::serve(listener, health_pages(vitals, metrics)).into_future());
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
