//! One request on its way to the trail: limits, who asks, what, and in how much time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{RecordQuery, Trail};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::operation::Operation;
use crate::query::Query;
use crate::request_id::RequestId;
use crate::server::Peer;
use crate::{Asked, Gate, Noted, Problem, ProblemKind, Reader};

/// How much is answered at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most questions answered at once; more are refused with 503.
    pub requests_max: usize,
    /// Most exports at once, which are not among those.
    pub exports_max: usize,
    /// Longest wait for an answer, or for the first page of an export.
    pub request_timeout: Duration,
    /// Longest wait for the reader of an export to take more, and for the store to bring more.
    pub stall_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_max: 64,
            exports_max: 4,
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// What all requests share.
pub(crate) struct Desk {
    trail: Trail,
    gate: Arc<dyn Gate>,
    limits: Limits,
    requests: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

/// A question that may be asked: by whom is in its trail.
pub(crate) struct Call {
    /// Obeys the grants of the reader.
    pub(crate) trail: Trail,
    pub(crate) query: Query,
    pub(crate) stall_timeout: Duration,
    path: String,
    /// The right to be answered: it is given back with the call, for an export at the end of the stream.
    _permit: OwnedSemaphorePermit,
}

impl Call {
    /// The record that the path names.
    pub(crate) fn record(&self) -> Result<RecordQuery, Problem> {
        self.query.record(&self.path)
    }
}

impl Desk {
    pub(crate) fn new(trail: Trail, gate: Arc<dyn Gate>, limits: Limits) -> Self {
        let semaphore = |count| Arc::new(Semaphore::new(count));
        let (requests, exports) = (semaphore(limits.requests_max), semaphore(limits.exports_max));
        Self { trail, gate, limits, requests, exports }
    }

    /// Answers a request with what `handler` makes of it, or with a problem.
    pub(crate) async fn answer<F, A>(&self, operation: &'static Operation, request: Request, handler: F) -> Response
    where
        F: FnOnce(Call) -> A,
        A: Future<Output = Result<Response, Problem>>,
    {
        match timeout(self.limits.request_timeout, self.ask(operation, request, handler)).await {
            Ok(Ok(response)) => response,
            Ok(Err(problem)) => problem.into_response(),
            Err(_) => {
                let detail = "ask about less: a shorter time, a narrower filter, a smaller limit";
                Problem::new(ProblemKind::Timeout, detail).into_response()
            }
        }
    }

    /// The trail as this reader may see it, for leave to ask.
    fn trail_for(&self, reader: &Reader, _leave: Noted) -> Trail {
        self.trail.for_reader(reader.grants.clone())
    }

    async fn ask<F, A>(&self, operation: &'static Operation, request: Request, handler: F) -> Result<Response, Problem>
    where
        F: FnOnce(Call) -> A,
        A: Future<Output = Result<Response, Problem>>,
    {
        let (parts, body) = request.into_parts();
        refuse_body(&body)?;
        // First, so that nobody who is not let in takes the place of one who is.
        let reader = self.gate.admit(&parts.headers).await?;
        let query = Query::read(operation, parts.uri.query())?;
        let desk = if query.format().is_some() { &self.exports } else { &self.requests };
        let permit = Arc::clone(desk).try_acquire_owned().map_err(|_| {
            Problem::new(ProblemKind::Unavailable, "as many questions are being answered as may be at once; try again")
        })?;
        let path = parts.uri.path().to_owned();
        let records = query.named(&path)?;
        let is_granted = query.is_granted(&records, &reader.grants);
        let (tenant, subjects, parameters) = (query.tenant(), query.subjects(records), query.parameters());
        let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
        let asked = Asked {
            operation: operation.id,
            uri: &parts.uri,
            tenant: &tenant,
            subjects: &subjects,
            parameters: &parameters,
            is_granted,
            headers: &parts.headers,
            peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
            request_id,
        };
        let noted = self.gate.note(&reader, &asked).await?;
        let trail = self.trail_for(&reader, noted);
        let call = Call { trail, query, stall_timeout: self.limits.stall_timeout, path, _permit: permit };
        handler(call).await
    }
}

/// A question is all in its URL; what comes beside it would be read for nothing.
fn refuse_body(body: &Body) -> Result<(), Problem> {
    if http_body::Body::is_end_stream(body) {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::BodyNotExpected, "send no body: everything stands in the path and the query"))
}

/// An answer of fixed form. Who may see it is checked at each request, so nobody may keep it.
pub(crate) fn json(answer: &impl Serialize) -> Result<Response, Problem> {
    let text = serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::new(ProblemKind::Internal, "the answer cannot be written as JSON")
    })?;
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
