//! A proxy before one server that answers inserts otherwise than it did: that no majority has them, as a primary whose
//! secondaries are gone, or that one of them is too large.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mongodb::bson::{Document, doc, serialize_to_vec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Length, request, request that is answered, operation: each four bytes.
/// <https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/>
const HEADER_BYTES: usize = 16;
/// Behind the header of `OP_MSG`: flags, and the kind of the first section.
const BODY: usize = HEADER_BYTES + 5;

#[derive(Default)]
struct State {
    is_on: AtomicBool,
    said: AtomicUsize,
    refused: Mutex<Option<String>>,
}

pub(crate) struct Minority {
    address: SocketAddr,
    state: Arc<State>,
}

impl Minority {
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (server, states) = (server.to_owned(), Arc::downgrade(&state));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(state) = states.upgrade() else { break };
                tokio::spawn(connect(client, server.clone(), state));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn begin(&self) {
        self.state.is_on.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.state.is_on.store(false, Ordering::SeqCst);
    }

    /// From now on, refuses each insert whole that holds this text, as one that is too large.
    pub(crate) fn refuse(&self, text: &str) {
        *self.state.refused.lock().unwrap() = Some(text.to_owned());
    }

    /// How many inserts were answered so.
    pub(crate) fn said(&self) -> usize {
        self.state.said.load(Ordering::SeqCst)
    }
}

async fn connect(client: TcpStream, server: String, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (inserts, refused) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    let requests = async {
        while let Some(message) = next(&mut from_client).await {
            if command(&message).is_some_and(|command| command.keys().next().is_some_and(|name| name == "insert")) {
                inserts.lock().unwrap().insert(number(&message, 4));
                if state.refuses(&message) {
                    refused.lock().unwrap().insert(number(&message, 4));
                    // The server is asked something that leaves nothing behind, for there must be an answer.
                    let ping = doc! { "ping": 1, "$db": "admin" };
                    if !send(&mut to_server, &with_command(&message, &ping)).await {
                        break;
                    }
                    continue;
                }
            }
            if !send(&mut to_server, &message).await {
                break;
            }
        }
    };
    let answers = async {
        while let Some(mut message) = next(&mut from_server).await {
            if refused.lock().unwrap().remove(&number(&message, 8)) {
                let error = doc! { "ok": 0.0, "code": 10334, "codeName": "BSONObjectTooLarge", "errmsg": "too large" };
                message = with_command(&message, &error);
                state.said.fetch_add(1, Ordering::SeqCst);
            }
            let is_insert = inserts.lock().unwrap().remove(&number(&message, 8));
            if is_insert && state.is_on.load(Ordering::SeqCst) {
                let mut answer = command(&message).unwrap();
                let error = doc! { "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting for replication timed out" };
                answer.insert("writeConcernError", error);
                message = with_command(&message, &answer);
                state.said.fetch_add(1, Ordering::SeqCst);
            }
            if !send(&mut to_client, &message).await {
                break;
            }
        }
    };
    tokio::select! { () = requests => {}, () = answers => {} }
}

impl State {
    fn refuses(&self, message: &[u8]) -> bool {
        let refused = self.refused.lock().unwrap();
        refused.as_ref().is_some_and(|text| message.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

/// A message of the same number that says this instead.
fn with_command(message: &[u8], command: &Document) -> Vec<u8> {
    let mut other = message[..BODY].to_vec();
    other.extend(serialize_to_vec(command).unwrap());
    let bytes = u32::try_from(other.len()).unwrap();
    other[..4].copy_from_slice(&bytes.to_le_bytes());
    other
}

/// The next message, whole.
async fn next(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut message = vec![0; HEADER_BYTES];
    from.read_exact(&mut message).await.ok()?;
    message.resize(number(&message, 0) as usize, 0);
    from.read_exact(&mut message[HEADER_BYTES..]).await.ok()?;
    Some(message)
}

async fn send(to: &mut OwnedWriteHalf, message: &[u8]) -> bool {
    to.write_all(message).await.is_ok()
}

fn number(message: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(message[at..at + 4].try_into().unwrap())
}

/// The command of an `OP_MSG`, or the answer to one.
fn command(message: &[u8]) -> Option<Document> {
    const OP_MSG: u32 = 2013;
    if number(message, 12) != OP_MSG || message.get(BODY - 1) != Some(&0) {
        return None;
    }
    Document::from_reader(&message[BODY..]).ok()
}
