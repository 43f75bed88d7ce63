//! What each call asks of SQS, as it goes over the wire, and what is made of answers that are cut off or lack something. The
//! other side notes every request, and answers as little as SQS may.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use afterimage_consumer::{
    Ask, Attribute, AttributeValue, Delete, Handle, ItemError, Limits, Queue, QueueErrorKind, SqsQueue, SqsSettings,
};
use afterimage_json::Raw;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fakes::message;
use crate::rig::Rig;

const ASK: Ask = Ask { messages_max: 7, wait: Duration::from_secs(3), lease: Duration::from_secs(45) };

/// A server that notes what it is asked.
pub(crate) struct Server {
    url: String,
    asked: Asked,
}

/// Action and body of each request.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Action, body, and the requests for this action so far, this one included: the answer, or none and a closed connection.
type Answers = dyn Fn(&str, &str, usize) -> Option<String> + Send + Sync;

impl Server {
    /// Hangs up on its first requests, `silent` of them, without an answer; the rest it answers with this.
    async fn start(silent: usize, answer: &'static str) -> Self {
        Self::with_status("200 OK", silent, answer).await
    }

    async fn with_status(status: &'static str, silent: usize, answer: &'static str) -> Self {
        Self::serving(status, Arc::new(move |_, _, nth| (nth > silent).then(|| answer.to_owned()))).await
    }

    pub(crate) async fn answering(
        answers: impl Fn(&str, &str, usize) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self::serving("200 OK", Arc::new(answers)).await
    }

    async fn serving(status: &'static str, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let server = Self { url, asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, status, Arc::clone(&answers), Arc::clone(&asked)));
            }
        });
        server
    }

    pub(crate) fn queue(&self, name: &str) -> SqsQueue {
        self.queue_with_letters(name, None)
    }

    /// A queue, and the name of the one for its dead letters.
    fn queue_with_letters(&self, name: &str, letters: Option<&str>) -> SqsQueue {
        let config = crate::pair::config(&self.url);
        let url_of = |name: &str| format!("{}/1/{name}", self.url);
        let settings = SqsSettings {
            queue_url: url_of(name),
            dlq_url: letters.map(url_of),
            wait: Duration::from_secs(20),
            bytes_max: 1 << 20,
            connections_max: 4,
        };
        SqsQueue::new(config, settings)
    }

    /// This member of each request, as JSON; none where a request lacks it.
    fn asked(&self, member: &str) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, body)| Some(Raw::parse(body).unwrap().get(member)?.as_str().to_owned())).collect()
    }

    /// The entries of each request for this batch action, as JSON.
    pub(crate) fn entries(&self, action: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let bodies = asked.iter().filter(|(asked, _)| asked == action);
        bodies.map(|(_, body)| Raw::parse(body).unwrap().get("Entries").unwrap().as_str().to_owned()).collect()
    }
}

async fn serve(stream: TcpStream, status: &str, answers: Arc<Answers>, asked: Asked) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut body_bytes, mut action) = (0, String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => body_bytes = value.trim().parse().ok()?,
                "x-amz-target" => action = value.trim().trim_start_matches("AmazonSQS.").to_owned(),
                _ => {}
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; body_bytes];
        stream.read_exact(&mut body).await.ok()?;
        let body = String::from_utf8(body).unwrap();
        let nth = {
            let mut asked = asked.lock().unwrap();
            asked.push((action.clone(), body.clone()));
            asked.iter().filter(|(earlier, _)| *earlier == action).count()
        };
        let answer = answers(&action, &body, nth)?;
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

#[tokio::test]
async fn attributes_are_asked_for_and_read_whatever_their_types() {
    let answer = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b","MessageAttributes":{
        "b":{"DataType":"Binary.gzip","BinaryValue":"AAEC"},"n":{"DataType":"Number.int","StringValue":"7"}}}]}"#;
    let server = Server::start(0, answer).await;
    let receipt = server.queue("q").receive(ASK, &CancellationToken::new()).await.unwrap();
    let attribute = |name: &str, data_type: &str, value| Attribute {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        value,
    };
    let expected = [
        attribute("b", "Binary.gzip", AttributeValue::Bytes(vec![0, 1, 2])),
        attribute("n", "Number.int", AttributeValue::Text("7".to_owned())),
    ];
    assert_eq!(receipt.messages[0].attributes, expected);
    assert_eq!(server.asked("MessageAttributeNames"), some(&[r#"["All"]"#]));
}

/// The second of three failed, and of the third nothing is said.
const PARTLY: &str =
    r#"{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"ReceiptHandleIsInvalid","SenderFault":true}]}"#;

fn partly() -> [Result<(), ItemError>; 3] {
    let failed = |code: &str, is_final| Err(ItemError { code: code.to_owned(), is_final });
    [Ok(()), failed("ReceiptHandleIsInvalid", true), failed("Unanswered", false)]
}

#[tokio::test]
async fn a_batch_of_leases_names_each_handle_and_is_answered_for_each() {
    let server = Server::start(0, PARTLY).await;
    let handles = ["a", "b", "c"].map(|receipt| Handle { message_id: "m".into(), receipt: receipt.into() });
    assert_eq!(server.queue("q").change_visibility(&handles, 9).await.unwrap(), partly());
    let entry = |(id, receipt)| format!(r#"{{"Id":"{id}","ReceiptHandle":"{receipt}","VisibilityTimeout":9}}"#);
    let entries = [(0, "a"), (1, "b"), (2, "c")].map(entry).join(",");
    assert_eq!(server.entries("ChangeMessageVisibilityBatch"), [format!("[{entries}]")]);
}

/// Orders to delete three messages, with the proof that they may go.
fn deletes() -> Vec<Delete> {
    let mut rig = Rig::new(Limits::default());
    rig.receive_next((0..3).map(|n| message(&format!("m{n}"), &format!("e{n}"), 1)).collect());
    rig.store();
    rig.deletes().into_iter().flat_map(|(_, deletes)| deletes).collect()
}

#[tokio::test]
async fn a_batch_of_deletes_names_each_handle_and_is_answered_for_each() {
    let server = Server::start(0, PARTLY).await;
    let deletes = deletes();
    assert_eq!(server.queue("q").delete(&deletes).await.unwrap(), partly());
    let entry =
        |(id, delete): (usize, &Delete)| format!(r#"{{"Id":"{id}","ReceiptHandle":"{}"}}"#, delete.handle().receipt);
    let entries = deletes.iter().enumerate().map(entry).collect::<Vec<_>>().join(",");
    assert_eq!(server.entries("DeleteMessageBatch"), [format!("[{entries}]")]);
}

#[tokio::test]
async fn a_letter_has_a_group_and_an_id_where_the_queue_for_letters_is_fifo_whatever_it_comes_from() {
    let mut rig = Rig::new(Limits { has_dead_letter_queue: true, ..Limits::default() });
    rig.receive_next(vec![message("m", "!e", 1)]);
    let letters = rig.send_letters();
    let server = Server::start(0, r#"{"Successful":[{"Id":"0","MessageId":"x","MD5OfMessageBody":"x"}],"Failed":[]}"#);
    let server = server.await;
    for name in ["letters.fifo", "letters"] {
        let queue = server.queue_with_letters("q", Some(name));
        assert_eq!(queue.send_dead_letters(&letters).await.unwrap(), [Ok(())]);
    }
    let sent = server.entries("SendMessageBatch");
    let [fifo, standard] = &sent[..] else { panic!("{sent:?}") };
    for part in [r#""MessageGroupId":""#, r#""MessageDeduplicationId":"m""#] {
        assert!(fifo.contains(part) && !standard.contains(part), "{part} in {sent:?}");
    }
}
