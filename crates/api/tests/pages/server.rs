//! Connections, as they come over TCP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use afterimage_api::{Anonymous, Asked, Gate, Limits, Noted, Problem, Reader, Server};
use async_trait::async_trait;
use axum::http::HeaderMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::Pages;

const FAR: Duration = Duration::from_secs(60);

/// Says when somebody is there, and lets them on when told to.
#[derive(Clone)]
struct Turnstile {
    came: Arc<Semaphore>,
    may_go: Arc<Semaphore>,
}

#[async_trait]
impl Gate for Turnstile {
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem> {
        Anonymous::Anywhere.admit(headers).await
    }

    async fn note(&self, _reader: &Reader, _asked: &Asked<'_>) -> Result<Noted, Problem> {
        self.came.add_permits(1);
        self.may_go.acquire().await.unwrap().forget();
        Ok(Noted::unrecorded())
    }
}

struct Running {
    gate: Turnstile,
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<bool>,
}

async fn running(grace: Duration) -> Running {
    let gate = Turnstile { came: Arc::new(Semaphore::new(0)), may_go: Arc::new(Semaphore::new(0)) };
    let pages = Pages::with(Arc::new(gate.clone()), Limits::default()).await;
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let server = tokio::spawn(server.run(pages.router, stop.clone(), grace));
    Running { gate, address, stop, server }
}

fn request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v1/records/t/r/history HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_finished_before_the_end() {
    let running = running(FAR).await;
    let idle = TcpStream::connect(running.address).unwrap();
    let mut asking = request(running.address);
    running.gate.came.acquire().await.unwrap().forget();
    running.stop.cancel();
    running.gate.may_go.add_permits(1);
    let mut answer = String::new();
    asking.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"next\":null"), "{answer}");
    assert!(running.server.await.unwrap(), "everything was finished");
    drop(idle);
    assert!(TcpStream::connect(running.address).is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_is_given_up_when_the_grace_period_is_over() {
    let running = running(Duration::from_millis(10)).await;
    let _asking = request(running.address);
    running.gate.came.acquire().await.unwrap().forget();
    running.stop.cancel();
    assert!(!running.server.await.unwrap(), "an answer was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused() {
    let running = running(FAR).await;
    let mut stream = TcpStream::connect(running.address).unwrap();
    let head = format!("GET /docs HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", "x".repeat(1_000_000));
    // The server may close before all of it is written.
    stream.write_all(head.as_bytes()).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
