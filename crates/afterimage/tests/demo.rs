//! The demo as a new user meets it: it tells what happens, its commands work, and it goes on where it ended.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use support::{Running, afterimage, run};

fn demo(folder: &Path, flags: &[&str]) -> Running {
    let mut command = afterimage(folder);
    // It needs no AWS: not even these.
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_REGION");
    command.args(["demo", "--rate", "200"]).args(flags);
    Running::start(command)
}

fn history(folder: &Path, table: &str, id: &str) -> Vec<Value> {
    let store = ["--store", "sqlite", "--sqlite-path", "afterimage-demo/afterimage.db"];
    let question = ["history", table, id, "--json", "--limit", "1000"];
    let asked = run(folder, &[&question[..], &store].concat());
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    serde_json::from_str::<Value>(&asked.stdout).unwrap()["items"].as_array().unwrap().clone()
}

#[test]
fn it_tells_keeps_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (code, first) = demo(folder.path(), &["--events", "60"]).end();
    assert_eq!(code, 0, "{first}");
    for told in
        ["its entry stands in the trail", "insert  orders 1001", "changes published", "changed nothing, 0 refused"]
    {
        assert!(first.contains(told), "{told} is not in\n{first}");
    }
    let before = history(folder.path(), "orders", "1001");
    assert!(before.len() > 3);
    assert_eq!(before.last().unwrap()["op"], "insert");

    let (code, second) = demo(folder.path(), &["--events", "60"]).end();
    assert_eq!(code, 0, "{second}");
    let after = history(folder.path(), "orders", "1001");
    assert!(after.len() > before.len());
    assert_eq!(after[after.len() - before.len()..], before[..], "what was there is there");
    let ids: BTreeSet<_> = after.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), after.len());
    for entries in after.windows(2) {
        assert_eq!(entries[0]["before_digest"], entries[1]["after_digest"], "nothing happened past the audit");
        assert_eq!(entries[0]["flags"], serde_json::json!([]));
    }
}

#[test]
fn its_commands_work_when_pasted_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = demo(folder.path(), &["--path", "it's here"]);
    running.wait_for("the last example", |line| line.contains("--limit 1").then_some(()));
    let commands: Vec<String> = running
        .seen()
        .iter()
        .filter(|line| line.contains("--sqlite-path"))
        .map(|line| line.trim().to_owned())
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for command in &commands {
        let output =
            std::process::Command::new("sh").arg("-c").arg(command).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty());
    }
    running.signal("INT");
    let (code, text) = running.end();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("changes published"), "{text}");
}

#[test]
fn its_secrets_and_digits_are_kept_as_promised() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = demo(folder.path(), &["--events", "130"]).end();
    assert_eq!(code, 0, "{text}");
    let users = history(folder.path(), "users", "u1");
    let all = serde_json::to_string(&users).unwrap();
    assert!(!all.contains("argon2id") && !all.contains("tok-demo"), "{all}");
    assert!(all.contains(r#""redacted":"drop""#) && all.contains("\"***\""));
    let product = serde_json::to_string(&history(folder.path(), "products", "p1")).unwrap();
    assert!(product.contains("0.1250000000000000000000000001"), "{product}");
    let deleted = history(folder.path(), "orders", "1002");
    assert_eq!(deleted[0]["op"], "delete");
    assert!(deleted[0]["transaction"].as_str().unwrap().starts_with("clean-up-"));
    let store = ["--sqlite-path", "afterimage-demo/afterimage.db", "--json"];
    let gone = run(folder.path(), &[&["state", "orders", "1002"][..], &store].concat());
    let gone: Value = serde_json::from_str(&gone.stdout).unwrap();
    assert_eq!((&gone["exists"], gone["state"]["id"].to_string()), (&Value::Bool(false), "1002".to_owned()));
}

#[test]
fn two_demos_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = demo(folder.path(), &[]);
    running.wait_for("its first entry", |line| line.contains("its entry stands").then_some(()));
    let (code, text) = demo(folder.path(), &[]).end();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("--path"), "{text}");
    running.signal("TERM");
    assert_eq!(running.end().0, 0);
}

#[test]
fn it_ends_by_itself_after_the_time_it_was_given_whatever_it_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    // The fifth change makes no entry: the second run begins with it.
    assert_eq!(demo(folder.path(), &["--events", "4"]).end().0, 0);
    let (code, text) = demo(folder.path(), &["--for", "500ms"]).end();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("It ends by itself") && text.contains("changes published"), "{text}");
}
