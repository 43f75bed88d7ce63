//! `afterimage serve`, as it is started and asked.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Running, afterimage, run};

/// A trail with what the demo's shop does, and a server on it.
fn serving(folder: &Path) -> (Running, String) {
    let demo = run(folder, &["demo", "--path", "demo", "--events", "120", "--rate", "1000"]);
    assert_eq!(demo.code, 0, "{}", demo.stderr);
    let mut command = afterimage(folder);
    command.args(["serve", "--listen", "127.0.0.1:0", "--sqlite-path", "demo/afterimage.db", "--log-format", "json"]);
    let mut server = Running::start(command);
    let address = server.wait_for("the address", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "answering").then(|| line["listen"].as_str().unwrap().to_owned())
    });
    (server, address)
}

fn get(address: &str, url: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {url} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
}

#[test]
fn the_command_line_and_the_api_tell_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = serving(folder.path());
    let (status, page) = get(&address, "/v1/records/orders/1001/history?limit=3");
    let store = ["--sqlite-path", "demo/afterimage.db", "--json"];
    let asked = run(folder.path(), &[&["history", "orders", "1001", "--limit", "3"][..], &store].concat());
    let asked: Value = serde_json::from_str(&asked.stdout).unwrap();
    // Not `next`: a cursor knows when its walk began.
    assert_eq!((status, &page["items"]), (200, &asked["items"]));
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".into()));
    let (code, log) = {
        server.signal("TERM");
        server.end()
    };
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("\"message\":\"answered\"") && log.contains("/v1/records/{table}/{id}/history"), "{log}");
    assert!(!log.contains("1001"), "ids are for the trail, not for the log: {log}");
}

#[test]
fn nobody_from_elsewhere_reads_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let refused = run(folder.path(), &["serve", "--listen", "0.0.0.0:8080"]);
    assert_eq!(refused.code, 64, "{}", refused.stderr);
    assert!(refused.stderr.contains("--listen") && refused.stderr.contains("--anonymous"), "{}", refused.stderr);
    let missing = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(missing.code, 1, "a server makes no empty trail: {}", missing.stderr);
    assert!(missing.stderr.contains("--sqlite-path"), "{}", missing.stderr);
}

#[test]
fn the_server_keeps_what_its_document_promises() {
    if std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1") {
        println!("SKIPPED: this test fetches schemathesis, and AFTERIMAGE_TEST_SKIP_SERVERS=1 says to do without");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_server, address) = serving(folder.path());
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tools/schemathesis");
    let mut command = Command::new(tool);
    command.current_dir(folder.path()).args(["run", &format!("http://{address}/v1/openapi.json")]);
    // The same requests each time; enough of them to come by every parameter of every question.
    command.args(["--checks", "all", "--seed", "1", "--max-examples", "25", "--generation-database", "none"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--workers", "2", "--no-color", "--continue-on-failure"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
