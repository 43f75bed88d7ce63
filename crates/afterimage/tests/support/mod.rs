//! Running the real binary, beside an SQS endpoint of this process.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

pub(crate) mod dlq;
pub(crate) mod fifo;
pub(crate) mod http;
pub(crate) mod poison;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod sqs;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything: a machine under load is slow, and a hang must end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without any setting of the machine it is tested on.
pub(crate) fn afterimage(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afterimage"));
    for (name, _) in std::env::vars_os() {
        if ["AFTERIMAGE_", "AWS_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "eu-central-1")
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

/// The endpoint of a queue that hands out one message and answers nothing else, ever.
pub(crate) fn stuck_queue(body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let message = serde_json::json!({ "Messages": [{
        "MessageId": "m1", "ReceiptHandle": "r1", "Body": body,
        "Attributes": { "SentTimestamp": "1767952805000", "ApproximateReceiveCount": "1" },
    }]})
    .to_string();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        let mut answer = Some(message);
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let is_receive = String::from_utf8_lossy(&request[..length]).contains("AmazonSQS.ReceiveMessage");
            if let Some(message) = answer.take_if(|_| is_receive) {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    message.len()
                );
                stream.write_all((head + &message).as_bytes()).unwrap();
            } else {
                open.push(stream);
            }
        }
    });
    endpoint
}

/// Looks again and again until there is something.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} did not come");
}

/// What a command that ends by itself printed.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs to the end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Ended {
    let output = afterimage(folder).args(args).output().unwrap();
    Ended {
        code: output.status.code().expect("no signal ends it"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A binary that runs, and the lines it writes.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Starts it; lines of both outputs are kept, in no certain order between the two.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that `wanted` takes something from.
    pub(crate) fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let start = Instant::now();
        if let Some(found) = self.seen.iter().find_map(|line| wanted(line)) {
            return found;
        }
        while let Some(left) = PATIENCE.checked_sub(start.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else { break };
            let found = wanted(&line);
            self.seen.push(line);
            if let Some(found) = found {
                return found;
            }
        }
        panic!("{what} did not come; so far:\n{}", self.seen.join("\n"));
    }

    /// Everything it wrote so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Sends a signal, `TERM` or `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; the exit code and everything it wrote.
    pub(crate) fn end(mut self) -> (i32, String) {
        let start = Instant::now();
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.seen.extend(self.lines.try_iter());
            assert!(start.elapsed() < PATIENCE, "it does not end; so far:\n{}", self.seen.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        };
        self.seen.extend(self.lines.iter());
        let text = self.seen.join("\n");
        (status.code().unwrap_or_else(|| panic!("ended by a signal:\n{text}")), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves no process behind; one that ended already cannot be killed.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
