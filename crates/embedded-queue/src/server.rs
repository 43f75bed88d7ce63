//! The HTTP side: one route, the JSON protocol, errors as SDKs read them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::broker::Broker;
use crate::error::Error;
use crate::faults::{self, Connection, FaultCounts, Faults, Injector, Listener, Operation, RequestFaults};
use crate::operations::{self, Request};

/// Longest request: a batch of 1 MiB whose characters may each be a six-byte escape, and room around it.
const REQUEST_BYTES_MAX: usize = 7 * 1024 * 1024;

/// What may be chosen about the endpoint.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes that the messages of all queues may take together; sends beyond are throttled.
    pub bytes_max: usize,
    /// What goes wrong on purpose: nothing, unless a test asks for it.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self { bytes_max: 256 * 1024 * 1024, faults: Faults::none() }
    }
}

/// A running SQS endpoint; it stops when dropped, or orderly by [`EmbeddedQueue::shutdown`].
#[derive(Debug)]
pub struct EmbeddedQueue {
    address: SocketAddr,
    broker: Arc<Broker>,
    injector: Arc<Injector>,
    server: JoinHandle<io::Result<()>>,
}

impl EmbeddedQueue {
    /// Listens on `address` (port 0: any free one) and serves on the current tokio runtime, without any queue yet.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(address, Options::default()).await
    }

    /// [`Self::start`] with other limits.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start_with(address: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let broker = Arc::new(Broker::new(options.bytes_max));
        let injector = Arc::new(Injector::new(options.faults));
        let service = Router::new()
            .fallback(handle)
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Endpoint {
                broker: Arc::clone(&broker),
                injector: Arc::clone(&injector),
                origin: format!("http://{address}").into(),
            })
            .into_make_service_with_connect_info::<Connection>();
        let listener = Listener::new(listener, Arc::clone(&injector));
        let until = broker.stopping.clone().cancelled_owned();
        let server = tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(until).into_future());
        Ok(Self { address, broker, injector, server })
    }

    /// What `AWS_ENDPOINT_URL` is to be: `http://host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address listened on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the queue of that name, whether or not it exists yet.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.endpoint(), crate::broker::ACCOUNT)
    }

    /// Replaces the faults that are injected, for requests from now on; rules count from 1 again.
    pub fn set_faults(&self, faults: Faults) {
        self.injector.set(faults);
    }

    /// How often each fault was injected since the start.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.injector.counts()
    }

    /// Pushes the queues' time forward, as if it had passed: time-outs end, delays and deduplication intervals too, and
    /// messages grow older. Long polls that are open wait that much less.
    pub fn advance(&self, by: Duration) {
        self.broker.clock.advance(by);
    }

    /// Stops listening, ends long polls with an empty answer, and waits until every open request is answered.
    pub async fn shutdown(mut self) {
        self.broker.stopping.cancel();
        // The server ends with an error only when it cannot accept, which is no matter any more.
        (&mut self.server).await.ok();
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        self.broker.stopping.cancel();
        self.server.abort();
    }
}

#[derive(Clone)]
struct Endpoint {
    broker: Arc<Broker>,
    injector: Arc<Injector>,
    /// For requests without a `Host`.
    origin: Arc<str>,
}

async fn handle(
    State(endpoint): State<Endpoint>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Some(operation) = target.strip_prefix("AmazonSQS.").and_then(Operation::named) else {
        return refuse(&Error::UnsupportedOperation(format!("x-amz-target: {target}"))).map(Body::from);
    };
    let answer = async |faults: RequestFaults<'_>| match answer(&endpoint, faults, &headers, body).await {
        Ok(body) => response(StatusCode::OK, body),
        Err(error) => refuse(&error),
    };
    faults::carry_out(&endpoint.injector, operation, &connection, &endpoint.broker.stopping, answer).await
}

async fn answer(
    endpoint: &Endpoint,
    faults: RequestFaults<'_>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Vec<u8>, Error> {
    let body = body.map_err(|_| Error::BodyTooLong(REQUEST_BYTES_MAX))?;
    // Queue URLs name the host that this client reached, which may be another than the one listened on.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = host.map_or_else(|| endpoint.origin.to_string(), |host| format!("http://{host}"));
    operations::call(Request { broker: &endpoint.broker, faults, origin: &origin, body: &body }).await
}

/// Errors need the shape's name in the body and the query code with the party at fault in a header; without the latter
/// SDKs that were built for the query protocol see an error they cannot name.
fn refuse(error: &Error) -> Response<Vec<u8>> {
    let (shape, code) = error.names();
    let body = serde_json::json!({ "__type": format!("com.amazonaws.sqs#{shape}"), "message": error.to_string() });
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = response(status, body.to_string().into_bytes());
    let party = if error.is_sender_fault() { "Sender" } else { "Receiver" };
    if let Ok(value) = HeaderValue::from_str(&format!("{code};{party}")) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

fn response(status: StatusCode, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}
