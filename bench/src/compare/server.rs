//! The queue server that all compared processes share.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// The embedded queue as a process of its own, or somebody else's server.
pub(super) struct Server {
    pub(super) endpoint: String,
    pub(super) name: &'static str,
    child: Option<Child>,
}

impl Server {
    pub(super) fn start(endpoint: Option<&str>) -> anyhow::Result<Self> {
        if let Some(endpoint) = endpoint {
            let endpoint = endpoint.trim_end_matches('/').to_owned();
            return Ok(Self { endpoint, name: "the server given", child: None });
        }
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("queue-server").stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the queue server has no output")?;
        // Held from here on, so that it ends whatever happens next.
        let mut server =
            Self { endpoint: String::new(), name: "the embedded queue in its own process", child: Some(child) };
        BufReader::new(stdout).read_line(&mut server.endpoint)?;
        server.endpoint.truncate(server.endpoint.trim_end().len());
        anyhow::ensure!(!server.endpoint.is_empty(), "the queue server did not start");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It holds nothing that has to be put down; that it is gone already is no matter.
            child.kill().ok();
            child.wait().ok();
        }
    }
}
