//! The bound on memory, measured: a queue of small messages turns into one of 1 MiB messages at once, while many receives
//! are under way and the store is slow. The peak of the whole process must stay within the cap and 100 MiB.
//!
//! A test of its own, since it measures its own process. The queue is a server in it that sends from constants and so
//! takes next to no memory.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails, and says where")]

mod pair;
#[path = "it/fakes/slow.rs"]
mod slow;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afterimage_consumer::{Limits, Metrics, Pipeline, SqsQueue, SqsSettings, Worker};
use afterimage_diff::Rules;
use afterimage_event::Settings;
use slow::Slow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const CAP: usize = 64 << 20;
/// What the store takes for a group of entries.
const APPEND_TIME: Duration = Duration::from_millis(20);
const SLACK: usize = 100 << 20;
/// Small messages before the switch, and large ones after it.
const SMALL: usize = 5_000;
const LARGE: usize = 150;
static PADDING: [u8; 1 << 20] = [b'x'; 1 << 20];

async fn serve(mut stream: TcpStream, sent: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut request = vec![0; 64 << 10];
    loop {
        let mut held = 0;
        while !request[..held].ends_with(b"}") {
            match stream.read(&mut request[held..]).await? {
                0 => return Ok(()),
                read => held += read,
            }
        }
        let text = String::from_utf8_lossy(&request[..held]);
        if !text.contains("AmazonSQS.ReceiveMessage") {
            let entries: Vec<String> = (0..10).map(|n| format!(r#"{{"Id":"{n}"}}"#)).collect();
            respond(&mut stream, &format!(r#"{{"Successful":[{}],"Failed":[]}}"#, entries.join(","))).await?;
            continue;
        }
        let first = sent.fetch_add(10, Ordering::Relaxed);
        if first >= SMALL + LARGE {
            tokio::time::sleep(Duration::from_millis(500)).await;
            respond(&mut stream, "{}").await?;
            continue;
        }
        let padding = if first < SMALL { 700 } else { (1 << 20) - 400 };
        receive(&mut stream, first, &PADDING[..padding]).await?;
    }
}

async fn respond(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// Ten messages, written piece by piece.
async fn receive(stream: &mut TcpStream, first: usize, padding: &[u8]) -> std::io::Result<()> {
    let pieces: Vec<(String, &str)> = (first..first + 10)
        .map(|n| {
            let comma = if n == first { r#"{"Messages":["# } else { "," };
            let head = format!(
                r#"{comma}{{"MessageId":"m{n}","ReceiptHandle":"r{n}","Attributes":{{"SentTimestamp":"1000"}},"Body":"{{\"tableName\":\"t\",\"operation\":\"insert\",\"recordId\":\"{n}\",\"after\":{{\"s\":\""#
            );
            (head, r#"\"}}"}"#)
        })
        .collect();
    let length: usize = pieces.iter().map(|(head, tail)| head.len() + padding.len() + tail.len()).sum::<usize>() + 2;
    stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await?;
    for (head, tail) in pieces {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(padding).await?;
        stream.write_all(tail.as_bytes()).await?;
    }
    stream.write_all(b"]}").await
}

/// The most memory that this process ever had, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_stays_within_the_cap_and_100_mib_when_the_load_turns_to_large_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&sent)));
        }
    });
    let config = pair::config(&url);
    let limits = Limits { bytes_max: CAP, has_dead_letter_queue: true, ..Limits::default() };
    let settings = SqsSettings {
        queue_url: format!("{url}/1/q"),
        dlq_url: None,
        wait: limits.wait,
        bytes_max: CAP,
        connections_max: limits.pollers_max,
    };
    let registry = prometheus::Registry::new();
    let worker = Worker::new(
        limits,
        Duration::from_secs(30),
        Arc::new(SqsQueue::new(config, settings)),
        Arc::new(Slow::new(APPEND_TIME)),
        Arc::new(Pipeline::new(Settings::default(), Rules::default())),
        Metrics::register(&registry).unwrap(),
    )
    .unwrap();
    let stop = CancellationToken::new();
    let run = tokio::spawn(worker.run(stop.clone()));
    let stored = || {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "afterimage_events_total").unwrap();
        let stored = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == "stored";
        family.get_metric().iter().find(stored).unwrap().get_counter().get_value() as usize
    };
    for _ in 0..12_000 {
        if stored() >= SMALL + LARGE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    let books = run.await.unwrap().books;
    assert_eq!(books.stored as usize, SMALL + LARGE, "{books:?}");
    let peak = peak_bytes();
    println!("peak {} MiB, cap {} MiB", peak >> 20, CAP >> 20);
    assert!(peak <= CAP + SLACK, "{} MiB at the peak", peak >> 20);
}
