//! Questions in the terminal, asked of a file and of an API.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use support::{Ended, run};

/// Changes of a record, one a minute, so many.
fn history(count: u64) -> String {
    (0..count).fold(String::new(), |lines, n| {
        let time = format!("2026-01-09T{:02}:{:02}:00Z", n / 60, n % 60);
        let (before, after) = (json!({ "n": n }), json!({ "n": n + 1, "wide": "東京 ".repeat(40) }));
        let event = json!({ "eventId": format!("e{n}"), "source": "shop", "tableName": "users", "recordId": "u1",
            "operation": "update", "occurredAt": time, "before": before, "after": after, "by": "ada@example.com" });
        lines + &event.to_string() + "\n"
    })
}

fn seeded(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.ndjson"), history(count)).unwrap();
    let replayed = run(folder.path(), &["replay", "events.ndjson"]);
    assert_eq!(replayed.code, 0, "{}{}", replayed.stdout, replayed.stderr);
    folder
}

fn ask(folder: &Path, arguments: &str) -> Ended {
    run(folder, &arguments.split(' ').collect::<Vec<_>>())
}

fn body(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn all_pages_are_one_body_and_a_cursor_goes_on() {
    let folder = seeded(25);
    let all = body(&ask(folder.path(), "history users u1 --all --json"));
    assert_eq!((all["items"].as_array().unwrap().len(), &all["next"]), (25, &Value::Null));
    let mut seen = Vec::new();
    let mut question = "history users u1 --limit 10 --json".to_owned();
    loop {
        let page = body(&ask(folder.path(), &question));
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        question = format!("history users u1 --limit 10 --json --cursor {next}");
    }
    assert_eq!(Value::Array(seen), all["items"]);
    let oldest = body(&ask(folder.path(), "history users u1 --asc --limit 1 --json"));
    assert_eq!(oldest["items"][0]["id"], "e0");
}

#[test]
fn exit_codes_tell_scripts_what_was_found() {
    let folder = seeded(3);
    for (arguments, code) in [
        ("history users u1", 0),
        ("history users u1 --fail-if-any", 7),
        ("history users u1 --from 2030-01-01 --fail-if-any", 0),
        ("history users nobody", 4),
        ("state users u1 --source shop --at tomorrow", 64),
        ("history users u1 --cursor AAAA", 64),
        ("diff users u1", 64),
        ("revert users u1", 64),
        ("history users u1 --limit 1001", 64),
        ("at now users", 64),
        ("counts colour", 64),
        ("bursts --window 0s", 64),
        ("history users u1 --api http://127.0.0.1:1 --store sqlite", 64),
        ("history users u1 --api http://127.0.0.1:1", 1),
        ("history users u1 --api ftp://x", 64),
        ("history users u1 --api http://127.0.0.1:1 --token-file missing", 64),
    ] {
        let ended = ask(folder.path(), arguments);
        assert_eq!(ended.code, code, "{arguments}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.lines().count() <= 1, "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn an_export_that_ends_early_leaves_no_file() {
    let folder = seeded(3);
    let whole = ask(folder.path(), "export --since 2026-01-01 --output whole.ndjson");
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let lines = std::fs::read_to_string(folder.path().join("whole.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), 4);
    assert_eq!(lines.lines().last(), Some(r#"{"end":true,"items":3}"#));

    let csv = ask(folder.path(), "export --since 2026-01-01 --csv");
    assert!(csv.stdout.starts_with("id,tenant,source,"), "{}", csv.stdout);
    assert!(csv.stdout.lines().last().unwrap().starts_with("#end,3,"), "{}", csv.stdout);

    for (body, flag) in [(&lines, ""), (&csv.stdout, " --csv")] {
        let (whole, _) = api(200, body);
        let question = format!("export --since 2026-01-01 --output cut.out{flag} --api");
        assert_eq!(ask(folder.path(), &format!("{question} {whole}")).code, 0);
        assert_eq!(std::fs::read_to_string(folder.path().join("cut.out")).unwrap(), *body);
        std::fs::remove_file(folder.path().join("cut.out")).unwrap();

        let end = body.trim_end().rfind('\n').unwrap() + 1;
        let (short, _) = api(200, &body[..end]);
        let cut = ask(folder.path(), &format!("{question} {short}"));
        assert_eq!(cut.code, 1);
        assert!(cut.stderr.contains("its last line is missing"), "{}", cut.stderr);
    }
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.contains("cut"));
    assert_eq!(names, [""; 0]);
}

#[test]
fn every_list_is_written_out_with_its_end() {
    let folder = seeded(3);
    for (question, columns, items) in [
        ("history users u1", "id,tenant,source,", Some(3)),
        ("states users u1", "id,op,occurred_at,exists,", Some(3)),
        ("at 2030-01-01 users/u1 users/u1", "source,table,record_id,exists,", Some(2)),
        ("gaps users --since 2026-01-01", "source,table,record_id,after_id,", None),
        ("gaps users u1", "source,table,record_id,after_id,", None),
        ("changes --since 2026-01-01", "id,tenant,source,", Some(3)),
        ("feed --since 2026-01-01", "id,occurred_at,text,", Some(3)),
        ("counts table --since 2026-01-01", "table,count,first,last", Some(1)),
        ("bursts table --threshold 1 --window 24h --since 2026-01-01", "table,count,first,last", None),
    ] {
        let csv = ask(folder.path(), &format!("{question} --as csv"));
        assert_eq!(csv.code, 0, "{question}: {}", csv.stderr);
        assert!(csv.stdout.starts_with(columns), "{question}: {}", csv.stdout);
        assert!(csv.stdout.lines().last().unwrap().starts_with("#end,"), "{question}: {}", csv.stdout);
        let lines = ask(folder.path(), &format!("{question} --as ndjson")).stdout;
        let written = lines.lines().count() - 1;
        assert_eq!(lines.lines().last(), Some(format!(r#"{{"end":true,"items":{written}}}"#).as_str()), "{question}");
        assert!(items.is_none_or(|items| items == written), "{question}: {lines}");
    }
    let refused = ["--as csv --limit 5", "--as csv --cursor x", "--as csv --json", "--as xml", "--output x"];
    for flags in refused {
        assert_eq!(ask(folder.path(), &format!("history users u1 {flags}")).code, 64, "{flags}");
    }
    let output = ask(folder.path(), "history users u1 --as csv --output history.csv");
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    assert!(std::fs::read_to_string(folder.path().join("history.csv")).unwrap().starts_with("id,tenant,"));
}

/// An API that answers everything so, and what it was asked.
fn api(status: u16, body: &str) -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let kind = if status == 200 { "application/json" } else { "application/problem+json" };
    let head = format!("HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = head + body;
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let head = BufReader::new(&stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty());
            let head: Vec<String> = head.collect();
            (&stream).write_all(answer.as_bytes()).unwrap();
            if sender.send(head).is_err() {
                return;
            }
        }
    });
    (url, asked)
}

#[test]
fn through_the_api_the_same_answer_looks_the_same() {
    let folder = seeded(3);
    std::fs::write(folder.path().join("token"), "s3cret\n").unwrap();
    for question in ["history users u1", "state users u1 --at 2026-01-09T00:01:00Z"] {
        let (api, asked) = api(200, ask(folder.path(), &format!("{question} --json")).stdout.trim_end());
        let direct = ask(folder.path(), question);
        let through = ask(folder.path(), &format!("{question} --api {api} --token-file token"));
        assert_eq!((through.code, &through.stdout), (0, &direct.stdout), "{}", through.stderr);
        let head = asked.recv().unwrap();
        assert!(head[0].starts_with("GET /v1/records/users/u1/"), "{head:?}");
        assert!(head.iter().any(|line| line.eq_ignore_ascii_case("authorization: bearer s3cret")), "{head:?}");
    }
}

/// The page of examples, asked both ways.
#[test]
fn every_question_has_the_same_answer_from_a_store_and_through_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli-example.ndjson");
    let replayed = run(folder.path(), &["replay", example.to_str().unwrap()]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    let mut command = support::afterimage(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut server = support::Running::start(command);
    let address = server.wait_for("the address", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "answering").then(|| line["listen"].as_str().unwrap().to_owned())
    });
    for question in [
        "history users 123 --all",
        "history memberships o1,123 --asc --json",
        "state users 123 --at 2026-01-06",
        "states orders 7 --json",
        "at 2026-01-09T11:59:59Z shop/users/123 orgs/o1 users/nobody",
        "diff users 123 --from 2026-01-06 --to 2026-01-08 --json",
        "gaps orders 7",
        "gaps orders --source shop --since 2026-01-01 --json",
        "changes --actor agent-42 --since 2026-01-01 --all --json",
        "changes --op insert,delete --table users --since 2026-01-01 --until 2026-02-01",
        "changes --request req-77 --since 2026-01-01 --fail-if-any",
        "feed --table orders --since 2026-01-01",
        "counts actor,hour --since 2026-01-01 --json",
        "bursts actor --threshold 10 --window 30m --since 2026-01-01",
        "export --since 2026-01-01",
        "export --since 2026-01-01 --csv --asc",
        "history users nobody",
        "history users 123 --cursor AAAA",
    ] {
        let direct = ask(folder.path(), question);
        let through = ask(folder.path(), &format!("{question} --api http://{address}"));
        assert_eq!((through.code, &through.stdout), (direct.code, &direct.stdout), "{question}: {}", through.stderr);
    }
}

#[test]
fn a_problem_of_the_api_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (status, problem, code) in [
        (404, r#"{"type":"/problems/no-such-record","detail":"no entry of this record"}"#, 4),
        (400, r#"{"type":"/problems/bad-parameter","detail":"from: not a time"}"#, 64),
        (403, r#"{"type":"/problems/forbidden","detail":"ask for a grant\u001b[2J"}"#, 1),
        (502, "<html>", 1),
    ] {
        let (api, _asked) = api(status, problem);
        let ended = ask(folder.path(), &format!("history users u1 --api {api}"));
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    }
}

#[test]
fn shells_are_told_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = ask(folder.path(), &format!("completions {shell}"));
        assert_eq!(script.code, 0);
        for word in ["history", "bursts", "fail-if-any"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
}
