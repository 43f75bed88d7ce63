//! What an append costs: CPU time of this process for each entry of about 1.2 KB, in batches of several sizes.
//!
//! `cargo run --release -p afterimage-store-sqlite --example append_cost -- [entries] [folder]`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use afterimage_event::Op;
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{Arrival, Entry, Store};
use afterimage_store_sqlite::{Options, SqliteStore};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for batch in [1, 10, 100, 500] {
        let count = if batch < 10 { entries / 20 } else { entries };
        let told: Vec<Arc<Entry>> = (0..count).map(entry).collect();
        let folder = tempfile::tempdir_in(&folder).expect("a folder");
        let path = folder.path().join("trail.db");
        let store = SqliteStore::open(&path, &Options::default()).expect("a store");
        runtime.block_on(store.migrate()).expect("a schema");
        let (cpu, clock) = (cpu_seconds(), Instant::now());
        runtime.block_on(async {
            let arrival = Arrival { worker: "bench".to_owned(), at: moment(0) };
            for batch in told.chunks(batch) {
                for result in store.append(batch, &arrival).await {
                    result.expect("a stored entry");
                }
            }
        });
        let each = |seconds: f64| seconds * 1e6 / count as f64;
        let (cpu, wall) = (each(cpu_seconds() - cpu), each(clock.elapsed().as_secs_f64()));
        runtime.block_on(store.close());
        let bytes = std::fs::metadata(&path).map_or(0, |file| file.len()) / count;
        let content = told.iter().map(|entry| entry.content.len() as u64).sum::<u64>() / count;
        #[allow(clippy::print_stdout, reason = "what an example is for")]
        {
            println!(
                "batches of {batch:>4}: {cpu:6.1} us CPU, {wall:7.1} us, {bytes} bytes of file for {content} of content, each"
            );
        }
    }
}

/// An update of one of 20,000 records, with an image of 1.2 KB; ids spread as random ones do.
fn entry(n: u64) -> Arc<Entry> {
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let id = format!("{spread:016x}-{n:016x}");
    let record = format!("{:08}", spread % 20_000);
    let image = |value: u64| format!(r#"{{"id":"{record}","value":{value},"text":"{}"}}"#, "0123456789 ".repeat(105));
    let changes = format!(r#"[{{"path":"/value","old":{n},"new":{}}}]"#, n + 1);
    let table = ["users", "orders", "products"][usize::try_from(n % 3).unwrap_or(0)];
    Telling::new("default", &id, Op::Update, i64::try_from(n / 100).unwrap_or(0))
        .record(table, [record.as_str()])
        .images(&image(n), &image(n + 1))
        .changes(&changes)
        .entry()
}

/// User and system time of this process so far: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
