//! A worker as an operator meets it: signals, exit codes, the health page, dead letters, and what it never shows.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::http::{get, series};
use support::sqs::Queues;
use support::{PATIENCE, Running, afterimage, run, wait_until};

/// A value that must show up nowhere but in the dead-letter queue.
const SECRET: &str = "hunter2-swordfish";

fn order(id: u64) -> String {
    json!({
        "eventId": format!("e{id}"), "tableName": "orders", "recordId": id.to_string(), "operation": "update",
        "before": { "id": id, "status": "pending" }, "after": { "id": id, "status": "paid" },
        "occurredAt": "2026-01-09T10:00:05Z", "by": "ada@example.com",
    })
    .to_string()
}

fn worker(folder: &Path, queues: &Queues, flags: &[&str]) -> Command {
    let mut command = afterimage(folder);
    command.args(["worker", "--queue-url", &queues.changes, "--listen", "127.0.0.1:0"]).args(flags);
    command
}

fn page_address(running: &mut Running) -> String {
    running.wait_for("the address of the health page", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["listen"].as_str().map(str::to_owned)
    })
}

fn history(folder: &Path, id: u64) -> Value {
    let asked = run(folder, &["history", "orders", &id.to_string(), "--json"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    serde_json::from_str(&asked.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_idle_and_everything_is_in_the_trail() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send((1..=25).map(order)).await;
    queues.send((1..=25).map(order)).await; // told twice
    let flags = ["--exit-when-idle", "1s", "--dlq-url", &queues.dead];
    let (code, text) = Running::start(worker(folder.path(), &queues, &flags)).end();
    assert_eq!(code, 0, "{text}");
    assert_eq!(queues.counts(&queues.changes).await, (0, 0));
    for id in 1..=25 {
        let page = history(folder.path(), id);
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["items"][0]["changes"], json!([{"path": "/status", "old": "pending", "new": "paid"}]));
        assert_eq!(page["next"], Value::Null);
    }
}

/// Does all that waits with its log going there, and ends well.
async fn works_whatever_becomes_of_its_log(log: impl Into<Stdio>) {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send((1..=25).map(order)).await;
    let mut child = worker(folder.path(), &queues, &["--exit-when-idle", "1s"]).stderr(log).spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            None if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(20)).await,
            None => break child.kill().and_then(|()| child.wait()).unwrap(),
            Some(status) => break status,
        }
    };
    assert_eq!(status.code(), Some(0), "it ends by itself, and well");
    assert_eq!(queues.counts(&queues.changes).await, (0, 0));
    for id in 1..=25 {
        assert_eq!(history(folder.path(), id)["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_when_its_log_is_a_full_pipe_that_nobody_reads() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut full = writer.try_clone().unwrap();
    // It stays full: what fills it waits for room until the reader drops.
    std::thread::spawn(move || full.write_all(&[b'\n'; 2 << 20]));
    works_whatever_becomes_of_its_log(writer).await;
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_when_the_reader_of_its_log_is_gone() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    works_whatever_becomes_of_its_log(writer).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn it_works_when_the_disk_of_its_log_is_full() {
    works_whatever_becomes_of_its_log(std::fs::File::create("/dev/full").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_is_named_and_ends_nothing() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send((1..=600).map(order)).await;
    let worker = worker(folder.path(), &queues, &[]);
    // At most 400 KiB, or half of that where a block is 512 bytes. 600 entries take more than 1 MiB.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 400; exec \"$0\" \"$@\""]).arg(worker.get_program()).args(worker.get_args());
    limited.current_dir(folder.path()).envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut running = Running::start(limited);
    running.wait_for("what the file says", |line| line.contains("sqlite: disk I/O error").then_some(()));
    running.signal("TERM");
    let (code, text) = running.end();
    assert_eq!(code, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_understand_is_dead_lettered_whole_with_the_reason_and_told_by_the_exit_code() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let poison = format!(r#"{{"tableName":"users","operation":"upsert","after":{{"id":1,"note":"{SECRET}"}}}}"#);
    queues.send([order(1), poison.clone(), order(2)]).await;
    let flags = ["--exit-when-idle", "1s", "--dlq-url", &queues.dead, "--worker-name", "w1", "--log-level", "trace"];
    let (code, text) = Running::start(worker(folder.path(), &queues, &flags)).end();
    assert_eq!(code, 3, "{text}");
    assert!(!text.contains(SECRET), "a value is in the log");

    let letters = queues.dead_letters().await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(letter.body(), Some(poison.as_str()));
    let attributes = letter.message_attributes().unwrap();
    let attribute = |name: &str| attributes.get(name).and_then(|value| value.string_value()).unwrap_or_default();
    assert_eq!(attribute("afterimage.worker"), "w1");
    assert!(attribute("afterimage.place").contains("/operation"), "{attributes:?}");
    assert!(!attribute("afterimage.reason").is_empty() && !attribute("afterimage.origin").is_empty());
    assert!(!format!("{attributes:?}").contains(SECRET));
    for id in [1, 2] {
        assert_eq!(history(folder.path(), id)["items"].as_array().unwrap().len(), 1, "its neighbours are stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dead_letter_queue_a_message_is_left_to_the_redrive_policy() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send(["{".to_owned()]).await;
    let mut running = Running::start(worker(folder.path(), &queues, &[]));
    running.wait_for("a word about it", |line| line.contains("left to the redrive policy").then_some(()));
    running.signal("TERM");
    assert_eq!(running.end().0, 0);
    let (visible, held) = queues.counts(&queues.changes).await;
    assert_eq!(visible + held, 1, "it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_page_tells_how_it_is_and_the_books_balance() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let unchanged = r#"{"tableName":"orders","operation":"update","before":{"id":9},"after":{"id":9.0}}"#;
    queues.send((1..=40).map(order).chain(["nonsense".to_owned(), unchanged.to_owned()])).await;
    let mut running = Running::start(worker(folder.path(), &queues, &["--dlq-url", &queues.dead]));
    let address = page_address(&mut running);
    let page = wait_until("the end of the work", || {
        let (status, page) = get(&address, "/metrics");
        assert_eq!(status, 200);
        let deleted = series(&page, "afterimage_messages_total{outcome=\"deleted\"}");
        let of = |series_names: &[&str]| -> f64 { series_names.iter().map(|name| series(&page, name)).sum() };
        assert_eq!(
            series(&page, "afterimage_messages_received_total"),
            deleted
                + of(&[
                    "afterimage_messages_total{outcome=\"released\"}",
                    "afterimage_messages_total{outcome=\"lease_lost\"}",
                    "afterimage_messages_in_flight",
                ])
        );
        assert_eq!(
            series(&page, "afterimage_events_decoded_total"),
            of(&[
                "afterimage_events_total{outcome=\"stored\"}",
                "afterimage_events_total{outcome=\"unchanged\"}",
                "afterimage_events_total{outcome=\"expired\"}",
                "afterimage_events_total{outcome=\"rejected\"}",
                "afterimage_events_total{outcome=\"abandoned\"}",
                "afterimage_events_pending",
            ])
        );
        (deleted == 42.0).then_some(page)
    });
    assert_eq!(series(&page, "afterimage_events_total{outcome=\"stored\"}"), 40.0);
    assert_eq!(series(&page, "afterimage_events_total{outcome=\"unchanged\"}"), 1.0);
    assert_eq!(series(&page, "afterimage_events_total{outcome=\"rejected\"}"), 1.0);
    assert!(series(&page, "process_resident_memory_bytes") > 0.0);
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/nothing").0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_drains_and_leaves_nothing_held() {
    for signal in ["TERM", "INT"] {
        let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
        queues.send((1..=300).map(order)).await;
        let mut running = Running::start(worker(folder.path(), &queues, &["--pollers-max", "2"]));
        page_address(&mut running);
        running.signal(signal);
        let (code, text) = running.end();
        assert_eq!(code, 0, "{text}");
        let (visible, held) = queues.counts(&queues.changes).await;
        assert_eq!(held, 0, "what was not finished is given back at once");
        let ended: Value = text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap();
        assert_eq!(ended["message"], "ended");
        assert_eq!(
            ended["received"].as_u64(),
            Some(ended["deleted"].as_u64().unwrap() + ended["released"].as_u64().unwrap())
        );
        assert_eq!(ended["deleted"].as_u64(), Some(300 - visible));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_down_at_the_start_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let first = Queues::start().await;
    let address = first.endpoint.address();
    first.endpoint.shutdown().await;

    let mut command = afterimage(folder.path());
    let url = &first.changes;
    command.args(["worker", "--queue-url", url, "--listen", "127.0.0.1:0", "--exit-when-idle", "1s"]);
    let mut running = Running::start(command);
    let page = page_address(&mut running);
    running.wait_for("a word about the queue", |line| line.contains("receiving from the queue failed").then_some(()));
    let reason = wait_until("a word on the page", || {
        let (status, reason) = get(&page, "/readyz");
        (status == 503).then_some(reason)
    });
    assert!(reason.starts_with("queue: "), "{reason}");
    assert_eq!(get(&page, "/healthz").0, 200, "a restart would not help");

    let endpoint = afterimage_embedded_queue::EmbeddedQueue::start(address).await.unwrap();
    let queues = Queues::with(endpoint).await;
    queues.send([order(1)]).await;
    let (code, text) = running.end();
    assert_eq!(code, 0, "{text}");
    assert_eq!(history(folder.path(), 1)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_neither_log_nor_trail() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let event = json!({
        "tableName": "users", "operation": "update", "before": { "id": "u1", "password": "old" },
        "after": { "id": "u1", "password": SECRET, "profile": { "apiKey": SECRET } },
        "context": { "extra": { "accessToken": SECRET } },
    });
    queues.send([event.to_string()]).await;
    let flags = ["--exit-when-idle", "1s", "--dlq-url", &queues.dead, "--log-level", "trace"];
    let (code, text) = Running::start(worker(folder.path(), &queues, &flags)).end();
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(SECRET));
    for question in [&["history", "users", "u1", "--json"][..], &["history", "users", "u1"], &["state", "users", "u1"]]
    {
        let asked = run(folder.path(), question);
        assert_eq!(asked.code, 0, "{}", asked.stderr);
        assert!(asked.stdout.contains("password") && !asked.stdout.contains(SECRET), "{}", asked.stdout);
    }
    let stored = std::fs::read(folder.path().join("afterimage.db")).unwrap();
    assert!(!stored.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()), "a secret is in the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_settings_file_hold() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let settings = format!(
        "queue-url = {:?}\nlisten = \"127.0.0.1:0\"\nexit_when_idle = \"1s\"\nsource = \"shop\"\ntenant = \"acme\"\n\
         [[rules]]\ntable = \"parts\"\nquiet = [\"/at\"]\nredact = {{ \"/price\" = \"mask\" }}\nrecord_id = [\"/org\", \"/no\"]\n\
         retention = \"7y\"\narrays = {{ \"/tags\" = \"index\" }}\n",
        queues.changes
    );
    std::fs::write(folder.path().join("afterimage.toml"), settings).unwrap();
    let part =
        |price: u64, tags: &[&str], at: u64| json!({ "org": "o,1", "no": 7, "price": price, "tags": tags, "at": at });
    let update = |before: Value, after: Value| {
        json!({ "tableName": "parts", "operation": "update", "before": before, "after": after }).to_string()
    };
    queues
        .send([
            update(part(1, &["a"], 1), part(2, &["a", "b"], 2)),
            update(part(2, &["a", "b"], 2), part(2, &["a", "b"], 3)),
        ])
        .await;
    let mut command = afterimage(folder.path());
    command.arg("worker");
    let (code, text) = Running::start(command).end();
    assert_eq!(code, 0, "{text}");
    let asked = run(folder.path(), &["history", "parts", "o%2C1,7", "--json"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let page: Value = serde_json::from_str(&asked.stdout).unwrap();
    let [entry] = &page["items"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!((&entry["source"], &entry["tenant"]), (&json!("shop"), &json!("acme")));
    assert_eq!(entry["record_id"], json!(["o,1", "7"]));
    assert!(entry["expires_at"].is_string());
    let changes = entry["changes"].as_array().unwrap();
    assert!(changes.contains(&json!({"path": "/price", "redacted": "mask"})), "{entry}");
    assert!(changes.contains(&json!({"path": "/tags/1", "new": "b"})), "{entry}");
    assert_eq!(entry["after"]["price"], "***");
}

#[test]
fn told_twice_to_stop_it_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let queue = support::stuck_queue(&order(1));
    let mut command = afterimage(folder.path());
    command.args([
        "worker",
        "--queue-url",
        &format!("{queue}/1/changes"),
        "--listen",
        "127.0.0.1:0",
        "--grace-period",
        "10m",
    ]);
    let mut running = Running::start(command);
    let address = page_address(&mut running);
    wait_until("the stored entry", || {
        let stored = series(&get(&address, "/metrics").1, "afterimage_events_total{outcome=\"stored\"}");
        (stored == 1.0).then_some(())
    });
    running.signal("TERM");
    running.wait_for("the first signal's effect", |line| line.contains("stopping").then_some(()));
    running.signal("TERM");
    let (code, text) = running.end();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("told twice to stop"), "{text}");
}
