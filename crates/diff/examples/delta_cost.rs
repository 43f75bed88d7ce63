//! What `delta` costs beside `compare` alone, in nanoseconds of CPU time: `cargo run --release --example delta_cost`.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::fmt::Write as _;
use std::hint::black_box;

use afterimage_diff::{Arrays, DigestKey, Mutation, RuleBlock, Rules, TableRules, compare, delta};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The best of many samples: whatever else the machine does only ever adds.
fn best_ns(mut run: impl FnMut()) -> u64 {
    const RUNS: u64 = 500;
    (0..25)
        .map(|_| {
            let start = cpu_ns();
            (0..RUNS).for_each(|_| run());
            (cpu_ns() - start) / RUNS
        })
        .min()
        .unwrap_or_default()
}

/// An order of about so many bytes, as two states.
fn pair(bytes: usize) -> (String, String) {
    let order = |status: &str, updated: &str| {
        let mut text =
            format!(r#"{{"id":"ord-000123","status":"{status}","customer":{{"id":4711,"name":"Jürgen Groß","#);
        text.push_str(r#""address":{"street":"12 \"Old\" Lane","city":"Köln","zip":"50667","country":"DE"}},"total":"#);
        text.push_str(r#"129.90,"currency":"EUR","paid":true,"coupon":null,"items":["#);
        for item in 0..(bytes - 600) / 110 {
            let comma = if item == 0 { "" } else { "," };
            let _infallible = write!(
                text,
                r#"{comma}{{"sku":"SKU-{item:05}","title":"a thing with a name","quantity":{item},"price":12.5,"tax":{{"rate":0.19}}}}"#
            );
        }
        text.push_str("],");
        for field in 0..12 {
            let _infallible = write!(text, r#""field_{field:02}":"value {field}","#);
        }
        let _infallible = write!(text, r#""note":"left at the door","updated_at":"{updated}","version":12}}"#);
        text
    };
    (order("pending", "2026-01-09T10:00:05Z"), order("shipped to the customer", "2026-01-10T11:00:00Z"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = DigestKey::published();
    let none = TableRules::default();
    let ruled = |block: RuleBlock| Rules::new(vec![block], DigestKey::published()).map(|rules| rules.table("s", "t"));
    let quiet = ruled(RuleBlock::new("quiet", "*", "*").quiet("/updated_at")?)?;
    let redact = ruled(RuleBlock::new("redact", "*", "*").redact("/customer/name", "mask")?)?;
    let ignore = ruled(RuleBlock::new("ignore", "*", "*").ignore("/version")?)?;
    for bytes in [1_200, 24_000] {
        let (before, after) = pair(bytes);
        let secret = |text: &str| text.replace("\"note\"", "\"password_hash\"");
        let secrets = (secret(&before), secret(&after));
        let base = best_ns(|| {
            let _changes = black_box(compare(black_box(&before), black_box(&after), &Arrays::atomic()));
        });
        println!("{} B: compare {base} ns", before.len());
        let measure = |name: &str, before: &str, after: &str, rules: &TableRules| {
            let ns = best_ns(|| {
                let (before, after) = (Some(black_box(before)), Some(black_box(after)));
                let _delta = black_box(delta(Mutation::Update, before, after, &[], rules, &key));
            });
            println!("  delta, {name}: {ns} ns, {:.2} x compare", ns as f64 / base as f64);
        };
        measure("no rules", &before, &after, &none);
        measure("nothing changed", &before, &before, &none);
        measure("a secret in the image", &secrets.0, &secrets.1, &none);
        measure("a quiet member", &before, &after, &quiet);
        measure("a masked member", &before, &after, &redact);
        measure("an ignored member", &before, &after, &ignore);
    }
    Ok(())
}
