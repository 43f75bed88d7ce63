//! `afterimage serve` with tokens, on every store: the same answers, the same refusals, the same entries of who asked.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Running, afterimage, run};

/// The settings of a new and empty store of each kind that the environment has.
fn stores() -> Vec<(&'static str, Vec<String>)> {
    let unique = format!("serve_{:x}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos());
    let mut stores = vec![("sqlite", vec!["--sqlite-path=trail.db".to_owned()])];
    for (name, variable) in
        [("cassandra", "AFTERIMAGE_TEST_CASSANDRA_NODES"), ("mongodb", "AFTERIMAGE_TEST_MONGODB_URI")]
    {
        let Ok(address) = std::env::var(variable) else {
            assert!(
                std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1"),
                "{variable} is not set: run tests/servers/servers.sh with -- cargo test, or set \
                 AFTERIMAGE_TEST_SKIP_SERVERS=1"
            );
            println!("SKIPPED: {name}, since AFTERIMAGE_TEST_SKIP_SERVERS=1 and no {variable}");
            continue;
        };
        let settings = match name {
            "cassandra" => vec![
                format!("--cassandra-nodes={address}"),
                format!("--cassandra-keyspace={unique}"),
                // A test machine may be busy.
                "--cassandra-request-timeout=20s".to_owned(),
            ],
            _ => vec![format!("--mongodb-uri={address}"), format!("--mongodb-database={unique}")],
        };
        stores.push((name, [vec![format!("--store={name}")], settings].concat()));
    }
    stores
}

/// Two sources, a record that lives, hides a value and dies, a table that is emptied, a migration.
fn events() -> Vec<Value> {
    let told = |second: u32, id: &str, table: &str, operation: &str, rest: Value| {
        let who = ["ada", "bo"][second as usize % 2];
        let mut event = json!({ "eventId": format!("e{second}"), "source": "shop", "tableName": table, "recordId": id,
            "operation": operation, "occurredAt": format!("2026-01-09T10:00:{second:02}.000001Z"), "seq": second,
            "by": { "type": "user", "id": who },
            "context": { "requestId": format!("req-{}", second / 3) }, "transaction": format!("tx-{}", second / 4) });
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let row =
        |status: &str, password: &str| json!({ "id": "1", "status": status, "total": 19.90, "password": password });
    let mut events = vec![
        told(1, "1", "orders", "insert", json!({ "after": row("new", "a") })),
        told(2, "1", "orders", "update", json!({ "before": row("new", "a"), "after": row("paid", "a") })),
        told(3, "1", "orders", "update", json!({ "before": row("paid", "a"), "after": row("paid", "b") })),
        told(4, "1", "orders", "update", json!({ "before": row("lost", "b"), "after": row("sent", "b") })),
        told(5, "1", "orders", "delete", json!({ "before": row("sent", "b") })),
        told(6, "2", "orders", "insert", json!({ "after": { "id": "2", "note": "=HYPERLINK(\"x\")" } })),
        told(7, "ü,/", "users", "insert", json!({ "after": { "email": "a@example.com" }, "recordId": ["ü,/", "2"] })),
        told(8, "2", "orders", "insert", json!({ "after": { "id": "2" }, "source": "crm", "eventId": "crm-1" })),
        told(9, "x", "secrets", "insert", json!({ "after": { "v": "s3cr3t" } })),
    ];
    events.extend((10..40).map(|n| {
        told(n, &n.to_string(), "items", "insert", json!({ "after": { "n": n }, "context": { "migration": "m-1" } }))
    }));
    events.push(json!({ "eventId": "e40", "source": "shop", "tableName": "items", "operation": "truncate",
        "occurredAt": "2026-01-09T10:00:40Z", "seq": 40 }));
    events
}

/// Every question there is, and some that have no answer.
fn questions() -> Vec<String> {
    let day = "from=2026-01-09&to=2026-01-10";
    let mut urls: Vec<String> = Vec::new();
    for record in ["orders/1", "orders/2", "users/%C3%BC%2C%2F,2", "items/12", "orders/nobody"] {
        for source in ["", "source=shop&", "source=nowhere&"] {
            urls.extend(
                ["history?", "states?", "gaps?", "state?at=2026-01-09T10:00:03Z&"]
                    .map(|question| format!("/v1/records/{record}/{question}{source}")),
            );
            let times = "from=2026-01-09T10:00:01.5Z&to=2026-01-09T10:00:03.5Z";
            urls.push(format!("/v1/records/{record}/diff?{source}{times}"));
            urls.push(format!("/v1/records/{record}/revert?{source}to=2026-01-09T10:00:02.5Z"));
        }
    }
    for filter in [
        "",
        "table=orders",
        "actor=ada",
        "op=delete",
        "op=insert&table=items",
        "field=status&table=orders",
        "request=req-1",
        "transaction=tx-1",
        "migration=m-1&order=asc",
        "source=crm",
        "table=none",
    ] {
        urls.extend(["changes", "feed", "export"].map(|list| format!("/v1/{list}?{day}&{filter}")));
        urls.push(format!("/v1/export?{day}&{filter}&format=csv"));
        let unordered = filter.replace("&order=asc", "");
        urls.push(format!("/v1/counts?{day}&{unordered}&by=source,table,op,actor,hour"));
        urls.push(format!("/v1/bursts?{day}&{unordered}&window=10s&threshold=5&by=table"));
    }
    urls.extend(
        ["shop&table=orders", "shop&table=items", "shop&table=none"].map(|of| format!("/v1/gaps?{day}&source={of}")),
    );
    urls.push(
        "/v1/states?at=2026-01-09T10:00:03Z&record=shop/orders/1&record=orders/2&record=shop/orders/nobody".to_owned(),
    );
    urls
}

struct Server {
    address: String,
    _running: Running,
}

impl Server {
    fn start(folder: &Path, store: &[String]) -> Self {
        let mut command = afterimage(folder);
        command.args(["serve", "--listen", "127.0.0.1:0", "--access-file", "access.toml", "--log-format", "json"]);
        let mut running = Running::start({
            command.args(store);
            command
        });
        let address = running.wait_for("the address", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "answering").then(|| line["listen"].as_str().unwrap().to_owned())
        });
        Self { address, _running: running }
    }

    fn get(&self, url: &str, token: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // 1.0: the end of an answer is that of the connection.
        let head = format!("Host: {}\r\nAuthorization: Bearer {token}\r\n", self.address);
        write!(stream, "GET {url} HTTP/1.0\r\n{head}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// An answer without what differs from run to run: when something was stored, and what a cursor looks like.
    fn ask(&self, url: &str, token: &str) -> (u16, Value) {
        let (status, body) = self.get(url, token);
        let mut answer = match serde_json::from_str(&body) {
            Ok(answer) => answer,
            Err(_) if url.contains("format=csv") => csv(&body),
            Err(_) => {
                body.lines().map(|line| line.parse::<Value>().unwrap_or_else(|_| panic!("{url}: {line}"))).collect()
            }
        };
        timeless(&mut answer);
        (status, answer)
    }
}

/// Who asked what, the status, and the answer.
type Answered = (String, (u16, Value));

fn timeless(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(timeless),
        Value::Object(members) => {
            for name in ["stored_at", "published_at"] {
                members.remove(name);
            }
            if let Some(next) = members.get_mut("next").filter(|next| !next.is_null()) {
                *next = "there is more".into();
            }
            // Of a revert, which goes from now.
            if members.contains_key("left_out") {
                members.remove("from");
            }
            members.values_mut().for_each(timeless);
        }
        _ => {}
    }
}

/// The records of an export, without the times when things were stored; none of its texts is a formula.
fn csv(body: &str) -> Value {
    let lines: Vec<&str> = body.lines().collect();
    assert!(lines.last().is_some_and(|end| end.starts_with("#end,")), "{body}");
    assert!(!body.contains(",=") && !body.contains(",\"="), "{body}");
    Value::from(lines.len())
}

#[test]
fn every_store_gives_the_same_answers_refusals_and_entries_of_who_asked() {
    let mut first: Option<(Vec<Answered>, Value)> = None;
    for (name, store) in stores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let lines: Vec<String> = events().iter().map(Value::to_string).collect();
        std::fs::write(path.join("events.ndjson"), lines.join("\n")).unwrap();
        let with_store = |args: &[&str]| {
            let settings: Vec<&str> = store.iter().map(String::as_str).collect();
            let ended = run(path, &[args, &settings].concat());
            assert_eq!(ended.code, 0, "{name} {args:?}: {}{}", ended.stdout, ended.stderr);
        };
        match name {
            "cassandra" => with_store(&["migrate", "--cassandra-replication", "datacenter1:1"]),
            _ => with_store(&["migrate"]),
        }
        with_store(&["replay", "events.ndjson"]);
        let token = |args: &[&str]| {
            let told = run(path, &[&["token", "new"], args].concat()).stdout;
            let (token, entry) = told.split_once("\n\nThat is the token").unwrap();
            (token.to_owned(), entry[entry.find("[[token]]").unwrap()..].to_owned())
        };
        let (auditor, of_auditor) = token(&["auditing", "auditor"]);
        let (reader, of_reader) = token(&["support", "reader", "source=shop,table=orders"]);
        std::fs::write(path.join("access.toml"), [of_auditor, of_reader].concat()).unwrap();

        let server = Server::start(path, &store);
        let mut answers = Vec::new();
        for url in questions() {
            for (who, token) in [("auditor", &auditor), ("reader", &reader)] {
                let answer = server.ask(&url, token);
                assert!(who == "auditor" || !answer.1.to_string().contains("s3cr3t"), "{name} {url}: {answer:?}");
                answers.push((format!("{who} {url}"), answer));
            }
        }
        // A walk in small pages comes to the same as one page.
        let (mut walked, mut cursor) = (Vec::new(), String::new());
        let list = "/v1/changes?from=2026-01-09&to=2026-01-10";
        loop {
            let page: Value =
                serde_json::from_str(&server.get(&format!("{list}&limit=7{cursor}"), &auditor).1).unwrap();
            walked.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let whole: Value = serde_json::from_str(&server.get(list, &auditor).1).unwrap();
        assert_eq!(json!(walked), whole["items"], "{name}");
        assert_eq!(walked.len(), events().len(), "{name}");

        assert_eq!(server.get("/readyz", "").0, 200, "{name}");
        assert_eq!(server.get(list, "afterimage_none").0, 401, "{name}");
        let asked = "/v1/counts?source=afterimage&by=actor,table,op";
        let (_, counted) = server.ask(asked, &auditor);
        let keys = |item: &Value| json!([item["actor"], item["table"], item["op"], item["count"]]);
        let mut counted: Vec<Value> = counted["items"].as_array().unwrap().iter().map(keys).collect();
        counted.sort_by_key(Value::to_string);
        let refused = server.get("/v1/changes?source=afterimage&actor=support&limit=1000", &auditor).1;
        let refused = refused.matches(r#""refused":true"#).count();
        let recorded = json!([counted, refused]);
        assert!(refused > 10, "{name}: {refused} refused");

        let Some((expected, of_first)) = &first else {
            let answered = answers.iter().filter(|(_, (status, _))| *status == 200).count();
            assert!(answered > answers.len() / 2, "{answered} of {}", answers.len());
            first = Some((answers, recorded));
            continue;
        };
        for (ours, theirs) in answers.iter().zip(expected) {
            assert_eq!(ours, theirs, "{name}");
        }
        assert_eq!(&recorded, of_first, "{name}");
    }
}
