//! The memory gate in front of the SDK: bodies stay on the other side until there is room for them. The other side is a
//! server of a few lines, so that it can be asked what it could send.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use afterimage_consumer::{Ask, Queue, SqsQueue, SqsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const BUDGET: usize = 16 << 20;
const LARGE_BYTES: usize = 48 << 20;
const ASK: Ask = Ask { messages_max: 10, wait: Duration::from_secs(1), lease: Duration::from_secs(60) };

/// A server whose every receive brings one message with a body of so many bytes.
struct Server {
    url: String,
    answers: Arc<AtomicUsize>,
    sent_bytes: Arc<AtomicUsize>,
}

/// How a server answers.
#[derive(Clone, Copy)]
struct Answer {
    body_bytes: usize,
    /// After the headers.
    pause: Duration,
    /// Does it say how long the body is? Where it does not, the body ends with the connection.
    tells_length: bool,
}

impl Server {
    /// After the headers it pauses.
    async fn start(body_bytes: usize, pause: Duration) -> Self {
        Self::answering(Answer { body_bytes, pause, tells_length: true }).await
    }

    async fn answering(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answers, sent_bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let server = Self { url, answers: Arc::clone(&answers), sent_bytes: Arc::clone(&sent_bytes) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, sent_bytes) = (Arc::clone(&answers), Arc::clone(&sent_bytes));
                tokio::spawn(async move { serve(stream, answer, &answers, &sent_bytes).await });
            }
        });
        server
    }

    fn queue(&self) -> SqsQueue {
        let config = crate::pair::config(&self.url);
        let settings = SqsSettings {
            queue_url: format!("{}/1/q", self.url),
            dlq_url: None,
            wait: Duration::from_secs(20),
            bytes_max: BUDGET,
            connections_max: 64,
        };
        SqsQueue::new(config, settings)
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, answers: &AtomicUsize, sent: &AtomicUsize) {
    let mut request = vec![0; 16 << 10];
    loop {
        let mut held = 0;
        // Requests here are small: the head and its body come in a few reads.
        loop {
            match stream.read(&mut request[held..]).await {
                Ok(0) | Err(_) => return,
                Ok(read) => held += read,
            }
            if request[..held].ends_with(b"}") {
                break;
            }
        }
        let body = format!(
            r#"{{"Messages":[{{"MessageId":"m","ReceiptHandle":"r","Body":"{}","Attributes":{{"SentTimestamp":"1000"}}}}]}}"#,
            "x".repeat(answer.body_bytes)
        );
        let end =
            if answer.tells_length { format!("content-length: {}", body.len()) } else { "connection: close".into() };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n{end}\r\n\r\n");
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        answers.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(answer.pause).await;
        for chunk in body.as_bytes().chunks(16 << 10) {
            if stream.write_all(chunk).await.is_err() {
                return;
            }
            sent.fetch_add(chunk.len(), Ordering::Relaxed);
        }
        if !answer.tells_length {
            return;
        }
    }
}

/// Waits for something that will come; a test that waits in vain fails.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited 30 s for {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn permits_never_exceed_the_budget_however_many_large_answers_arrive_at_once() {
    let server = Server::start(1 << 20, Duration::ZERO).await;
    let queue = Arc::new(server.queue());
    let (kept, mut keeps) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..64 {
        let (queue, kept) = (Arc::clone(&queue), kept.clone());
        tokio::spawn(async move {
            let receipt = queue.receive(ASK, &CancellationToken::new()).await.unwrap();
            kept.send(receipt.messages).expect("the test waits for it");
        });
    }
    until("64 answers", || server.answers() == 64).await;
    // A message of 1 MiB is reckoned with three times that, and with four while it is read: four fit, however long one
    // waits.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(keeps.recv().await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(keeps.try_recv().is_err(), "more is in memory than the budget allows");
    assert!(queue.free_bytes() < 5 << 20);
    // The other 60 wait where they take no memory of ours: with the sender and in the kernel.
    held.clear();
    for _ in 0..60 {
        keeps.recv().await.expect("every answer is read in the end");
    }
    until("all of the budget", || queue.free_bytes() == BUDGET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_room_is_not_read() {
    // More than the kernel's buffers on both sides take.
    let server = Server::start(LARGE_BYTES, Duration::ZERO).await;
    let queue = Arc::new(server.queue());
    let first = queue.receive(ASK, &CancellationToken::new()).await.unwrap();
    let before = server.sent_bytes.load(Ordering::Relaxed);
    let waiting = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.receive(ASK, &CancellationToken::new()).await })
    };
    until("the second answer", || server.answers() == 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stuck_at = server.sent_bytes.load(Ordering::Relaxed) - before;
    assert!(stuck_at < LARGE_BYTES / 2, "the whole body was taken: {stuck_at} bytes");
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap().messages[0].body.len(), LARGE_BYTES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_untold_length_waits_for_the_room_that_the_largest_takes() {
    let server = Server::answering(Answer { body_bytes: 10_000, pause: Duration::ZERO, tells_length: false }).await;
    let queue = server.queue();
    let first = queue.receive(ASK, &CancellationToken::new()).await.unwrap();
    let waiting = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.receive(ASK, &CancellationToken::new()).await })
    };
    until("the second answer", || server.answers() == 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "it was read beside another, and might have been the largest");
    drop(first);
    assert_eq!(waiting.await.unwrap().unwrap().messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_ends_with_its_message() {
    let server = Server::start(1 << 20, Duration::ZERO).await;
    let queue = server.queue();
    let receipt = queue.receive(ASK, &CancellationToken::new()).await.unwrap();
    let held = BUDGET - queue.free_bytes();
    assert!((3 << 20..4 << 20).contains(&held), "{held} bytes");
    drop(receipt);
    assert_eq!(queue.free_bytes(), BUDGET);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_to_arrive_is_read_to_its_end_though_the_worker_stops() {
    let server = Server::start(100_000, Duration::from_millis(300)).await;
    let cancel = CancellationToken::new();
    let receive = {
        let (queue, cancel) = (server.queue(), cancel.clone());
        tokio::spawn(async move { queue.receive(ASK, &cancel).await })
    };
    until("the head of the answer", || server.answers() == 1).await;
    // The head is on its way; give the client the time to see it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    cancel.cancel();
    assert_eq!(receive.await.unwrap().unwrap().messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_for_room_is_read_though_the_worker_stops() {
    let server = Server::start(100_000, Duration::ZERO).await;
    let (queue, cancel) = (server.queue(), CancellationToken::new());
    let mut held = Vec::new();
    while queue.free_bytes() > 450_000 {
        held.push(queue.receive(ASK, &CancellationToken::new()).await.unwrap());
    }
    let answered = server.answers();
    let receive = {
        let (queue, cancel) = (queue.clone(), cancel.clone());
        tokio::spawn(async move { queue.receive(ASK, &cancel).await })
    };
    until("the head of the answer", || server.answers() == answered + 1).await;
    // The head is on its way; give the client the time to see it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cancelled_at = Instant::now();
    cancel.cancel();
    // Whoever gives it up does so now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(held);
    let receipt = receive.await.unwrap().unwrap();
    assert_eq!(receipt.messages.len(), 1);
    assert!(receipt.answered_at < cancelled_at, "the leases run from the head of the answer, not from its end");
}
