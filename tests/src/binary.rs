//! The binary, run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(120);

/// The `afterimage` binary with a store of its own, by default a SQLite file in a folder that is removed at the end.
#[derive(Debug)]
pub struct Afterimage {
    binary: PathBuf,
    folder: tempfile::TempDir,
    store: Vec<String>,
}

/// How a run ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The binary: `AFTERIMAGE_BIN`, else the one built beside this test.
///
/// # Panics
/// When there is none.
pub(crate) fn binary() -> PathBuf {
    let beside = || {
        // target/debug/deps/e2e-… → target/debug/afterimage
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join(format!("afterimage{}", std::env::consts::EXE_SUFFIX))
    };
    let binary = std::env::var_os("AFTERIMAGE_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        binary.exists(),
        "{} is missing: run cargo build --package afterimage, or set AFTERIMAGE_BIN",
        binary.display()
    );
    binary
}

impl Afterimage {
    /// Finds the binary.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn find() -> Self {
        let binary = binary();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trail.db");
        let store = vec!["--sqlite-path".to_owned(), file.to_str().unwrap().to_owned()];
        Self { binary, folder, store }
    }

    /// With this store instead: its settings.
    #[must_use]
    pub fn with_store(self, settings: &[&str]) -> Self {
        Self { store: settings.iter().map(|&setting| setting.to_owned()).collect(), ..self }
    }

    /// Runs it with these arguments and its store, against this AWS endpoint, to its end.
    ///
    /// # Panics
    /// When it does not start, or does not end.
    pub async fn run(&self, endpoint: &str, args: &[&str]) -> Finished {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .args(&self.store)
            // Settings files and variables of whoever runs the tests are none of theirs.
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", endpoint)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(RUN_MAX, command.output()).await;
        let Output { status, stdout, stderr } =
            output.expect("afterimage did not end").expect("afterimage did not start");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Finished { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Runs a worker until its queue is empty.
    pub async fn work(&self, endpoint: &str, queue_url: &str, dlq_url: &str) -> Finished {
        let worker = ["worker", "--queue-url", queue_url, "--dlq-url", dlq_url];
        let process = ["--listen", "127.0.0.1:0", "--exit-when-idle", "1s"];
        self.run(endpoint, &[&worker[..], &process[..]].concat()).await
    }

    /// Asks a question; the answer's JSON.
    ///
    /// # Panics
    /// When it is not answered.
    pub async fn ask(&self, question: &[&str]) -> Value {
        let finished = self.run("http://127.0.0.1:9", &[question, &["--json"]].concat()).await;
        assert_eq!(finished.code, Some(0), "{question:?}: {finished:?}");
        serde_json::from_str(&finished.stdout).unwrap()
    }
}
