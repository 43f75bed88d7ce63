//! A client that sees what is on the wire: an SDK would retry, and hide how an answer went wrong.

use std::net::SocketAddr;
use std::time::Duration;

use afterimage_embedded_queue::{EmbeddedQueue, Operation};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// After so long without an answer there will be none: long enough for any machine that is only busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A complete answer.
    Answer(Answer),
    /// The connection ended before the answer was complete; so many bytes of its body had come, if its head had.
    Cut(Option<usize>),
    /// Nothing came.
    Silence,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Outcome {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Answer(answer) => answer,
            other => panic!("an answer was expected: {other:?}"),
        }
    }

    pub(crate) fn is_ok(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.status == 200 && answer.json().is_object())
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(queue: &EmbeddedQueue, operation: Operation, body: Value) -> Outcome {
    ask_for(PATIENCE, queue.address(), operation, body).await
}

/// [`ask`] with another patience (where silence is expected, it need not be awaited long), and of an endpoint that may end.
pub(crate) async fn ask_for(patience: Duration, address: SocketAddr, operation: Operation, body: Value) -> Outcome {
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: AmazonSQS.{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        address,
        operation.name(),
        body.len()
    );
    let Ok(mut stream) = TcpStream::connect(address).await else { return Outcome::Cut(None) };
    // A connection that is cut as it comes may refuse the request already.
    if stream.write_all(request.as_bytes()).await.is_err() {
        return Outcome::Cut(None);
    }
    let mut came = Vec::new();
    loop {
        match timeout(patience, stream.read_buf(&mut came)).await {
            Err(_) if came.is_empty() => return Outcome::Silence,
            Err(_) => panic!("an answer stopped half way without an end"),
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
        }
    }
    let Some(head_end) = came.windows(4).position(|four| four == b"\r\n\r\n") else { return Outcome::Cut(None) };
    let head = String::from_utf8(came[..head_end].to_vec()).unwrap();
    let body = came.split_off(head_end + 4);
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    if announced.is_some_and(|length: usize| length > body.len()) {
        return Outcome::Cut(Some(body.len()));
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Outcome::Answer(Answer { status, head, body })
}
