//! What a worker says of itself at `/metrics`.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A worker that is stopped does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The numbers that the tests need; zero where the worker has none yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    /// Events stored.
    pub(super) stored: u64,
    /// Messages held now.
    pub(super) held: u64,
    /// Deliveries of messages that had been delivered before.
    pub(super) redelivered: u64,
    /// Leases that ended too early.
    pub(super) leases_lost: u64,
}

/// Reads them; `None` when the worker does not answer.
pub(super) async fn read(address: &str) -> Option<Numbers> {
    let page = timeout(PATIENCE, get(address)).await.ok()??;
    let value = |series: &str| {
        let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default() as u64
    };
    let deliveries = value("afterimage_message_receive_count_count");
    Some(Numbers {
        stored: value(r#"afterimage_events_total{outcome="stored"}"#),
        held: value("afterimage_messages_in_flight"),
        redelivered: deliveries - value(r#"afterimage_message_receive_count_bucket{le="1"}"#),
        leases_lost: value(r#"afterimage_messages_total{outcome="lease_lost"}"#),
    })
}

async fn get(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
