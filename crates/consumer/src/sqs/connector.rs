//! The SDK's HTTP client, with a gate: the body of a receive is read only when the budget has room for it.
//!
//! Between the headers and the first read of the body, the bytes wait in the kernel and with the sender. So however many
//! receives are under way when a queue of small messages turns into one of large messages, what is in memory stays
//! within the budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::budget::{Budget, Permit};
use crate::message::Message;
use crate::queue::BATCH_MAX;

/// An idle connection is closed before the other side closes it: a request on a connection that is being closed fails.
const POOL_IDLE: Duration = Duration::from_secs(15);
/// An answer without messages is not worth waiting for.
const SMALL_BYTES: usize = 1024;
/// A body whose length is not told is reckoned as the largest: ten messages of 1 MiB.
const UNKNOWN_BYTES: usize = BATCH_MAX << 20;

tokio::task_local! {
    /// The receive that the current task is making, if any.
    static RECEIVING: Arc<Receiving>;
}

/// What the connector tells the receive it belongs to.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    answer: Mutex<Option<(Instant, Option<Permit>)>>,
}

impl Receiving {
    /// Makes a call as this receive.
    pub(super) async fn scope<F: Future>(self: &Arc<Self>, call: F) -> F::Output {
        RECEIVING.scope(Arc::clone(self), call).await
    }

    /// Has the answer begun to arrive?
    pub(super) fn has_begun(&self) -> bool {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// When the answer began to arrive, and the room that was made for it.
    pub(super) fn take(&self) -> Option<(Instant, Option<Permit>)> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, at: Instant, permit: Option<Permit>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, permit));
    }
}

/// The SDK's HTTP client behind the gate.
pub(super) fn http_client(budget: Budget, connections_max: usize) -> SharedHttpClient {
    let inner = aws_smithy_http_client::Builder::new()
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(connections_max)
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    SharedHttpClient::new(GatedClient { inner, budget })
}

#[derive(Debug)]
struct GatedClient {
    inner: SharedHttpClient,
    budget: Budget,
}

impl HttpClient for GatedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(GatedConnector { inner, budget: self.budget.clone() })
    }
}

#[derive(Debug)]
struct GatedConnector {
    inner: SharedHttpConnector,
    budget: Budget,
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.inner.call(request);
        // Everything but a receive is answered in a few bytes.
        let Ok(receiving) = RECEIVING.try_with(Arc::clone) else { return answer };
        let budget = self.budget.clone();
        HttpConnectorFuture::new(async move {
            let response = answer.await?;
            let answered_at = Instant::now();
            // From here on the messages are ours: a cancelled wait must not throw them away.
            receiving.put(answered_at, None);
            let body_bytes = response
                .headers()
                .get("content-length")
                .and_then(|length| length.parse::<usize>().ok())
                .unwrap_or(UNKNOWN_BYTES);
            if body_bytes > SMALL_BYTES {
                receiving.put(answered_at, Some(budget.acquire(room_for(body_bytes)).await));
            }
            Ok(response)
        })
    }
}

/// Memory that a body needs while it is read, joined and parsed: three times its length, and once more for what the
/// allocator cannot give back at once. Its messages are reckoned with three times later: a permit never has to grow.
fn room_for(body_bytes: usize) -> usize {
    body_bytes * 4 + BATCH_MAX * Message::weight_of(0, 0)
}
