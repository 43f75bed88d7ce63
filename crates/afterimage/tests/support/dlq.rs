//! Dead letters as the real worker makes them, and what the real tool says of them.

use std::path::Path;

use serde_json::Value;

use super::sqs::Queues;
use super::{Ended, Running, afterimage, run};

/// Runs a worker until nothing is left to do; what it cannot understand is with the dead letters then.
pub(crate) fn work(folder: &Path, queues: &Queues) {
    let mut command = afterimage(folder);
    command.args(["worker", "--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--listen", "127.0.0.1:0"]);
    command.args(["--exit-when-idle", "1s", "--worker-name", "w1"]);
    let (code, text) = Running::start(command).end();
    assert!(code == 0 || code == 3, "{text}");
}

/// `afterimage dlq …`, beside the worker's SQLite file.
pub(crate) fn dlq(folder: &Path, queues: &Queues, args: &[&str]) -> Ended {
    let mut all = vec!["dlq", args[0], "--dlq-url", &queues.dead, "--store", "sqlite"];
    all.extend(&args[1..]);
    run(folder, &all)
}

/// `afterimage dlq … --json`, which must end with this code.
pub(crate) fn dlq_json(folder: &Path, queues: &Queues, args: &[&str], code: i32) -> Value {
    let ended = dlq(folder, queues, &[args, &["--json"]].concat());
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The entries of a record.
pub(crate) fn entries(folder: &Path, table: &str, id: &str) -> Vec<Value> {
    let asked = run(folder, &["history", table, id, "--json"]);
    if asked.code == 4 {
        return Vec::new();
    }
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let page: Value = serde_json::from_str(&asked.stdout).unwrap();
    page["items"].as_array().unwrap().clone()
}
