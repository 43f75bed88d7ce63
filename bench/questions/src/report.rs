//! The table, and its place in a document.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::ask::Measured;
use crate::fill::Filled;

/// Everything asked at one size of the trail.
#[derive(Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) entries: u64,
    pub(crate) filled: Filled,
    /// What the store takes on disk, where that can be told.
    pub(crate) store_bytes: Option<u64>,
    /// The machine's load average before and after the questions.
    pub(crate) load: (f64, f64),
    pub(crate) memory_available_bytes: u64,
    pub(crate) measured: Vec<Measured>,
}

/// The whole section.
pub(crate) fn section(store: &str, rounds: &[Round], times: usize) -> Result<String, fmt::Error> {
    let mut out = String::new();
    head(&mut out, store, rounds, times)?;
    table(&mut out, rounds)?;
    Ok(out)
}

fn head(out: &mut String, store: &str, rounds: &[Round], times: usize) -> fmt::Result {
    let command = std::env::args().skip(1).map(shortened).collect::<Vec<_>>().join(" ");
    writeln!(
        out,
        "{store}, {}, {}, commit {}. Each question {times} times; `afterimage-bench-questions {command}`.\n",
        jiff::Timestamp::now().strftime("%F %H:%M UTC"),
        machine(),
        commit(),
    )?;
    out.push_str("| entries | filled by this run | entries a second | content each | store | store, each entry | load average | memory free or cache |\n");
    out.push_str("|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for round in rounds {
        let Round { entries, filled, store_bytes, load, memory_available_bytes, .. } = round;
        let each =
            |bytes: u64, count: u64| bytes.checked_div(count).map_or("".to_owned(), |bytes| format!("{bytes} bytes"));
        writeln!(
            out,
            "| {} | {} | {:.0} | {} | {} | {} | {:.1} to {:.1} | {} |",
            grouped(*entries),
            grouped(filled.entries),
            filled.entries as f64 / filled.took.as_secs_f64().max(1e-9),
            each(filled.content_bytes, filled.entries),
            store_bytes.map(gibibytes).unwrap_or_default(),
            store_bytes.map(|bytes| each(bytes, *entries)).unwrap_or_default(),
            load.0,
            load.1,
            gibibytes(*memory_available_bytes),
        )?;
    }
    out.push('\n');
    Ok(())
}

/// One line for each question: p50 and p99 at each size, the ratio of the outer p50s, rows read.
fn table(out: &mut String, rounds: &[Round]) -> fmt::Result {
    let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else { return Ok(()) };
    out.push_str("| question, p50 / p99 in ms |");
    for round in rounds {
        write!(out, " {} |", grouped(round.entries))?;
    }
    out.push_str(" p50, last ÷ first | CPU, ms an answer | last ÷ first | entries an answer | rows read for each | calls an answer |\n|---|");
    out.push_str(&"---:|".repeat(rounds.len() + 6));
    out.push('\n');
    for (place, measured) in last.measured.iter().enumerate() {
        write!(out, "| {} |", measured.question)?;
        for round in rounds {
            let took = &round.measured[place].took;
            write!(out, " {} / {} |", milliseconds(quantile(took, 0.5)), milliseconds(quantile(took, 0.99)))?;
        }
        let middle = |round: &Round| quantile(&round.measured[place].took, 0.5).as_secs_f64();
        let cpu = |round: &Round| {
            let Measured { cpu, answers, .. } = &round.measured[place];
            cpu.div_f64((*answers).max(1) as f64)
        };
        let each = |measured: &Measured, count: u64| count as f64 / measured.items.max(1) as f64;
        writeln!(
            out,
            " {:.2} | {} to {} | {:.2} | {:.1} | {:.1} to {:.1} | {:.1} to {:.1} |",
            middle(last) / middle(first),
            milliseconds(cpu(first)),
            milliseconds(cpu(last)),
            cpu(last).as_secs_f64() / cpu(first).as_secs_f64(),
            measured.items as f64 / measured.answers as f64,
            each(&first.measured[place], first.measured[place].read.rows),
            each(measured, measured.read.rows),
            first.measured[place].read.calls as f64 / first.measured[place].answers as f64,
            measured.read.calls as f64 / measured.answers as f64,
        )?;
    }
    Ok(())
}

/// A path of this machine is its last name.
fn shortened(argument: String) -> String {
    let path = Path::new(&argument);
    match path.file_name().filter(|_| path.is_absolute()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => argument,
    }
}

/// The value that a share of all is not above.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

fn milliseconds(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.2}") } else { format!("{milliseconds:.0}") }
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1_u64 << 30) as f64)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |(_, cpu)| cpu);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = memory("MemTotal:") >> 30;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    format!("{cores} cores of {cpu}, {memory} GiB, Linux {kernel}")
}

/// The rounds that earlier runs kept in a file; none where there is no file yet.
pub(crate) fn earlier(file: &Path) -> anyhow::Result<Vec<Round>> {
    match file.try_exists()? {
        true => Ok(serde_json::from_str(&fs::read_to_string(file)?)?),
        false => Ok(Vec::new()),
    }
}

/// Keeps them for later runs.
pub(crate) fn keep(file: &Path, rounds: &[Round]) -> anyhow::Result<()> {
    Ok(fs::write(file, serde_json::to_string(rounds)?)?)
}

/// Bytes, by `/proc/meminfo`.
pub(crate) fn memory(of: &str) -> u64 {
    let all = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = all.lines().find_map(|line| line.strip_prefix(of)?.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// How many processes want a core, over the last minute.
pub(crate) fn load_average() -> f64 {
    let all = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn commit() -> String {
    let git = Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).output();
    let commit = git.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if commit.is_empty() { "unknown".to_owned() } else { commit }
}

/// Writes the section between the document's markers `<!-- questions NAME -->` and `<!-- end of questions NAME -->`.
pub(crate) fn write_into(document: &Path, name: &str, section: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    fs::write(document, replaced(&text, name, section)?)?;
    Ok(())
}

fn replaced(text: &str, name: &str, section: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- questions {name} -->"), format!("<!-- end of questions {name} -->"));
    let missing = || format!("the document has no {begin} … {end}");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n\n{section}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_one_before_and_nothing_else() {
        let text = "a\n<!-- questions x -->\nold\n<!-- end of questions x -->\nb\n";
        let once = replaced(text, "x", "new\n").unwrap();
        assert_eq!(once, "a\n<!-- questions x -->\n\nnew\n\n<!-- end of questions x -->\nb\n");
        assert_eq!(replaced(&once, "x", "new\n").unwrap(), once);
        assert!(replaced(text, "y", "new").is_err());
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(198));
        assert_eq!(quantile(&sorted[..1], 0.99), Duration::from_millis(1));
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
