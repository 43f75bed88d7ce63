//! What a scenario came to, as a line of JSON, and the lines as a table.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::{Deserialize, Serialize};

/// One run of one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its name: the test's.
    pub name: String,
    /// What was done.
    pub fault: String,
    /// To workers on which store.
    pub store: String,
    /// And which queue.
    pub queue: String,
    /// The form of the test: CI, short or long.
    pub form: String,
    /// How the workers' binary was built; its path where it was not built with the tests.
    pub binary: String,
    /// How many workers at once.
    pub workers: usize,
    /// Events sent.
    pub events: u64,
    /// Entries that must be there.
    pub entries: u64,
    /// Processes ended without being asked: workers and database servers, by SIGKILL or at a fail point.
    pub kills: u64,
    /// Faults of other kinds: pauses, restarts, and how often a line or a disk failed.
    pub other_faults: u64,
    /// Deliveries beyond the first, as far as workers lived to count them.
    pub redeliveries: u64,
    /// Entries that are not there.
    pub lost: u64,
    /// Entries that are there twice, or were never sent.
    pub doubled: u64,
    /// Entries that are there with another content.
    pub altered: u64,
    /// Dead letters that are missing, or should be none.
    pub letters_wrong: u64,
    /// What was stored or dead-lettered before something that its FIFO group had sent earlier; none where there is no order.
    #[serde(default)]
    pub disordered: Option<u64>,
    /// The longest time from the end of a fault until every worker stored again.
    pub recovery_s: Option<f64>,
    /// From the first message sent to the queue being empty.
    pub seconds: f64,
    /// What it can be repeated with.
    pub seed: u64,
    /// When.
    pub date: String,
    /// Where.
    pub machine: String,
}

impl Report {
    /// Prints it, and appends it to the file that `AFTERIMAGE_FAULTS_REPORT` names.
    ///
    /// # Panics
    /// When that file cannot be written.
    pub fn publish(&self) {
        let line = serde_json::to_string(self).unwrap();
        println!("{line}");
        if let Some(path) = std::env::var_os("AFTERIMAGE_FAULTS_REPORT") {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }
}

/// Today, and this machine: processors and their kind.
pub(super) fn here() -> (String, String) {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    (jiff::Zoned::now().date().to_string(), format!("{cpus} cores of {}", model.unwrap_or("an unnamed kind").trim()))
}

/// The last run of each scenario in each form, in the order of the first.
#[must_use]
pub fn last(reports: Vec<Report>) -> Vec<Report> {
    let mut last: Vec<Report> = Vec::new();
    for report in reports {
        match last.iter_mut().find(|known| known.name == report.name && known.form == report.form) {
            Some(known) => *known = report,
            None => last.push(report),
        }
    }
    last
}

/// The table of `docs/reliability.md`.
#[must_use]
pub fn render(reports: &[Report]) -> String {
    let mut text = String::from(
        "| fault | store, queue | form, binary | events | kills | other faults | redeliveries | lost | doubled | altered | dead letters amiss | out of order | recovery s | run s |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for report in reports {
        let recovery = report.recovery_s.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1}"));
        let row = [
            report.fault.clone(),
            format!("{}, {}", report.store, report.queue),
            format!("{}, {}", report.form, report.binary),
            grouped(report.events),
            grouped(report.kills),
            grouped(report.other_faults),
            grouped(report.redeliveries),
            grouped(report.lost),
            grouped(report.doubled),
            grouped(report.altered),
            grouped(report.letters_wrong),
            report.disordered.map_or_else(|| "–".to_owned(), grouped),
            recovery,
            format!("{:.0}", report.seconds),
        ];
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    let sum = |value: fn(&Report) -> u64| grouped(reports.iter().map(value).sum());
    writeln!(
        text,
        "| **together** | | | **{}** | **{}** | **{}** | **{}** | **{}** | **{}** | **{}** | **{}** | **{}** | | |",
        sum(|report| report.events),
        sum(|report| report.kills),
        sum(|report| report.other_faults),
        sum(|report| report.redeliveries),
        sum(|report| report.lost),
        sum(|report| report.doubled),
        sum(|report| report.altered),
        sum(|report| report.letters_wrong),
        sum(|report| report.disordered.unwrap_or(0)),
    )
    .unwrap();
    if let Some(report) = reports.last() {
        writeln!(text, "\n{}, on {}, seed {}.", report.date, report.machine, report.seed).unwrap();
    }
    text
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_in_threes() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
