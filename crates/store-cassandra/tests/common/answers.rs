//! A proxy before one node that answers writes in its stead: that they are too large, or that replicas did not answer in time;
//! and that can keep inserts from being prepared until so many were asked for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Version, flags, stream, operation, length: <https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec>
const HEADER_BYTES: usize = 9;
const ERROR: u8 = 0x00;
const PREPARE: u8 = 0x09;
const EXECUTE: u8 = 0x0A;
const BATCH: u8 = 0x0D;
const ANSWER: u8 = 0x80;

/// What the node says.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    TooLarge,
    WriteTimeout,
}

/// The answer to each request that holds the first text and, where there is one, not the second.
type Rule = Arc<Mutex<Option<(Answer, String, Option<String>)>>>;

/// Stands before one node until it is dropped.
pub(crate) struct Answers {
    address: SocketAddr,
    rule: Rule,
    /// The node hears of an insert to prepare when it can hear of so many at once.
    together: Arc<AtomicUsize>,
}

impl Answers {
    pub(crate) async fn start(server: &str) -> Self {
        Self::start_at("127.0.0.1:0", server).await
    }

    /// The same at another address than the node's.
    pub(crate) async fn start_at(address: &str, server: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (rule, together) = (Rule::default(), Arc::new(AtomicUsize::new(1)));
        let (server, rules, inserts) = (server.to_owned(), Arc::downgrade(&rule), Arc::clone(&together));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(rule) = rules.upgrade() else { break };
                tokio::spawn(connect(client, server.clone(), rule, Arc::clone(&inserts)));
            }
        });
        Self { address, rule, together }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on, this is the answer to each request that holds this text; the node never sees it.
    pub(crate) fn answer(&self, answer: Answer, text: &str) {
        *self.rule.lock().unwrap() = Some((answer, text.to_owned(), None));
    }

    /// The same, for requests without this other text.
    pub(crate) fn answer_without(&self, answer: Answer, text: &str, other: &str) {
        *self.rule.lock().unwrap() = Some((answer, text.to_owned(), Some(other.to_owned())));
    }

    /// From now on, the node hears of an insert to prepare when so many were asked for.
    pub(crate) fn prepare_together(&self, inserts: usize) {
        self.together.store(inserts, Ordering::Relaxed);
    }

    /// From now on, the node answers everything.
    pub(crate) fn pass(&self) {
        *self.rule.lock().unwrap() = None;
    }
}

async fn connect(client: TcpStream, server: String, rule: Rule, together: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // Both directions write to the client, each a whole frame at a time.
    let to_client = tokio::sync::Mutex::new(to_client);
    let requests = async {
        let (mut inserts, mut kept) = (0, Vec::new());
        while let Some(mut frame) = next(&mut from_client).await {
            if frame[4] == PREPARE && holds(&frame, "INSERT INTO") {
                inserts += 1;
                kept.append(&mut frame);
                if inserts < together.load(Ordering::Relaxed) {
                    continue;
                }
                (inserts, frame) = (0, std::mem::take(&mut kept));
            }
            let sent = match answered(&frame, &rule) {
                Some(answer) => send(&mut *to_client.lock().await, &answer).await,
                None => send(&mut to_server, &frame).await,
            };
            if !sent {
                break;
            }
        }
    };
    let answers = async {
        while let Some(frame) = next(&mut from_server).await {
            if !send(&mut *to_client.lock().await, &frame).await {
                break;
            }
        }
    };
    tokio::select! { () = requests => {}, () = answers => {} }
}

/// The answer to a request that the rule is about.
fn answered(frame: &[u8], rule: &Rule) -> Option<Vec<u8>> {
    let (answer, text, other) = rule.lock().unwrap().clone()?;
    let is_other = other.is_some_and(|other| holds(frame, &other));
    if !matches!(frame[4], EXECUTE | BATCH) || !holds(frame, &text) || is_other {
        return None;
    }
    let mut body = Vec::new();
    match answer {
        Answer::TooLarge => {
            body.extend(0x2200_u32.to_be_bytes());
            push_text(&mut body, "Rejected an oversized mutation");
        }
        Answer::WriteTimeout => {
            body.extend(0x1100_u32.to_be_bytes());
            push_text(&mut body, "Operation timed out");
            // LOCAL_QUORUM; one of two replicas.
            body.extend(6_u16.to_be_bytes());
            body.extend(1_u32.to_be_bytes());
            body.extend(2_u32.to_be_bytes());
            push_text(&mut body, "SIMPLE");
        }
    }
    let mut error = vec![frame[0] | ANSWER, 0, frame[2], frame[3], ERROR];
    error.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    error.extend(body);
    Some(error)
}

fn holds(frame: &[u8], text: &str) -> bool {
    frame.windows(text.len()).any(|part| part == text.as_bytes())
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
}

/// The next frame, whole.
async fn next(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER_BYTES];
    from.read_exact(&mut frame).await.ok()?;
    let bytes = u32::from_be_bytes(frame[5..].try_into().unwrap());
    frame.resize(HEADER_BYTES + bytes as usize, 0);
    from.read_exact(&mut frame[HEADER_BYTES..]).await.ok()?;
    Some(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> bool {
    to.write_all(frame).await.is_ok()
}
