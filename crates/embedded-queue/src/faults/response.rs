//! Faults of whole requests: what happens to the answer on its way.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::injector::Plan;
use super::{Connection, Fault, Injector, Operation, RequestFaults};

/// Pieces of a slow body.
const PIECES: u32 = 10;
/// Between the first half of a body and the cut: time for the half to leave.
const HALF_SENT: Duration = Duration::from_millis(5);
/// What follows the first half of a garbled body: no JSON, no UTF-8.
const GARBAGE: &[u8] = b"\xFF\xFE garbled";

/// Carries a request out with the faults that strike it. `answer` gives status and body; a black hole ends with `stopping`.
pub(crate) async fn carry_out<A>(
    injector: &Injector,
    operation: Operation,
    connection: &Connection,
    stopping: &CancellationToken,
    answer: A,
) -> Response<Body>
where
    A: AsyncFnOnce(RequestFaults<'_>) -> Response<Vec<u8>>,
{
    let Plan { latency, fault } = injector.plan(operation);
    if latency > Duration::ZERO {
        tokio::time::sleep(latency).await;
    }
    let answer = answer(RequestFaults { injector, operation });
    let Some((fault, duration)) = fault else { return answer.await.map(Body::from) };
    injector.note(fault);
    let cut = || {
        connection.cut();
        Response::new(Body::empty())
    };
    match fault {
        Fault::Outage | Fault::CutBefore => cut(),
        Fault::BlackHoleBefore => {
            stopping.cancelled().await;
            cut()
        }
        Fault::Throttle => refused(&REQUEST_THROTTLED),
        Fault::RateExceeded => refused(&RATE_EXCEEDED),
        Fault::Error500 => refused(&INTERNAL_FAILURE),
        Fault::Error503 => refused(&SERVICE_UNAVAILABLE),
        Fault::Bare500 => bare(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Bare503 => bare(StatusCode::SERVICE_UNAVAILABLE),
        Fault::CutAfter => {
            answer.await;
            cut()
        }
        Fault::BlackHoleAfter => {
            answer.await;
            stopping.cancelled().await;
            cut()
        }
        Fault::CutBody => in_pieces(answer.await, |body| {
            let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
            let end = stream::once(async {
                tokio::time::sleep(HALF_SENT).await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            Body::from_stream(stream::once(async { Ok(half) }).chain(end))
        }),
        Fault::GarbledBody => answer.await.map(|mut body| {
            body.truncate(body.len() / 2);
            body.extend_from_slice(GARBAGE);
            Body::from(body)
        }),
        Fault::SlowBody => in_pieces(answer.await, |body| {
            let piece_bytes = body.len().div_ceil(PIECES as usize).max(1);
            let pieces: Vec<_> = body.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
            Body::from_stream(stream::iter(pieces).then(move |piece| async move {
                tokio::time::sleep(duration / PIECES).await;
                Ok::<_, Infallible>(piece)
            }))
        }),
        // These are met elsewhere: before the answer, and message by message.
        Fault::Latency
        | Fault::Duplicate
        | Fault::StaleHandle
        | Fault::FailedEntry
        | Fault::LostDelete
        | Fault::Reorder => answer.await.map(Body::from),
    }
}

/// An error as the service, or what stands before it, sends it: the codes that are common to all services are listed at
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>.
struct Refusal {
    status: StatusCode,
    shape: &'static str,
    /// Code and party at fault, as in the query protocol.
    query_error: &'static str,
    message: &'static str,
}

const REQUEST_THROTTLED: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    shape: "com.amazonaws.sqs#RequestThrottled",
    query_error: "RequestThrottled;Sender",
    message: "the request was denied due to request throttling",
};
const RATE_EXCEEDED: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    shape: "com.amazon.coral.availability#ThrottlingException",
    query_error: "ThrottlingException;Sender",
    message: "Rate exceeded",
};
const INTERNAL_FAILURE: Refusal = Refusal {
    status: StatusCode::INTERNAL_SERVER_ERROR,
    shape: "com.amazon.coral.service#InternalFailure",
    query_error: "InternalFailure;Receiver",
    message: "the request failed because of an unknown error",
};
const SERVICE_UNAVAILABLE: Refusal = Refusal {
    status: StatusCode::SERVICE_UNAVAILABLE,
    shape: "com.amazon.coral.service#ServiceUnavailableException",
    query_error: "ServiceUnavailable;Receiver",
    message: "the request failed because the service is not available",
};

fn refused(refusal: &Refusal) -> Response<Body> {
    let body = serde_json::json!({ "__type": refusal.shape, "message": refusal.message }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amzn-query-error", HeaderValue::from_static(refusal.query_error));
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The answer with its body sent as `body` says, and announced at its full length, so that a client knows what it lacks.
fn in_pieces(answer: Response<Vec<u8>>, body: impl FnOnce(Vec<u8>) -> Body) -> Response<Body> {
    let length = answer.body().len();
    let mut response = answer.map(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}
