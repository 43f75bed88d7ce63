//! What storing an event costs the client: processor time, bytes and requests for each appended entry.
//!
//! ```text
//! tests/servers/servers.sh with -- cargo run --release -p afterimage-store-mongodb --example insert_cost
//! ```
//! `EVENTS`, `FIELDS` (of the image), `BATCH` and `APPENDS` (at the same time) change the load.
//! Processor time is the process's own (`/proc/self/stat`, ticks of 10 ms): Linux only. The server that comes with the
//! tests is no MongoDB: its speed says nothing.

#![allow(clippy::print_stdout, reason = "it exists to print")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::content::Content;
use afterimage_store::{Arrival, Digest, Entry, Identity, Store};
use afterimage_store_mongodb::{Config, MongoStore};

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

/// An update as the pipeline makes it: content of format 1, an image of so many members.
fn entry(number: usize, image: &str, now: Timestamp) -> Arc<Entry> {
    let record = number.wrapping_mul(7_919) % 10_000;
    let at = now.saturating_add_micros(number as i64 * 200);
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let mut entry = Entry {
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
        provenance: afterimage_store::Provenance::default(),
        expires_at: Some(at.saturating_add_micros(7 * 365 * 86_400_000_000)),
        content: String::new(),
    };
    entry.content = format!(
        concat!(
            r#"{{"v":1,"rules":"0123456789abcdef","id":"{}","input_digest":"{}","revision":0,"published_at":"{at}","#,
            r#""tenant":"acme","source":"billing-api","table":"{}","record_id":["{}"],"op":"update","occurred_at":"{at}","#,
            r#""actor":{{"id":"7","email":"ada@example.com"}},"context":{{"requestId":"req-{}","ip":"10.0.0.1"}},"#,
            r#""images":"after","changed":["status","updatedAt"],"changes":[{{"path":"/status","old":"pending","#,
            r#""new":"paid"}},{{"path":"/updatedAt","old":"2026-01-09T10:00:05Z","new":"2026-01-09T10:00:06Z"}}],"#,
            r#""after":{},"before_digest":"{}","after_digest":"{}","expires_at":"{}"}}"#
        ),
        entry.identity.event_id,
        entry.identity.input_digest,
        entry.record.table,
        entry.record.record_id[0],
        number,
        image,
        Digest([1; 16]),
        Digest([2; 16]),
        at.saturating_add_micros(7 * 365 * 86_400_000_000),
        at = at,
    );
    entry.provenance = Content::read(&entry.content).map(|content| content.provenance()).unwrap_or_default();
    Arc::new(entry)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As the worker has it.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let uri = std::env::var("AFTERIMAGE_TEST_MONGODB_URI")?;
    let mut config = Config::new(uri, format!("cost_{}", now.as_nanos()));
    config.request_timeout = Duration::from_secs(30);
    let store = Arc::new(MongoStore::new(config)?);
    store.migrate().await?;

    let now = Timestamp::from_micros(i64::try_from(now.as_micros())?)?;
    let (events, batch, appends) = (setting("EVENTS", 40_000), setting("BATCH", 200), setting("APPENDS", 4));
    let members: Vec<String> = (0..setting("FIELDS", 40))
        .map(|n| match n % 4 {
            0 => format!(r#""count_{n}":{}"#, n * 7_919),
            1 => format!(r#""price_{n}":{n}.90"#),
            _ => format!(r#""name_{n}":"a text of ordinary length {n}""#),
        })
        .collect();
    let image = format!("{{{}}}", members.join(","));
    let (mut cost, started) = (Duration::ZERO, Instant::now());
    let mut content_bytes = 0;
    for first in (0..events).step_by(batch * appends) {
        let batches: Vec<Vec<Arc<Entry>>> = (0..appends)
            .map(|append| first + append * batch)
            .map(|first| (first..first + batch).map(|n| entry(n, &image, now)).collect())
            .collect();
        content_bytes += batches.iter().flatten().map(|entry| entry.content.len()).sum::<usize>();
        let since = processor_time().ok_or("no /proc/self/stat")?;
        let running: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let arrival = Arrival { worker: "worker-1".to_owned(), at: now };
                    store.append(&batch, &arrival).await.into_iter().filter(Result::is_err).count()
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
    let per_event = |count: u64| count as f64 / sent.documents as f64;
    println!(
        "{:.1} µs of processor time, {:.0} bytes of BSON for {:.0} of content, {:.4} requests an event; {:.0} events/s",
        cost.as_secs_f64() * 1e6 / sent.documents as f64,
        per_event(sent.bytes),
        per_event(content_bytes as u64),
        per_event(sent.requests),
        sent.documents as f64 / started.elapsed().as_secs_f64(),
    );
    Ok(())
}
