//! Workers: the real binary, several times, and what may be done to a process.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::guard::{Guard, Owed};
use super::page::{self, Numbers};

/// The shortest a worker takes: what a killed one held comes back after it.
pub const LEASE: Duration = Duration::from_secs(10);
/// What a worker is given to end.
pub(super) const GRACE: Duration = Duration::from_secs(8);
/// Longest wait for a process: a machine under load is slow, and a hang must end.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Workers that share a queue and a store. They end with it, by their process ids.
#[derive(Debug)]
pub struct Fleet {
    binary: PathBuf,
    guard: Arc<Guard>,
    args: Vec<String>,
    workers: Vec<Worker>,
    /// Processes started.
    lives: u32,
    /// Of workers that are gone.
    past: Numbers,
    /// Workers ended by SIGKILL, by us.
    pub kills: u64,
    /// Workers that ended at a fail point.
    pub aborts: u64,
    /// Workers that were stopped for a while.
    pub freezes: u64,
    /// Workers that ended when told to.
    pub restarts: u64,
}

#[derive(Debug, Default)]
struct Worker {
    process: Option<(Child, Owed)>,
    /// Variables of its own.
    env: Vec<(String, String)>,
    log: PathBuf,
    page: Option<String>,
    numbers: Numbers,
}

impl Fleet {
    /// Starts so many workers with these arguments beside those that every worker of the tests has.
    pub(super) async fn start(
        binary: PathBuf,
        guard: Arc<Guard>,
        args: Vec<String>,
        workers: usize,
        prepare: impl FnOnce(&mut Self),
    ) -> Self {
        let mut fleet = Self {
            binary,
            guard,
            args,
            workers: Vec::new(),
            lives: 0,
            past: Numbers::default(),
            kills: 0,
            aborts: 0,
            freezes: 0,
            restarts: 0,
        };
        fleet.workers.resize_with(workers, Worker::default);
        prepare(&mut fleet);
        for worker in 0..workers {
            fleet.spawn(worker);
            fleet.page_of(worker).await;
        }
        fleet
    }

    /// More workers or fewer: the last ones are told to stop, all at once.
    ///
    /// # Panics
    /// When one does not end well.
    pub async fn scale(&mut self, workers: usize) {
        let before = self.len();
        self.end_from(workers).await;
        self.restarts += before.saturating_sub(workers) as u64;
        self.workers.resize_with(workers, Worker::default);
        for at in before..workers {
            self.spawn(at);
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    fn spawn(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        self.lives += 1;
        worker.page = None;
        let name = format!("w{at}-{}", self.lives);
        worker.log = self.guard.folder().join(format!("{name}.log"));
        // A shell ignores the signal of a file that is too long, for the worker to see an error in its place.
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
            .arg(&self.binary)
            .args(&self.args)
            .args(["--worker-name", &name])
            // Settings files and variables of whoever runs the tests are none of theirs.
            .current_dir(self.guard.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .envs(worker.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&worker.log).unwrap())
            .kill_on_drop(true);
        let child = command.spawn().unwrap();
        let owed = self.guard.owe(&format!("kill -KILL {}", child.id().unwrap()));
        worker.process = Some((child, owed));
    }

    /// The address of its page, as soon as it has one.
    async fn page_of(&mut self, at: usize) -> String {
        let started = Instant::now();
        let worker = &mut self.workers[at];
        loop {
            if let Some(page) = &worker.page {
                return page.clone();
            }
            let log = fs::read_to_string(&worker.log).unwrap();
            let said = |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
            worker.page = log.lines().find_map(said);
            assert!(started.elapsed() < PATIENCE, "worker {at} does not start:\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Reads every worker's numbers that can be read.
    pub(super) async fn look(&mut self) {
        for at in 0..self.workers.len() {
            self.look_at(at).await;
        }
    }

    async fn look_at(&mut self, at: usize) -> Numbers {
        let worker = &mut self.workers[at];
        if worker.page.is_none() {
            let log = fs::read_to_string(&worker.log).unwrap_or_default();
            let said = |line: &str| serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned);
            worker.page = log.lines().find_map(said);
        }
        if let Some(page) = &worker.page
            && worker.process.is_some()
            && let Some(numbers) = page::read(page).await
        {
            worker.numbers = numbers;
        }
        worker.numbers
    }

    /// What each worker that lives now has stored.
    pub(super) async fn stored(&mut self) -> Vec<u64> {
        self.look().await;
        self.workers.iter().map(|worker| worker.numbers.stored).collect()
    }

    /// Deliveries beyond the first that workers saw, as far as they lived to say so.
    pub(super) fn redelivered(&self) -> u64 {
        self.past.redelivered + self.workers.iter().map(|worker| worker.numbers.redelivered).sum::<u64>()
    }

    /// Leases that ended too early, as far as workers lived to say so.
    #[must_use]
    pub fn leases_lost(&self) -> u64 {
        self.past.leases_lost + self.workers.iter().map(|worker| worker.numbers.leases_lost).sum::<u64>()
    }

    /// Does the worker hold messages?
    pub async fn holds(&mut self, at: usize) -> bool {
        self.look_at(at).await.held > 0
    }

    /// Gives a worker a variable of its own, or takes it away; it has it from its next start on.
    pub fn set(&mut self, at: usize, name: &str, value: Option<String>) {
        let env = &mut self.workers[at].env;
        env.retain(|(known, _)| known != name);
        env.extend(value.map(|value| (name.to_owned(), value)));
    }

    /// The process id of a worker.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn pid(&self, at: usize) -> u32 {
        self.workers[at].process.as_ref().and_then(|(child, _)| child.id()).expect("a worker that runs")
    }

    async fn signal(&self, at: usize, signal: &str) {
        let pid = self.pid(at).to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }

    /// SIGKILL, and a new worker in its place.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub async fn kill(&mut self, at: usize) {
        self.look_at(at).await;
        self.signal(at, "-KILL").await;
        let status = self.ended(at).await;
        match status.signal() {
            Some(SIGKILL) => self.kills += 1,
            // At a fail point, just before.
            Some(SIGABRT) => self.aborts += 1,
            _ => panic!("worker {at} had ended by itself: {}", self.log(at)),
        }
        self.spawn(at);
    }

    /// SIGSTOP: it stands still in the midst of whatever it does.
    pub async fn freeze(&mut self, at: usize) {
        self.signal(at, "-STOP").await;
        self.freezes += 1;
    }

    /// SIGCONT: it goes on and knows nothing of the pause.
    pub async fn thaw(&self, at: usize) {
        self.signal(at, "-CONT").await;
    }

    /// SIGTERM, and a new worker in its place: how long the old one took.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn restart(&mut self, at: usize) -> Duration {
        let took = self.end(at).await;
        self.restarts += 1;
        self.spawn(at);
        self.page_of(at).await;
        took
    }

    async fn end(&mut self, at: usize) -> Duration {
        self.tell_to_stop(at).await;
        let began = Instant::now();
        let status = self.ended(at).await;
        assert_eq!(status.code(), Some(0), "worker {at} did not end well: {}", self.log(at));
        began.elapsed()
    }

    /// SIGTERM, and no new worker: for a worker that ends at a fail point when it is told to stop.
    pub async fn tell_to_stop(&mut self, at: usize) {
        self.page_of(at).await;
        self.look_at(at).await;
        self.signal(at, "-TERM").await;
    }

    /// Has it ended at a fail point? Then it is started again.
    ///
    /// # Panics
    /// When it ended in another way.
    pub async fn revive(&mut self, at: usize) -> bool {
        let Some((child, _)) = &mut self.workers[at].process else { return false };
        let Some(status) = child.try_wait().unwrap() else {
            self.look_at(at).await;
            return false;
        };
        assert_eq!(status.signal(), Some(SIGABRT), "worker {at} ended in no way it should: {}", self.log(at));
        self.ended(at).await;
        self.aborts += 1;
        self.spawn(at);
        true
    }

    /// Ends all of them with SIGTERM.
    pub(super) async fn stop(&mut self) {
        self.end_from(0).await;
    }

    async fn end_from(&mut self, first: usize) {
        for at in first..self.workers.len() {
            self.tell_to_stop(at).await;
        }
        for at in first..self.workers.len() {
            let status = self.ended(at).await;
            assert_eq!(status.code(), Some(0), "worker {at} did not end well: {}", self.log(at));
        }
    }

    async fn ended(&mut self, at: usize) -> std::process::ExitStatus {
        let worker = &mut self.workers[at];
        let (mut child, owed) = worker.process.take().expect("a worker that runs");
        let status = timeout(PATIENCE, child.wait()).await;
        drop(owed);
        let numbers = std::mem::take(&mut worker.numbers);
        self.past.redelivered += numbers.redelivered;
        self.past.leases_lost += numbers.leases_lost;
        status.unwrap_or_else(|_| panic!("worker {at} does not end: {}", self.log(at))).unwrap()
    }

    /// How often workers said this, in all their lives.
    ///
    /// # Panics
    /// When what they wrote cannot be read.
    #[must_use]
    pub fn said(&self, words: &str) -> usize {
        let logs = fs::read_dir(self.guard.folder()).unwrap().map(|file| file.unwrap().path());
        let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| fs::read_to_string(path).unwrap().matches(words).count()).sum()
    }

    /// The end of what a worker wrote.
    #[must_use]
    pub fn log(&self, at: usize) -> String {
        let log = fs::read_to_string(&self.workers[at].log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
