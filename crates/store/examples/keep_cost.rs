//! What one message costs on its way from body to entry, in nanoseconds of CPU time:
//! `cargo run --release -p afterimage-store --example keep_cost`.
//!
//! Figures to compare by on one machine, no verdict. With a number as argument each case is decoded from SNS and kept so often, for a
//! profiler.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../../../bench/baseline/src/pairs.rs"]
mod pairs;

use std::error::Error;
use std::hint::black_box;

use afterimage_diff::{Mutation, Rules, delta};
use afterimage_event::{ChangeEvent, Contents, Layers, Message, Settings, Timestamp, decode};
use afterimage_store::keep;
use rustix::time::{ClockId, clock_gettime};

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The best of many samples: whatever else the machine does only ever adds.
fn best_ns(mut run: impl FnMut(usize)) -> u64 {
    const RUNS: usize = 256;
    let sample = |run: &mut dyn FnMut(usize)| {
        let start = cpu_ns();
        (0..RUNS).for_each(run);
        (cpu_ns() - start) / RUNS as u64
    };
    (0..40).map(|_| sample(&mut run)).min().unwrap_or_default()
}

fn event(before: &str, after: &str) -> String {
    format!(
        r#"{{"v":1,"eventId":"01JH5Q7M3T8ZC9W2V4N6R0KXAB","seq":881,"source":"shop","tableName":"orders","recordId":"ord_17","operation":"update","occurredAt":"2026-01-09T10:00:05.120Z","before":{before},"after":{after},"by":{{"type":"user","id":"42","name":"Ana"}},"context":{{"requestId":"req_123","ip":"203.0.113.7"}}}}"#
    )
}

fn notification(event: &str) -> String {
    let mut packed = String::new();
    afterimage_json::push_quoted(event, &mut packed);
    format!(
        r#"{{"Type":"Notification","MessageId":"dc1e94d9-56c5-5e96-808d-cc7f68faa162","TopicArn":"arn:aws:sns:eu-west-1:123456789012:changes","Timestamp":"2026-01-09T10:00:06.871Z","Message":{packed}}}"#
    )
}

/// Decodes a message of one event and gives the event to `then`.
fn with_event<R>(body: &str, settings: &Settings, layers: &mut Layers, then: impl FnOnce(&ChangeEvent<'_>) -> R) -> R {
    let message = Message {
        body,
        message_id: "059f36b4-87a3-44ab-83d2-661975830a7d",
        sent_at: Timestamp::from_micros(1_768_000_000_000_000).expect("a moment"),
        sequence_number: None,
        group_id: None,
        origin: None,
    };
    let Contents::Events(mut events) = decode(&message, settings, layers).expect("a message") else {
        panic!("no event")
    };
    then(&events.next().expect("an event").expect("an event"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (settings, rules, now) = (Settings::default(), Rules::default(), "2026-01-09T10:00:09Z".parse()?);
    let mut layers = Layers::default();
    let once: Option<usize> = std::env::args().nth(1).map(|count| count.parse()).transpose()?;
    for case in
        pairs::cases().into_iter().filter(|case| case.name.ends_with("two changes") || case.name.ends_with("identical"))
    {
        let bare: Vec<_> = case.pairs.iter().map(|(before, after)| event(before, after)).collect();
        let packed: Vec<_> = bare.iter().map(|event| notification(event)).collect();
        let pick = |list: &[String], n: usize| black_box(list[n % list.len()].as_str().to_owned());
        if let Some(count) = once {
            (0..count).for_each(|n| {
                with_event(&pick(&packed, n), &settings, &mut layers, |event| {
                    black_box(keep(event, &rules, now, 0)).is_ok()
                });
            });
            continue;
        }
        println!("{}, {} B of images", case.name, case.pairs[0].0.len() + case.pairs[0].1.len());
        let table = rules.table("shop", "orders");
        let delta_ns = best_ns(|n| {
            let (before, after) = &case.pairs[n % case.pairs.len()];
            let (before, after) = (Some(black_box(before.as_str())), Some(black_box(after.as_str())));
            let _delta = black_box(delta(Mutation::Update, before, after, &[], &table, rules.key()));
        });
        println!("  {:<28}{delta_ns:>8} ns", "delta");
        for (name, bodies) in [("bare", &bare), ("in SNS", &packed)] {
            let body = |n: usize| black_box(bodies[n % bodies.len()].as_str());
            let decode_ns = best_ns(|n| {
                with_event(body(n), &settings, &mut layers, |event| {
                    black_box(event.op);
                });
            });
            let keep_ns = best_ns(|n| {
                with_event(body(n), &settings, &mut layers, |event| drop(black_box(keep(event, &rules, now, 0))));
            });
            println!("  {:<28}{decode_ns:>8} ns", format!("decode, {name}"));
            println!("  {:<28}{keep_ns:>8} ns", format!("decode and keep, {name}"));
            println!("  {:<28}{:>8} ns", "keep beside delta", keep_ns.saturating_sub(decode_ns + delta_ns));
        }
    }
    Ok(())
}
