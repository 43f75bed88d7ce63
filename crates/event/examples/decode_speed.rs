//! CPU time of decoding one update, bare and in an SNS notification: `cargo run --release --example decode_speed`.
//!
//! A figure to compare by on one machine, no verdict. CPU time is read from Linux' scheduler statistics.

use std::error::Error;
use std::fs;
use std::hint::black_box;

use afterimage_event::{Contents, Layers, Message, Settings, decode};

const ROUNDS: u32 = 9;

fn main() -> Result<(), Box<dyn Error>> {
    for image_bytes in [1_200, 24_000] {
        let event = update(image_bytes);
        let mut packed = String::new();
        afterimage_json::push_quoted(&event, &mut packed);
        let notification = format!(
            r#"{{"Type":"Notification","MessageId":"dc1e94d9-56c5-5e96-808d-cc7f68faa162","TopicArn":"arn:aws:sns:eu-west-1:123456789012:changes","Timestamp":"2026-01-09T10:00:06.871Z","Message":{packed}}}"#
        );
        for (way, body) in [("bare", &event), ("in SNS", &notification)] {
            let nanos = median_cpu_ns(body)?;
            let rate = body.len() as f64 / nanos;
            show(format_args!(
                "{image_bytes} byte images, {way}: {nanos:.0} ns, {rate:.2} GB/s of {} bytes",
                body.len()
            ));
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "what an example is for")]
fn show(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

/// An update with images of about so many bytes.
fn update(image_bytes: usize) -> String {
    let image = |status: &str| {
        let mut image = format!(r#"{{"id":"order-000017","status":"{status}","total":"129.90","items":["#);
        let mut n = 0;
        while image.len() < image_bytes {
            let comma = if n == 0 { "" } else { "," };
            image.push_str(&format!(
                r#"{comma}{{"sku":"SKU-{n:05}","name":"A chair, \"oak\"","quantity":{n},"price":19.90,"tags":["new","été"]}}"#
            ));
            n += 1;
        }
        image.push_str(r#"],"updatedAt":"2026-01-09T10:00:05.120Z"}"#);
        image
    };
    format!(
        r#"{{"v":1,"eventId":"01JH5Q7M3T8ZC9W2V4N6R0KXAB","seq":881,"source":"shop","tableName":"orders","recordId":"order-000017","operation":"update","occurredAt":"2026-01-09T10:00:05.120Z","before":{},"after":{},"by":{{"type":"user","id":"42","name":"Ana"}},"context":{{"requestId":"req_123","ip":"203.0.113.7"}}}}"#,
        image("pending"),
        image("shipped")
    )
}

fn median_cpu_ns(body: &str) -> Result<f64, Box<dyn Error>> {
    let settings = Settings::default();
    let mut layers = Layers::default();
    let message = Message {
        body,
        message_id: "059f36b4-87a3-44ab-83d2-661975830a7d",
        sent_at: "2026-01-09T10:00:07.250Z".parse()?,
        sequence_number: None,
        group_id: None,
        origin: None,
    };
    let events = (200_000_000 / body.len()).max(1);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = cpu_ns()?;
        for _ in 0..events {
            let Contents::Events(mut decoded) = decode(black_box(&message), &settings, &mut layers)? else {
                return Err("no event".into());
            };
            black_box(decoded.next().ok_or("no event")??);
        }
        rounds.push((cpu_ns()? - start) as f64 / events as f64);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

/// CPU time of this thread so far, in nanoseconds: the first figure of `schedstat` (`proc_pid_schedstat` in the kernel's
/// documentation).
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("no figure")?.parse()?)
}
