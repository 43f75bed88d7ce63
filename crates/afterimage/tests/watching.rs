//! A worker as Prometheus sees it: the real one, with the rules and the dashboard that are installed.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::http::get;
use support::sqs::Queues;
use support::{Running, afterimage, wait_until};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../helm/afterimage/files/alerts.yaml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../helm/afterimage/files/dashboard.json");

/// Metrics of ours that a text asks for, without the endings that histograms add.
fn asked_for(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices("afterimage_")
        .filter(|(at, _)| !text[..*at].ends_with(is_name))
        .map(|(at, _)| text[at..].chars().take_while(|c| is_name(*c)).collect::<String>())
        .map(|name| {
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
        })
        .collect()
}

/// Nothing when skipping was asked for. Not having it is a failure: silence would look like success.
#[allow(clippy::print_stdout, reason = "a skipped test says so")]
fn prometheus() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/tools/prometheus");
    let run = |args: &[&str]| Command::new(script).args(args).output().unwrap();
    let installed = run(&["install"]);
    if installed.status.success() {
        return Some(String::from_utf8(run(&["path", "prometheus"]).stdout).unwrap().trim().into());
    }
    let skips = std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1");
    assert!(skips, "{}or set AFTERIMAGE_TEST_SKIP_SERVERS=1", String::from_utf8_lossy(&installed.stderr));
    println!("SKIPPED: no Prometheus, and AFTERIMAGE_TEST_SKIP_SERVERS=1");
    None
}

/// A Prometheus that scrapes one worker each second; it ends when this drops.
struct Prometheus {
    process: Child,
    address: String,
}

impl Prometheus {
    fn start(binary: &Path, folder: &Path, worker: &str) -> Self {
        // Free a moment ago: whoever takes it first makes this fail loudly.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut config = String::new();
        writeln!(config, "global: {{scrape_interval: 1s, evaluation_interval: 1s}}").unwrap();
        writeln!(config, "rule_files: ['{RULES}']").unwrap();
        writeln!(config, "scrape_configs:\n  - job_name: afterimage\n    static_configs:").unwrap();
        writeln!(config, "      - {{targets: ['{worker}'], labels: {{namespace: audit, pod: w-0}}}}").unwrap();
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut command = Command::new(binary);
        command.arg(format!("--config.file={}", folder.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { process, address }
    }

    fn ask(&self, path: &str) -> Option<Value> {
        // Not listening yet is no answer.
        std::net::TcpStream::connect(&self.address).ok()?;
        let (status, body) = get(&self.address, path);
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// The names of all series of ours.
    fn names(&self) -> BTreeSet<String> {
        let answer = self.ask("/api/v1/label/__name__/values");
        let names = answer.as_ref().and_then(|answer| answer["data"].as_array()).cloned().unwrap_or_default();
        names.iter().flat_map(|name| asked_for(name.as_str().unwrap())).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_and_dashboard_ask_for_is_scraped_and_a_dead_letter_raises_its_alert() {
    let Some(binary) = prometheus() else { return };
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let mut command = afterimage(folder.path());
    command.args(["worker", "--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--listen", "127.0.0.1:0"]);
    command.args(["--queue-depth-interval", "1s"]);
    let mut worker = Running::start(command);
    let page = worker.wait_for("the address of the health page", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["listen"].as_str().map(str::to_owned)
    });
    let prometheus = Prometheus::start(&binary, folder.path(), &page);

    let mut wanted = asked_for(&std::fs::read_to_string(RULES).unwrap());
    wanted.extend(asked_for(&std::fs::read_to_string(DASHBOARD).unwrap()));
    // The name of a data source's variable, and counters whose labels are not known before they count.
    for known in ["afterimage_lease_losses_total", "afterimage_left_to_redrive_total"] {
        assert!(wanted.remove(known), "{known} is not asked for any more");
    }
    assert!(wanted.len() > 15, "{wanted:?}");
    wait_until("everything that is asked for is scraped", || wanted.is_subset(&prometheus.names()).then_some(()));

    let rules = prometheus.ask("/api/v1/rules").unwrap();
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 15);
    assert!(rules.iter().all(|rule| rule["lastError"].as_str().unwrap_or_default().is_empty()), "{rules:?}");

    queues.send(["no JSON".to_owned()]).await;
    wait_until("the alert waits for its five minutes", || {
        let alerts = prometheus.ask("/api/v1/alerts").unwrap_or_default();
        let alerts = alerts["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let waits =
            |alert: &&Value| alert["labels"]["alertname"] == "AfterimageDeadLetters" && alert["state"] == "pending";
        alerts.iter().find(waits).map(|_| ())
    });
}
