//! What each call asks of SQS, as it goes over the wire, and what is made of answers that are cut off or lack something. The
//! other side notes every request, and answers as little as SQS may.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use afterimage_consumer::{Ask, Handle, Queue, QueueErrorKind, SqsQueue, SqsSettings};
use afterimage_json::Raw;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const ASK: Ask = Ask { messages_max: 7, wait: Duration::from_secs(3), lease: Duration::from_secs(45) };

/// A server that notes what it is asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Hangs up on its first requests, `silent` of them, without an answer; the rest it answers with this.
    async fn start(silent: usize, answer: &'static str) -> Self {
        Self::with_status("200 OK", silent, answer).await
    }

    async fn with_status(status: &'static str, silent: usize, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let server = Self { url, asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let asked = Arc::clone(&asked);
                tokio::spawn(serve(stream, status, silent, answer, asked));
            }
        });
        server
    }

    fn queue(&self, name: &str) -> SqsQueue {
        let config = crate::pair::config(&self.url);
        let settings = SqsSettings {
            queue_url: format!("{}/1/{name}", self.url),
            dlq_url: None,
            wait: Duration::from_secs(20),
            bytes_max: 1 << 20,
            connections_max: 4,
        };
        SqsQueue::new(config, settings)
    }

    /// This member of each request, as JSON; none where a request lacks it.
    fn asked(&self, member: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|body| Some(Raw::parse(body).unwrap().get(member)?.as_str().to_owned())).collect()
    }
}

async fn serve(
    stream: TcpStream,
    status: &str,
    silent: usize,
    answer: &str,
    asked: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut body_bytes = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body_bytes = length.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; body_bytes];
        stream.read_exact(&mut body).await.ok()?;
        let count = {
            let mut asked = asked.lock().unwrap();
            asked.push(String::from_utf8(body).unwrap());
            asked.len()
        };
        if count <= silent {
            return None;
        }
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length");
        stream.write_all(format!("{head}: {}\r\n\r\n{answer}", answer.len()).as_bytes()).await.ok()?;
    }
}

fn handle() -> Handle {
    Handle { message_id: "m".into(), receipt: "r".into() }
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[tokio::test]
async fn a_receive_asks_for_a_lease_of_its_own_and_does_not_trust_the_queues() {
    let server = Server::start(0, "{}").await;
    server.queue("q").receive(ASK, &CancellationToken::new()).await.unwrap();
    assert_eq!(server.asked("VisibilityTimeout"), some(&["45"]));
    assert_eq!(server.asked("WaitTimeSeconds"), some(&["3"]));
    assert_eq!(server.asked("MaxNumberOfMessages"), some(&["7"]));
    assert_eq!(server.asked("ReceiveRequestAttemptId"), [None], "a standard queue knows none");
}

#[tokio::test]
async fn a_receive_of_a_fifo_queue_that_is_not_answered_is_asked_again_as_the_same_attempt() {
    let server = Server::start(1, "{}").await;
    let queue = server.queue("q.fifo");
    queue.receive(ASK, &CancellationToken::new()).await.unwrap();
    queue.receive(ASK, &CancellationToken::new()).await.unwrap();
    let attempts = server.asked("ReceiveRequestAttemptId");
    assert_eq!(attempts.len(), 3, "the first was asked twice");
    assert!(attempts[0].is_some() && attempts[0] == attempts[1], "{attempts:?}");
    assert!(attempts[2].is_some() && attempts[2] != attempts[0], "another receive is another attempt");
}

#[tokio::test]
async fn a_receive_of_a_standard_queue_that_is_not_answered_is_left_to_the_core() {
    let server = Server::start(1, "{}").await;
    assert!(server.queue("q").receive(ASK, &CancellationToken::new()).await.is_err());
    assert_eq!(server.asked("WaitTimeSeconds").len(), 1);
}

#[tokio::test]
async fn a_lease_is_extended_by_what_it_should_be_though_the_first_call_is_lost() {
    let server = Server::start(1, r#"{"Successful":[{"Id":"0"}],"Failed":[]}"#).await;
    assert!(server.queue("q").change_visibility(&[handle()], 77).await.unwrap()[0].is_ok());
    let entry = r#"[{"Id":"0","ReceiptHandle":"r","VisibilityTimeout":77}]"#;
    assert_eq!(server.asked("Entries"), some(&[entry, entry]));
}

#[tokio::test]
async fn a_refusal_means_what_its_code_says_however_it_is_spelled() {
    for (answer, kind) in [
        (r#"{"__type":"com.amazonaws.sqs#OverLimit","message":"m"}"#, QueueErrorKind::OverLimit),
        (r#"{"__type":"AWS.SimpleQueueService.OverLimit","message":"m"}"#, QueueErrorKind::OverLimit),
        (r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}"#, QueueErrorKind::Misconfigured),
        (r#"{"__type":"AccessDeniedException","message":"m"}"#, QueueErrorKind::Misconfigured),
        (r#"{"__type":"RequestThrottled","message":"m"}"#, QueueErrorKind::Unavailable),
        (r#"{"__type":"SomethingNew","message":"m"}"#, QueueErrorKind::Unavailable),
    ] {
        let server = Server::with_status("400 Bad Request", 0, answer).await;
        let error = server.queue("q").receive(ASK, &CancellationToken::new()).await.unwrap_err();
        assert_eq!((error.kind, error.reason.as_str()), (kind, "m"), "{answer}");
    }
}

#[tokio::test]
async fn a_count_that_the_queue_does_not_tell_does_not_read_as_empty() {
    let server = Server::start(0, r#"{"Attributes":{"ApproximateNumberOfMessages":"0"}}"#).await;
    let counts = server.queue("q").counts().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight, counts.delayed), (0, u64::MAX, u64::MAX));
}

#[tokio::test]
async fn a_message_is_read_as_the_queue_tells_it() {
    let answer = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b","Attributes":{
        "SentTimestamp":"1767950405123","ApproximateReceiveCount":"3","MessageGroupId":"g"}}]}"#;
    let server = Server::start(0, answer).await;
    let receipt = server.queue("q").receive(ASK, &CancellationToken::new()).await.unwrap();
    let message = &receipt.messages[0];
    assert_eq!(message.sent_at, "2026-01-09T09:20:05.123Z".parse().unwrap());
    assert_eq!((message.receive_count, message.group_id.as_deref()), (3, Some("g")));
}
