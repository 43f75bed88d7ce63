//! `afterimage dlq redrive`: letters back to their queue, or from here into the store.

use std::collections::HashSet;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use afterimage_consumer::SqsQueue;
use afterimage_consumer::dead_letters::{Letter, Look, Resend, Settled, send_back, settle};
use afterimage_store::{Arrival, Ledger};
use anyhow::bail;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::{Coverage, Desk, Outcome, Progress};
use crate::config::{Redrive, Stored};
use crate::letters::{Facts, TrailState};
use crate::render;
use crate::{clock, output};

/// A person is asked before more letters than these go.
const ASKED_ABOVE: u64 = 10;
/// Letters that are told one by one because they stayed, and why.
const STAYED_TOLD_MAX: usize = 100;
/// Calls to a store that does not answer, for one letter.
const STORE_ATTEMPTS: u32 = 3;

/// What became of the letters, or would.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    coverage: Option<Coverage>,
    /// Letters that are meant.
    pub(crate) matched: u64,
    /// Sent back to their queue.
    pub(crate) sent: u64,
    /// Stored from here, and removed.
    pub(crate) stored: u64,
    /// In the trail already, and removed.
    pub(crate) removed: u64,
    /// In the trail already, and left.
    pub(crate) skipped: u64,
    /// Not understood now, and left.
    pub(crate) not_understood: u64,
    /// Sent back in this run, and here again: the worker could not store them.
    pub(crate) came_back: u64,
    /// What should have gone and stayed, by reason.
    pub(crate) failed: u64,
    /// Sent or stored, but still here too: they will be dealt with again, which has no effect on the trail.
    pub(crate) not_deleted: u64,
    /// The first of those that stayed.
    pub(crate) stayed: Vec<Stayed>,
}

/// A letter that stayed.
#[derive(Debug, Serialize)]
pub(crate) struct Stayed {
    pub(crate) message_id: String,
    pub(crate) why: String,
}

/// What to do with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Send,
    Store,
    /// In the trail already: store it again, for the proof.
    Remove,
    Skip,
    NotUnderstood,
    CameBack,
}

fn plan(redrive: &Redrive, facts: &Facts, is_understood: bool, has_come_back: bool) -> Plan {
    let is_in_trail = facts.in_trail.as_ref().is_some_and(|trail| trail.state == TrailState::In);
    match redrive.stored {
        _ if has_come_back => Plan::CameBack,
        Stored::Skip if is_in_trail => Plan::Skip,
        Stored::Delete if is_in_trail => Plan::Remove,
        _ if !is_understood && (redrive.check || redrive.queue_url.is_none()) => Plan::NotUnderstood,
        _ if redrive.queue_url.is_none() => Plan::Store,
        _ => Plan::Send,
    }
}

pub(super) async fn run(
    look: &mut Look,
    desk: &Desk,
    redrive: &Redrive,
    target: Option<&SqsQueue>,
) -> anyhow::Result<Outcome> {
    if !redrive.dry_run && !redrive.yes && !confirmed(look, desk, redrive).await? {
        bail!("nothing was done");
    }
    let mut run = Run {
        redrive,
        target,
        ledger: desk.store.clone().map(|store| Ledger::new(store)),
        began: Instant::now(),
        sent_origins: HashSet::new(),
        report: Report { dry_run: redrive.dry_run, ..Report::default() },
    };
    let mut progress = Progress::new();
    let outcome = run.all(look, desk, &mut progress).await;
    progress.end();
    let mut report = run.report;
    let coverage = Coverage::of(look);
    report.coverage = Some(coverage);
    let is_limited = report.treated() >= redrive.stop_after;
    if !is_limited {
        coverage.warn();
    }
    // What was done is told whatever ended it.
    if redrive.json {
        output::print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        output::print(&render::redriven(&report, redrive.queue_url.as_deref(), &desk.screen))?;
    }
    outcome?;
    let is_whole = report.stayed.is_empty() && report.not_deleted == 0 && (is_limited || coverage.is_complete);
    Ok(if is_whole { Outcome::Done } else { Outcome::Incomplete })
}

/// Asks the person at the terminal. A script is not asked: what it does can be done again.
#[expect(clippy::print_stderr, reason = "a question to the person at the terminal")]
async fn confirmed(look: &Look, desk: &Desk, redrive: &Redrive) -> anyhow::Result<bool> {
    let about = look.facts().counts.visible.min(redrive.stop_after);
    if about <= ASKED_ABOVE || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let place = redrive.queue_url.as_deref().unwrap_or("the store");
    eprint!("up to {about} letters go to {place}; go on? [y/N] ");
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        answer = answer => Ok(matches!(answer??.trim(), "y" | "Y" | "yes")),
        () = desk.stop.cancelled() => Ok(false),
    }
}

struct Run<'a> {
    redrive: &'a Redrive,
    target: Option<&'a SqsQueue>,
    ledger: Option<Ledger>,
    began: Instant,
    /// Origins of what was sent: a worker that cannot store a letter sends it here again, as a new one.
    sent_origins: HashSet<String>,
    report: Report,
}

impl Run<'_> {
    async fn all(&mut self, look: &mut Look, desk: &Desk, progress: &mut Progress) -> anyhow::Result<()> {
        loop {
            let letters = desk.next(look, progress).await?;
            if letters.is_empty() {
                return Ok(());
            }
            let mut to_send: Vec<Resend<'_>> = Vec::new();
            let mut to_store = Vec::new();
            for (letter, facts, reading) in &letters {
                let is_enough =
                    self.report.treated() + (to_send.len() + to_store.len()) as u64 >= self.redrive.stop_after;
                if is_enough || !desk.selection.includes(facts) {
                    continue;
                }
                self.report.matched += 1;
                let has_come_back = self.sent_origins.contains(&facts.origin.message_id);
                match plan(self.redrive, facts, reading.is_understood(), has_come_back) {
                    Plan::Send => match Resend::new(letter) {
                        Ok(resend) => to_send.push(resend),
                        Err(no_room) => {
                            self.report.failed += 1;
                            self.report.stays(letter, format!("{no_room}; --into-store can store it"));
                        }
                    },
                    plan @ (Plan::Store | Plan::Remove) => to_store.push((letter, plan)),
                    Plan::Skip => self.report.skipped += 1,
                    Plan::NotUnderstood => {
                        self.report.not_understood += 1;
                        self.report.stays(letter, format!("not understood: {}", facts.now));
                    }
                    Plan::CameBack => {
                        self.report.came_back += 1;
                        self.report.stays(letter, "it came back after it was sent".to_owned());
                    }
                }
            }
            self.send(look, &to_send).await?;
            for (letter, plan) in to_store {
                self.store(look, desk, letter, plan).await?;
            }
            if self.report.treated() >= self.redrive.stop_after {
                return Ok(());
            }
            if self.redrive.dry_run {
                continue;
            }
            let due = self.began + Duration::from_secs_f64(self.report.treated() as f64 / f64::from(self.redrive.rate));
            tokio::select! {
                () = sleep_until(due) => {}
                () = desk.stop.cancelled() => {}
            }
        }
    }

    /// Sends letters back, and deletes those whose arrival was acknowledged.
    async fn send(&mut self, look: &mut Look, ready: &[Resend<'_>]) -> anyhow::Result<()> {
        let Some(target) = self.target.filter(|_| !ready.is_empty()) else { return Ok(()) };
        if self.redrive.dry_run {
            self.report.sent += ready.len() as u64;
            return Ok(());
        }
        // A call without an answer may have delivered them: should they come back, they are known.
        self.sent_origins.extend(ready.iter().map(|resend| resend.letter().origin().message_id));
        let results = match send_back(target, ready).await {
            Ok(results) => results,
            Err(error) => bail!("the queue they came from: {error}"),
        };
        let mut deletes = Vec::new();
        for (resend, result) in ready.iter().zip(results) {
            match result {
                Ok(delete) => deletes.push(delete),
                Err(error) => {
                    self.report.failed += 1;
                    self.report.stays(resend.letter(), format!("the queue did not take it: {error}"));
                }
            }
        }
        self.report.sent += deletes.len() as u64;
        self.report.not_deleted += look.delete(deletes).await as u64;
        Ok(())
    }

    /// Stores what a letter holds, and deletes it once that is durable.
    async fn store(&mut self, look: &mut Look, desk: &Desk, letter: &Letter, plan: Plan) -> anyhow::Result<()> {
        let count = |report: &mut Report| match plan {
            Plan::Remove => report.removed += 1,
            _ => report.stored += 1,
        };
        if self.redrive.dry_run {
            count(&mut self.report);
            return Ok(());
        }
        let Some(ledger) = &self.ledger else { bail!("there is no store to put letters in") };
        for attempt in 1..=STORE_ATTEMPTS {
            let arrival = Arrival { worker: self.redrive.worker.clone(), at: clock::now() };
            match settle(letter, desk.reader.pipeline(), ledger, &arrival).await {
                Settled::Done(delete) => {
                    count(&mut self.report);
                    self.report.not_deleted += look.delete(vec![delete]).await as u64;
                    return Ok(());
                }
                Settled::Rejected(rejections) => {
                    let code = rejections.first().map_or("unknown", |rejection| rejection.code);
                    self.report.failed += 1;
                    self.report.stays(letter, format!("not stored: {code}"));
                    return Ok(());
                }
                Settled::Unavailable => tokio::time::sleep(Duration::from_secs(attempt.into())).await,
            }
        }
        bail!("the store does not answer")
    }
}

impl Report {
    /// Letters that went.
    fn treated(&self) -> u64 {
        self.sent + self.stored + self.removed
    }

    fn stays(&mut self, letter: &Letter, why: String) {
        if self.stayed.len() < STAYED_TOLD_MAX {
            self.stayed.push(Stayed { message_id: letter.message.handle.message_id.to_string(), why });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::InTrail;

    fn redrive(queue_url: Option<&str>, stored: Stored, check: bool) -> Redrive {
        Redrive {
            queue_url: queue_url.map(str::to_owned),
            dry_run: false,
            check,
            stored,
            rate: 100,
            stop_after: u64::MAX,
            yes: false,
            json: false,
            worker: "w".to_owned(),
        }
    }

    #[test]
    fn what_becomes_of_a_letter() {
        let partly = Facts::example();
        let stored = InTrail { state: TrailState::In, ..InTrail::default() };
        let stored = Facts { in_trail: Some(stored), ..Facts::example() };
        let back = |stored, check| redrive(Some("queue"), stored, check);
        for (redrive, facts, is_understood, has_come_back, expected) in [
            (back(Stored::Send, false), &partly, false, false, Plan::Send),
            (back(Stored::Send, true), &partly, false, false, Plan::NotUnderstood),
            (back(Stored::Send, true), &partly, true, false, Plan::Send),
            (back(Stored::Send, false), &partly, true, true, Plan::CameBack),
            (back(Stored::Send, false), &stored, true, false, Plan::Send),
            (back(Stored::Skip, false), &stored, true, false, Plan::Skip),
            (back(Stored::Skip, false), &partly, true, false, Plan::Send),
            (back(Stored::Delete, true), &stored, true, false, Plan::Remove),
            (back(Stored::Delete, false), &partly, true, false, Plan::Send),
            (redrive(None, Stored::Send, false), &partly, true, false, Plan::Store),
            (redrive(None, Stored::Send, false), &partly, false, false, Plan::NotUnderstood),
            (redrive(None, Stored::Skip, false), &stored, true, false, Plan::Skip),
        ] {
            assert_eq!(plan(&redrive, facts, is_understood, has_come_back), expected, "{redrive:?} {is_understood}");
        }
    }
}
