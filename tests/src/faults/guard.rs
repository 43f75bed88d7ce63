//! Nothing is left behind, however the tests end.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs when its standard input ends, which it does with the test process, even by SIGKILL.
const WATCH: &str = r#"cat >/dev/null; for f in "$1"/owed/*; do [ -e "$f" ] && sh "$f"; done; rm -rf "$1""#;

/// A folder, and a process that waits for the end of this one: then it does what is owed and removes the folder.
#[derive(Debug)]
pub(super) struct Guard {
    folder: PathBuf,
    watcher: Child,
    next: AtomicU64,
}

/// Something that must be done in the end, unless it is dropped before.
#[derive(Debug)]
pub(super) struct Owed {
    file: PathBuf,
    // The folder must outlive it.
    _guard: Arc<Guard>,
}

impl Guard {
    /// With an empty folder.
    ///
    /// # Panics
    /// When the watcher cannot be started.
    #[must_use]
    pub(super) fn new() -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("afterimage-faults-").tempdir().unwrap().keep();
        fs::create_dir(folder.join("owed")).unwrap();
        let watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal to the group of the tests is not for it: it has to outlive them.
            .process_group(0)
            .spawn()
            .unwrap();
        Arc::new(Self { folder, watcher, next: AtomicU64::new(0) })
    }

    /// The folder, for everything that a test writes.
    #[must_use]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A shell command to run in the end.
    ///
    /// # Panics
    /// When it cannot be written down.
    #[must_use]
    pub(super) fn owe(self: &Arc<Self>, command: &str) -> Owed {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join("owed").join(format!("{number:06}"));
        fs::write(&file, command).unwrap();
        Owed { file, _guard: Arc::clone(self) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().ok();
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        fs::remove_file(&self.file).ok();
    }
}
