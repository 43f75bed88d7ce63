//! Messages that cannot be stored, of every kind, among good ones, and what must become of each.

use serde_json::json;

/// Longest body that SQS takes.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// What a message is made of, and what must become of it.
pub(crate) struct Case {
    pub(crate) body: String,
    /// Ids of the events that are to be stored.
    pub(crate) stored: Vec<String>,
    /// The code it is dead-lettered with, and the indices of the events at fault.
    pub(crate) dead: Option<(&'static str, &'static str)>,
}

fn event(id: &str) -> String {
    json!({ "eventId": id, "tableName": "orders", "recordId": id, "operation": "insert", "after": { "n": 1 } })
        .to_string()
}

fn good(n: usize) -> Case {
    let id = format!("good-{n}");
    Case { body: event(&id), stored: vec![id], dead: None }
}

/// The n-th poisoned message: kinds in turn, every body another.
fn poison(n: usize) -> Case {
    let table = format!(r#""eventId":"poison-{n}","tableName":"orders","recordId":"{n}""#);
    let bad = format!(r#"{{{table},"operation":"upsert","after":{{}}}}"#);
    let whole = |body: String, code| Case { body, stored: Vec::new(), dead: Some((code, "")) };
    match n % 16 {
        0 => whole(format!("not json {n}"), "not_json"),
        1 => whole(format!(r#"{{{table},"operation":"insert","after":{{"#), "not_json"),
        2 => Case { body: format!(r#"["just","texts",{n}]"#), stored: Vec::new(), dead: Some(("wrong_type", "0,1,2")) },
        3 => whole(format!(r#"{{"eventId":"p{n}","recordId":"{n}","operation":"insert","after":{{}}}}"#), "missing"),
        4 => whole(bad, "bad_value"),
        5 => whole(
            format!(r#"{{{table},"operation":"insert","after":{}{n}{}}}"#, "[".repeat(200), "]".repeat(200)),
            "too_deep",
        ),
        6 => whole(format!(r#"{{{table},"operation":"insert","after":{{"a":1,"a":2}}}}"#), "duplicate_key"),
        7 => whole(format!(r#"{{{table},"operation":"insert","after":{{"a":"\ud800 {n}"}}}}"#), "not_json"),
        8 => whole(
            format!(
                r#"{{"eventId":"{}{n}","tableName":"t","recordId":"1","operation":"insert","after":{{}}}}"#,
                "x".repeat(2_000)
            ),
            "too_long",
        ),
        9 => whole(format!(r#"{{{table},"operation":"insert","after":{{"n":01}}}}"#), "not_json"),
        10 => whole(
            format!(r#"{{"eventId":"p{n}","tableName":"orders","operation":"insert","after":{{"name":"no id"}}}}"#),
            "missing_record_id",
        ),
        11 => whole(format!(r#"{{{table},"operation":"update"}}"#), "missing_image"),
        12 => {
            // Five strings in each other.
            let packed = (0..5).fold(bad, |text, _| serde_json::to_string(&text).unwrap());
            whole(packed, "too_many_layers")
        }
        13 => {
            let (first, last) = (format!("mixed-{n}-0"), format!("mixed-{n}-3"));
            let body = format!("[{},{bad},17,{}]", event(&first), event(&last));
            Case { body, stored: vec![first, last], dead: Some(("bad_value", "1,2")) }
        }
        14 => whole(
            json!({ "Type": "Notification", "MessageId": format!("sns-{n}"), "TopicArn": "arn:aws:sns:eu-west-1:1:t",
                "Timestamp": "2026-01-09T10:00:05.120Z", "Message": bad })
            .to_string(),
            "bad_value",
        ),
        _ => Case {
            body: format!("[{bad}, {}]", bad.replace("upsert", "frobnicate")),
            stored: Vec::new(),
            dead: Some(("bad_value", "0,1")),
        },
    }
}

/// Poison that fills a message to the last byte: there is no room for any attribute.
fn oversized(n: usize) -> Case {
    let head = format!("not json {n} ");
    let body = format!("{head}{}", "x".repeat(BODY_BYTES_MAX - head.len()));
    Case { body, stored: Vec::new(), dead: Some(("", "")) }
}

/// So many poisoned messages, one good message behind each, and bodies without room among them.
pub(crate) fn cases(poisoned: usize, oversized: usize) -> Vec<Case> {
    let mut cases: Vec<_> = (0..poisoned).flat_map(|n| [poison(n), good(n)]).collect();
    for n in 0..oversized {
        cases.insert(n * cases.len() / (oversized + 1), self::oversized(n));
    }
    cases
}
