//! A TCP proxy that can be told to misbehave.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Pass,
    /// Takes connections and bytes, and sends nothing on in either direction.
    Silent,
    /// Sends requests on, and no answers.
    SwallowAnswers,
    /// Ends every connection, old and new.
    Refuse,
}

/// Stands before one server until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let (server, modes) = (server.to_owned(), Arc::downgrade(&mode));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(mode) = modes.upgrade() else { break };
                tokio::spawn(connect(client, server.clone(), mode.subscribe()));
            }
        });
        Self { address, mode }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    pub(crate) fn be_silent(&self) {
        self.mode.send_replace(Mode::Silent);
    }

    pub(crate) fn swallow_answers(&self) {
        self.mode.send_replace(Mode::SwallowAnswers);
    }

    pub(crate) fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
    }
}

async fn connect(client: TcpStream, server: String, mut mode: watch::Receiver<Mode>) {
    if *mode.borrow() == Mode::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, mode.clone(), [Mode::Pass, Mode::SwallowAnswers]) => {}
        () = copy(from_server, to_client, mode.clone(), [Mode::Pass, Mode::Pass]) => {}
        _ = mode.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
}

/// Copies in these modes; in others what arrives is lost, as on a line that is cut: such a connection never works again.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mode: watch::Receiver<Mode>, passing: [Mode; 2]) {
    let mut buffer = vec![0; 64 << 10];
    let mut lost = false;
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        lost |= !passing.contains(&*mode.borrow());
        if !lost && to.write_all(&buffer[..bytes]).await.is_err() {
            break;
        }
    }
}
