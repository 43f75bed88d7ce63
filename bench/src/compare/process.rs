//! One process, measured from its start to its end.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::resource::UsageWho;

use crate::null_worker::cpu_s;

/// How often memory is looked at. Peak memory (`VmHWM`) only grows, so at worst the last moments are missed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) status: ExitStatus,
    /// User and system time.
    pub(super) cpu_s: f64,
    /// Peak resident memory.
    pub(super) rss_peak_kib: u64,
    pub(super) wall: Duration,
}

/// Runs a process to its end. No other child may end meanwhile: the kernel adds up the times of all that did.
pub(super) async fn measure(command: &mut Command) -> anyhow::Result<Measured> {
    let cpu_before_s = cpu_s(UsageWho::RUSAGE_CHILDREN)?;
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut rss_peak_kib = 0;
    let status = loop {
        // ru_maxrss would not do: it begins with what the parent had at the fork.
        rss_peak_kib = rss_peak_kib.max(vm_hwm_kib(&child).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let wall = started.elapsed();
    Ok(Measured { status, cpu_s: cpu_s(UsageWho::RUSAGE_CHILDREN)? - cpu_before_s, rss_peak_kib, wall })
}

fn vm_hwm_kib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
