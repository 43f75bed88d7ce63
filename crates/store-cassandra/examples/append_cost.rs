//! What storing an event costs the client: processor time, rows and requests for each appended entry.
//!
//! ```text
//! tests/servers/servers.sh with -- cargo run --release -p afterimage-store-cassandra --example append_cost
//! ```
//! `EVENTS`, `CONTENT_BYTES`, `RECORDS`, `BATCH`, `APPENDS` (at the same time), `ACTORS`, `PER_REQUEST` (entries of one
//! request, which is one transaction; 0: nobody says who did it), `COPIES`, `LZ4=1` and `THREADS` change the load.
//! Processor time is the process's own (`/proc/self/stat`, ticks of 10 ms): Linux only.

#![allow(clippy::print_stdout, reason = "it exists to print")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::{Arrival, Digest, Entry, Identity, Provenance, Store};
use afterimage_store_cassandra::{CassandraStore, Config};

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Processor time of this process so far, user and system.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Somebody with an id and an address, in a request and a transaction of a few entries.
fn provenance(number: usize) -> Provenance {
    let (actors, per_request) = (setting("ACTORS", 500), setting("PER_REQUEST", 3));
    let Some(request) = number.checked_div(per_request) else { return Provenance::default() };
    let actor = request.wrapping_mul(7_919) % actors;
    Provenance {
        actors: vec![format!("user-{actor}"), format!("user-{actor}@example.com")],
        request: Some(format!("0f9d1c3e-58a7-4d0b-8c6e-{request:012x}")),
        transaction: Some(format!("{}", 81_000_000 + request)),
        migration: None,
    }
}

fn entry(number: usize, records: usize, content: &str, now: Timestamp) -> Arc<Entry> {
    // Scattered over the records; five tables.
    let record = number.wrapping_mul(7_919) % records;
    let at = now.saturating_add_micros(number as i64 * 200);
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Arc::new(Entry {
        record: RecordKey {
            tenant: "acme".to_owned(),
            source: "billing-api".to_owned(),
            table: format!("table_{}", record % 5),
            record_id: vec![format!("record-{record}")],
        },
        identity: Identity {
            event_id: format!("5a6bd1a2-7f62-4a3f-9d0e-{number:012x}"),
            input_digest: Digest(digest),
            revision: 0,
            published_at: at,
        },
        op: Op::Update,
        occurred_at: at,
        position: None,
        changed: vec!["status".to_owned(), "updatedAt".to_owned()],
        before_digest: Some(Digest([1; 16])),
        after_digest: Some(Digest([2; 16])),
        provenance: provenance(number),
        expires_at: Some(at.saturating_add_micros(7 * 365 * 86_400_000_000)),
        content: content.to_owned(),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(setting("THREADS", 2)).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let nodes = std::env::var("AFTERIMAGE_TEST_CASSANDRA_NODES")?.split(',').map(str::to_owned).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut config = Config::new(nodes, format!("cost_{}", now.as_nanos()));
    let copies = setting("COPIES", 1);
    config.replication = Some(format!("datacenter1:{copies}").parse()?);
    config.compression = setting("LZ4", 0) == 1;
    config.request_timeout = Duration::from_secs(30);
    let store = Arc::new(CassandraStore::new(config)?);
    store.migrate().await?;

    let now = Timestamp::from_micros(i64::try_from(now.as_micros())?)?;
    let (events, batch, appends) = (setting("EVENTS", 60_000), setting("BATCH", 200), setting("APPENDS", 4));
    let (records, bytes) = (setting("RECORDS", 10_000), setting("CONTENT_BYTES", 3_000));
    // About as compressible as JSON is.
    let content: String = (0..bytes).map(|at| char::from(b'a' + (at * at / 7 % 23) as u8)).collect();
    for (round, name) in ["directories not yet known", "directories known"].into_iter().enumerate() {
        let before = store.sent();
        let (mut cost, started) = (Duration::ZERO, Instant::now());
        for first in (0..events).step_by(batch * appends) {
            let batches: Vec<Vec<Arc<Entry>>> = (0..appends)
                .map(|append| first + append * batch)
                .map(|first| {
                    (first..first + batch).map(|n| entry(round * events + n, records, &content, now)).collect()
                })
                .collect();
            let since = processor_time().ok_or("no /proc/self/stat")?;
            let running: Vec<_> = batches
                .into_iter()
                .map(|batch| {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move {
                        let results = store.append(&batch, &Arrival { worker: "worker-1".to_owned(), at: now }).await;
                        results.into_iter().filter(Result::is_err).count()
                    })
                })
                .collect();
            for one in running {
                if one.await? > 0 {
                    return Err("an append failed".into());
                }
            }
            cost += processor_time().ok_or("no /proc/self/stat")? - since;
        }
        let sent = store.sent();
        let per_event = |count: u64| count as f64 / events as f64;
        println!(
            "{name}: {:.1} µs of processor time, {:.2} rows and {:.3} requests an event; {:.0} events/s",
            cost.as_secs_f64() * 1e6 / events as f64,
            per_event(sent.rows - before.rows),
            per_event(sent.requests - before.requests),
            events as f64 / started.elapsed().as_secs_f64(),
        );
    }
    Ok(())
}
