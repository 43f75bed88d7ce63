use serde::Serialize;

/// Refused lines that are told one by one.
const TOLD_MAX: usize = 100;

/// What became of a file, or would.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// Lines that hold something.
    pub(crate) lines: u64,
    /// New in the trail.
    pub(crate) stored: u64,
    /// Stored as a correction of what was there.
    pub(crate) corrected: u64,
    /// In the trail already: no effect.
    pub(crate) there_already: u64,
    /// Stored beside other data of the same event id, and flagged so.
    pub(crate) conflicts: u64,
    /// Updates that changed nothing.
    pub(crate) unchanged: u64,
    /// Past the retention of their table.
    pub(crate) expired: u64,
    /// Lines, or events of them, that were not taken.
    pub(crate) refused: u64,
    /// The first of them.
    pub(crate) refusals: Vec<Refused>,
}

/// What was not taken.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) code: &'static str,
    /// What was expected, and found, without values.
    pub(crate) reason: String,
}

impl Report {
    pub(super) fn refuse(&mut self, line: u64, code: &'static str, reason: &str) {
        self.refused += 1;
        if self.refusals.len() < TOLD_MAX {
            self.refusals.push(Refused { line, code, reason: reason.to_owned() });
        }
    }
}
