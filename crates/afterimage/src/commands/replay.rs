//! `afterimage replay`: event files, through the pipeline again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

use super::Outcome;
use crate::config::ReplayConfig;
use crate::output;
use crate::progress::Progress;
use crate::render::{self, Screen};
use crate::replay::Replay;
use crate::signals::Stop;
use crate::stores;

/// Longest line that is read: a message of the queue, escaped, with room to spare.
const LINE_BYTES_MAX: usize = 16 << 20;

pub(super) async fn run(config: ReplayConfig, screen: &Screen, stop: &Stop) -> anyhow::Result<Outcome> {
    let ReplayConfig { file, pipeline, rules, store, worker, is_correction, is_dry_run, is_strict, json } = config;
    let mut lines = Lines::open(&file)?;
    let missing = if is_dry_run { stores::Missing::Refuse } else { stores::Missing::Make };
    let store = stores::open(&store, missing)?;
    if !is_dry_run {
        store.migrate().await?;
    }
    let mut replay = Replay::new(pipeline, rules, store.clone(), worker, is_correction, is_dry_run);
    let mut progress = Progress::new();
    let ended = all(&mut lines, &mut replay, is_strict, &mut progress, stop).await;
    progress.end();
    store.close().await;
    // What was done is told whatever ended it.
    let report = &replay.report;
    if json {
        output::print(&(serde_json::to_string(report)? + "\n"))?;
    } else {
        output::print(&render::replayed(report, screen))?;
    }
    ended?;
    Ok(if report.refused > 0 { Outcome::Incomplete } else { Outcome::Done })
}

async fn all(
    lines: &mut Lines,
    replay: &mut Replay,
    is_strict: bool,
    progress: &mut Progress,
    stop: &Stop,
) -> anyhow::Result<()> {
    while let Some(number) = lines.next()? {
        match std::str::from_utf8(&lines.line) {
            _ if lines.is_too_long => replay.too_long(number, LINE_BYTES_MAX),
            Ok(text) => replay.line(number, text.trim_end_matches(['\n', '\r'])).await?,
            // The decoder says what is wrong with it, as of any message.
            Err(_) => replay.line(number, &String::from_utf8_lossy(&lines.line)).await?,
        }
        progress.tell(|| format!("{number} lines"));
        if is_strict && replay.report.refused > 0 {
            // The report says which; the exit code is that of lines that were refused.
            replay.flush().await?;
            output::complain(format!("line {number} was refused, and --strict says to end there"));
            return Ok(());
        }
        if stop.drain.is_cancelled() {
            replay.flush().await?;
            anyhow::bail!("told to stop after line {number}; run it again, what is stored stays as it is");
        }
    }
    Ok(replay.flush().await?)
}

/// The lines of a file, one at a time, none of which takes more memory than it may.
struct Lines {
    from: Box<dyn BufRead>,
    number: u64,
    line: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let from: Box<dyn BufRead> = match path == Path::new("-") {
            true => Box::new(BufReader::new(io::stdin())),
            false => Box::new(BufReader::new(File::open(path).with_context(|| path.display().to_string())?)),
        };
        Ok(Self { from, number: 0, line: Vec::new(), is_too_long: false })
    }

    /// Reads a line; its number.
    fn next(&mut self) -> io::Result<Option<u64>> {
        self.line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if (&mut self.from).take(limit).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.is_too_long = self.line.len() > LINE_BYTES_MAX;
        if self.is_too_long && self.line.last() != Some(&b'\n') {
            self.line.clear();
            self.from.skip_until(b'\n')?;
        }
        Ok(Some(self.number))
    }
}
