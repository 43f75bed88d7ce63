//! What an append costs, by what an entry is found by and by the size of batches: CPU time of this process and bytes of the
//! file for each entry of about 1.2 KB; then the bytes of each table, and what reading a page of rows takes.
//!
//! `cargo run --release -p afterimage-store-sqlite --example append_cost -- [entries] [folder]`

#![allow(clippy::print_stdout, reason = "what an example is for")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use afterimage_event::{Actor, Op};
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{Arrival, Direction, Entry, Index, Lookup, RowRange, Store};
use afterimage_store_sqlite::{Options, SqliteStore};

/// What an entry is found by.
#[derive(Clone, Copy)]
enum Shape {
    /// Record, table, operation.
    Snapshot,
    /// Three changed names instead of the operation.
    Update,
    /// And an actor's id and address.
    UpdateBySomebody,
    /// And a request and a transaction.
    UpdateInATransaction,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let entries: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let all = Shape::UpdateInATransaction;
    for (shape, name, batch) in [
        (Shape::Snapshot, "snapshots", 100),
        (Shape::Update, "updates of 3 names", 100),
        (Shape::UpdateBySomebody, "… by somebody", 100),
        (all, "… in a transaction", 100),
        (all, "", 1),
        (all, "", 10),
        (all, "", 500),
    ] {
        let count = if batch < 10 { entries / 20 } else { entries };
        let told: Vec<Arc<Entry>> = (0..count).map(|n| entry(n, shape)).collect();
        let folder = tempfile::tempdir_in(&folder).expect("a folder");
        let path = folder.path().join("trail.db");
        measure(&path, &told, name, batch);
        if matches!(shape, Shape::UpdateInATransaction) && batch == 100 {
            print_tables(&path, count);
            print_pages(&path, &told);
        }
    }
}

fn measure(path: &Path, told: &[Arc<Entry>], name: &str, batch: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = SqliteStore::open(path, &Options::default()).expect("a store");
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
    let count = told.len() as u64;
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    let (cpu, wall) = (each(cpu_seconds() - cpu), each(clock.elapsed().as_secs_f64()));
    runtime.block_on(store.close());
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len()) / count;
    let content = told.iter().map(|entry| entry.content.len() as u64).sum::<u64>() / count;
    println!(
        "{name:20} batches of {batch:>4}: {cpu:6.1} us CPU, {wall:7.1} us, {bytes} bytes of file for {content} of content, each"
    );
}

/// Bytes of each table and its indexes (<https://sqlite.org/dbstat.html>).
fn print_tables(path: &Path, count: u64) {
    let connection = rusqlite::Connection::open(path).expect("the file");
    let sql = "SELECT name, sum(pgsize) / ?1 FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 8";
    let mut statement = connection.prepare(sql).expect("dbstat");
    let mut rows = statement.query([i64::try_from(count).unwrap_or(i64::MAX)]).expect("a query");
    while let Some(row) = rows.next().expect("a row") {
        let (name, bytes): (String, i64) = (row.get(0).expect("a name"), row.get(1).expect("bytes"));
        println!("    {name:20} {bytes:5} bytes each");
    }
}

fn print_pages(path: &Path, told: &[Arc<Entry>]) {
    const PAGES: u32 = 60;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = SqliteStore::open(path, &Options::default()).expect("a store");
    let indexes = told[told.len() / 2].indexes();
    for index in indexes.iter().filter(|index| !matches!(index, Index::Record(_))) {
        let mut range = RowRange { from: None, to: None, past: None, direction: Direction::Descending, limit: 100 };
        let (cpu, mut rows) = (cpu_seconds(), 0);
        for _ in 0..PAGES {
            let page = runtime.block_on(store.rows(index, &range)).expect("rows");
            if page.is_empty() {
                break;
            }
            rows += page.len();
            range.past = page.last().map(afterimage_store::IndexRow::order_key);
        }
        println!(
            "    {:6.1} us CPU each of {rows} rows of {index:?}",
            (cpu_seconds() - cpu) * 1e6 / rows.max(1) as f64
        );
    }
}

/// A change of one of 20,000 records, with an image of 1.2 KB; ids spread as random ones do.
fn entry(n: u64, shape: Shape) -> Arc<Entry> {
    let spread = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let id = format!("{:016x}-{n:016x}", spread(n));
    let record = format!("{:08}", spread(n) % 20_000);
    let image = |value: u64| format!(r#"{{"id":"{record}","value":{value},"text":"{}"}}"#, "0123456789 ".repeat(105));
    let changes = format!(r#"[{{"path":"/value","old":{n},"new":{}}}]"#, n + 1);
    let table = ["users", "orders", "products"][usize::try_from(n % 3).unwrap_or(0)];
    let op = if matches!(shape, Shape::Snapshot) { Op::Snapshot } else { Op::Update };
    let mut telling = Telling::new("default", &id, op, i64::try_from(n / 100).unwrap_or(0))
        .record(table, [record.as_str()])
        .images(&image(n), &image(n + 1))
        .changes(&changes);
    if matches!(shape, Shape::UpdateBySomebody | Shape::UpdateInATransaction) {
        let person = spread(n) % 200;
        let (id, email) = (Some(format!("user_{person}")), Some(format!("somebody.{person}@example.com")));
        telling = telling.actor(Actor { id, email, ..Actor::default() });
    }
    if matches!(shape, Shape::UpdateInATransaction) {
        // Two changes in a request, as one transaction.
        telling = telling
            .context(&format!(r#"{{"requestId":"{:016x}-{n:016x}"}}"#, spread(n / 2 + 7), n = n / 2))
            .transaction(&format!("{}", 7_000_000 + n / 2));
    }
    telling.entry()
}

/// User and system time of this process so far: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
