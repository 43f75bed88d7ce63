//! A TCP proxy that can be told to misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// What the proxy does to what passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// Nothing.
    Pass,
    /// Answers come so much later; requests are not held up.
    Late(Duration),
    /// Answers come at so many bytes a second.
    Narrow(u32),
    /// Takes connections and bytes, and sends nothing on in either direction.
    Silent,
    /// Sends requests on, and no answers: whoever asked cannot know what was done.
    SwallowAnswers,
    /// Ends every connection, old and new.
    Refuse,
    /// Answers every SQS request with `RequestThrottled`.
    Throttle,
}

/// Chunks on their way in one direction of one connection: more, and the sender is held up.
const CHUNKS_MAX: usize = 256;
/// Longest request that is read to be refused.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// Stands before one server until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    mode: watch::Sender<Mode>,
    hits: AtomicU64,
}

impl Proxy {
    /// A proxy before `server`, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line { mode: watch::Sender::new(Mode::Pass), hits: AtomicU64::new(0) });
        let (server, weak) = (server.to_owned(), Arc::downgrade(&line));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(line) = weak.upgrade() else { break };
                client.set_nodelay(true).ok();
                tokio::spawn(connect(client, server.clone(), line));
            }
        });
        Self { address, line }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Does this from now on, on open connections too.
    pub fn set(&self, mode: Mode) {
        self.line.mode.send_replace(mode);
    }

    /// How often it did harm: connections ended or refused, chunks swallowed or held back, requests throttled.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.line.hits.load(Ordering::Relaxed)
    }
}

impl Line {
    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connect(client: TcpStream, server: String, line: Arc<Line>) {
    let mut mode = line.mode.subscribe();
    let now = *mode.borrow();
    match now {
        Mode::Refuse => return line.hit(),
        Mode::Throttle => return throttle(client, &line, mode).await,
        _ => {}
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = requests(from_client, to_server, &line) => {}
        () = answers(from_server, to_client, &line) => {}
        _ = mode.wait_for(|mode| matches!(mode, Mode::Refuse | Mode::Throttle)) => line.hit(),
    }
}

/// What is swallowed is lost, as on a line that is cut: such a connection never works again.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &Line) {
    let mut buffer = vec![0; 64 << 10];
    let mut lost = false;
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        lost |= *line.mode.borrow() == Mode::Silent;
        if lost {
            line.hit();
        } else if to.write_all(&buffer[..bytes]).await.is_err() {
            break;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: &Line) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let read = async move {
        let mut buffer = vec![0; 64 << 10];
        let (mut lost, mut due) = (false, Instant::now());
        while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
            let (mode, now) = (*line.mode.borrow(), Instant::now());
            lost |= matches!(mode, Mode::Silent | Mode::SwallowAnswers);
            // Never before what came before it.
            due = match mode {
                Mode::Late(late) => due.max(now + late),
                Mode::Narrow(bytes_per_s) => {
                    due.max(now) + Duration::from_secs_f64(bytes as f64 / f64::from(bytes_per_s))
                }
                _ => due.max(now),
            };
            if lost || mode != Mode::Pass {
                line.hit();
            }
            if !lost && sender.send((due, buffer[..bytes].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = chunks.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}

/// Refuses each request in the words of SQS, until the mode is another.
async fn throttle(mut client: TcpStream, line: &Line, mut mode: watch::Receiver<Mode>) {
    const BODY: &str = r#"{"__type":"com.amazonaws.sqs#RequestThrottled","message":"Rate exceeded"}"#;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amzn-query-error: RequestThrottled;Sender\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    loop {
        let is_request = tokio::select! {
            request = read_request(&mut client) => request.is_some(),
            _ = mode.wait_for(|mode| *mode != Mode::Throttle) => false,
        };
        if !is_request || client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.hit();
    }
}

/// Reads one request with a length to its end.
async fn read_request(client: &mut TcpStream) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let head = request.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            if request.len() >= head + 4 + length.unwrap_or(0) {
                return Some(());
            }
        }
        let bytes = client.read(&mut buffer).await.ok()?;
        if bytes == 0 || request.len() > REQUEST_BYTES_MAX {
            return None;
        }
        request.extend_from_slice(&buffer[..bytes]);
    }
}
