//! The questions, each with parameters of its own every time it is asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_event::{Op, Timestamp};
use afterimage_store::{
    BurstRule, Dimension, Direction, FeedItem, Filter, Listing, Period, RecordQuery, TableKey, Trail, TrailError,
};
use anyhow::Context as _;
use fastrand::Rng;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use crate::fill::TENANT;
use crate::history::{
    ACCOUNTS, ACTORS, BATCH_ACTOR, HOT_TABLE, History, MIGRATION_EVERY, RARE_FIELD, SETTINGS, actor_name, moment,
    request, table_name, transaction,
};
use crate::meter::{Metered, Read};

/// Entries of a page.
const PAGE: usize = 20;
const HOUR_MICROS: i64 = 3_600_000_000;
/// Entries of a page on the way to deep ones.
const STRIDE_MAX: usize = 1_000;

/// A question, its parameters drawn each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    History(Whose),
    HistoryDeep,
    StateNow(Whose),
    StateThen(Whose),
    StatesAt,
    States(Whose),
    Diff(Whose),
    Revert(Whose),
    Gaps(Whose),
    TableGaps,
    By(Part),
    Field,
    Deletes,
    Table,
    Tenant,
    Feed,
    Counts,
    Bursts,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Any of the table that keeps images.
    WithImages,
    /// Any of the hot table, which keeps changes.
    WithChanges,
    /// The hot one of which images are kept.
    HotWithImages,
    /// The hot one of which changes are kept.
    HotWithChanges,
}

/// Who, or in the course of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Actor,
    BatchActor,
    Request,
    Transaction,
    Migration,
}

impl Whose {
    const fn said(self) -> &'static str {
        match self {
            Self::WithImages => "a record (images)",
            Self::WithChanges => "a record (changes)",
            Self::HotWithImages => "the hot record (images)",
            Self::HotWithChanges => "the hot record (changes)",
        }
    }

    const fn table(self) -> usize {
        match self {
            Self::WithImages | Self::HotWithImages => ACCOUNTS,
            Self::WithChanges => HOT_TABLE,
            Self::HotWithChanges => SETTINGS,
        }
    }

    const fn is_hot(self) -> bool {
        matches!(self, Self::HotWithImages | Self::HotWithChanges)
    }
}

const QUESTIONS: [Question; 34] = {
    use Part::{Actor, BatchActor, Migration, Request, Transaction};
    use Question as Q;
    use Whose::{HotWithChanges, HotWithImages, WithChanges, WithImages};
    [
        Q::History(WithChanges),
        Q::History(HotWithImages),
        Q::HistoryDeep,
        Q::StateNow(WithImages),
        Q::StateNow(WithChanges),
        Q::StateNow(HotWithImages),
        Q::StateNow(HotWithChanges),
        Q::StateThen(WithImages),
        Q::StateThen(WithChanges),
        Q::StateThen(HotWithImages),
        Q::StateThen(HotWithChanges),
        Q::StatesAt,
        Q::States(WithChanges),
        Q::States(HotWithImages),
        Q::States(HotWithChanges),
        Q::Diff(WithChanges),
        Q::Diff(HotWithChanges),
        Q::Revert(WithChanges),
        Q::Revert(HotWithChanges),
        Q::Gaps(WithChanges),
        Q::Gaps(HotWithImages),
        Q::TableGaps,
        Q::By(Actor),
        Q::By(BatchActor),
        Q::By(Request),
        Q::By(Transaction),
        Q::By(Migration),
        Q::Field,
        Q::Deletes,
        Q::Table,
        Q::Tenant,
        Q::Feed,
        Q::Counts,
        Q::Bursts,
    ]
};

impl Question {
    fn said(self) -> String {
        match self {
            Self::History(whose) => format!("history of {}, first page", whose.said()),
            Self::HistoryDeep => "history of the hot record, a deep page".to_owned(),
            Self::StateNow(whose) => format!("state of {} now", whose.said()),
            Self::StateThen(whose) => format!("state of {} then", whose.said()),
            Self::StatesAt => "states of three records at one time".to_owned(),
            Self::States(whose) => format!("every state of {}, a page", whose.said()),
            Self::Diff(whose) => format!("diff of {} between two times", whose.said()),
            Self::Revert(whose) => format!("revert of {} to then", whose.said()),
            Self::Gaps(whose) if whose.is_hot() => format!("gaps of {}, a day", whose.said()),
            Self::Gaps(whose) => format!("gaps of {}", whose.said()),
            Self::TableGaps => "gaps of the hot table, an hour".to_owned(),
            Self::By(Part::Actor) => "changes by an actor".to_owned(),
            Self::By(Part::BatchActor) => "changes by the batch actor".to_owned(),
            Self::By(Part::Request) => "changes of a request".to_owned(),
            Self::By(Part::Transaction) => "changes of a transaction".to_owned(),
            Self::By(Part::Migration) => "changes of a migration, in order".to_owned(),
            Self::Field => "changes of a rare field of the hot table".to_owned(),
            Self::Deletes => "deletes of the hot table".to_owned(),
            Self::Table => "the hot table, last 24 hours".to_owned(),
            Self::Tenant => "everything, last 24 hours".to_owned(),
            Self::Feed => "activity feed, last 24 hours".to_owned(),
            Self::Counts => "counts of an hour by table and operation".to_owned(),
            Self::Bursts => "bursts of an hour by actor".to_owned(),
        }
    }
}

/// How long a question took, and what was read for it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) question: String,
    /// Sorted.
    pub(crate) took: Vec<Duration>,
    /// Processor time of this process, for all answers.
    pub(crate) cpu: Duration,
    pub(crate) answers: u64,
    /// Entries in all answers; one for an answer that is no list.
    pub(crate) items: u64,
    pub(crate) read: Read,
}

/// Asks every question whose name has this text so many times.
pub(crate) async fn ask_all(
    store: Arc<Metered>,
    history: &History,
    times: usize,
    only: &str,
) -> anyhow::Result<Vec<Measured>> {
    let end = moment(history.len());
    let mut asker = Asker {
        trail: Trail::with_clock(Arc::clone(&store) as Arc<_>, move || end),
        rng: Rng::with_seed(history.seed() ^ history.len()),
        history,
        end,
        deep: Vec::new(),
    };
    asker.deep = asker.deep_cursors().await?;
    let mut all = Vec::new();
    for question in QUESTIONS.into_iter().filter(|question| question.said().contains(only)) {
        // What is asked first opens files and connections.
        for _ in 0..10 {
            asker.ask(question).await.with_context(|| question.said())?;
        }
        let (before, cpu) = (store.read(), processor_time()?);
        let (mut took, mut items) = (Vec::with_capacity(times), 0);
        for _ in 0..times {
            let (answered, entries) = asker.ask(question).await.with_context(|| question.said())?;
            took.push(answered);
            items += entries as u64;
        }
        took.sort_unstable();
        let after = store.read();
        let read = Read { calls: after.calls - before.calls, rows: after.rows - before.rows };
        let cpu = processor_time()?.saturating_sub(cpu);
        all.push(Measured { question: question.said(), took, cpu, answers: times as u64, items, read });
    }
    Ok(all)
}

/// User and system time of this process so far. On a busy machine it says more than the clock: waiting for a core is no
/// part of it.
fn processor_time() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

struct Asker<'h> {
    trail: Trail,
    rng: Rng,
    history: &'h History,
    end: Timestamp,
    /// Places in the history of the hot record.
    deep: Vec<String>,
}

impl Asker<'_> {
    /// Asks once: how long the answer took, and how many entries it has.
    async fn ask(&mut self, question: Question) -> Result<(Duration, usize), TrailError> {
        let page = Listing { limit: PAGE, ..Listing::default() };
        match question {
            Question::History(whose) => {
                let query = self.record(whose).0;
                timed(self.trail.history(&query, &page), |page| page.items.len()).await
            }
            Question::HistoryDeep => {
                let query = self.record(Whose::HotWithImages).0;
                let listing = Listing { cursor: Some(self.deep[self.rng.usize(..self.deep.len())].clone()), ..page };
                timed(self.trail.history(&query, &listing), |page| page.items.len()).await
            }
            Question::StateNow(whose) => {
                let query = self.record(whose).0;
                timed(self.trail.state(&query, self.end), |_| 1).await
            }
            Question::StateThen(whose) => {
                let (query, at) = self.record(whose);
                timed(self.trail.state(&query, at), |_| 1).await
            }
            Question::StatesAt => {
                let (first, at) = self.record(Whose::WithImages);
                let queries = [first, self.record(Whose::WithChanges).0, self.record(Whose::HotWithImages).0];
                timed(self.trail.states_at(&queries, at), Vec::len).await
            }
            Question::States(whose) => {
                let query = self.record(whose).0;
                timed(self.trail.states(&query, &page), |page| page.items.len()).await
            }
            Question::Diff(whose) => {
                let (query, from) = self.record(whose);
                let to = self.between(from, self.end);
                timed(self.trail.diff(&query, from, to), |_| 1).await
            }
            Question::Revert(whose) => {
                let (query, to) = self.record(whose);
                timed(self.trail.revert(&query, to), |_| 1).await
            }
            Question::Gaps(whose) => {
                let (query, at) = self.record(whose);
                let day =
                    Listing { from: Some(at), to: Some(at.saturating_add_micros(24 * HOUR_MICROS)), ..page.clone() };
                let listing = if whose.is_hot() { day } else { page };
                timed(self.trail.gaps(&query, &listing), |_| 1).await
            }
            Question::TableGaps => {
                let Period { from, to } = self.hour();
                let listing = Listing { from, to, ..page };
                let (tenant, source) = (TENANT.to_owned(), "shop".to_owned());
                let table = TableKey { tenant, source, table: table_name(HOT_TABLE) };
                timed(self.trail.table_gaps(&table, &listing), |_| 1).await
            }
            Question::Counts => {
                let by = [Dimension::Table, Dimension::Op];
                let hour = self.hour();
                timed(self.trail.counts(&everything(), hour, &by), |counts| counts.total as usize).await
            }
            Question::Bursts => {
                let by = vec![Dimension::Actor];
                let rule = BurstRule { window_micros: HOUR_MICROS, threshold: 100, by };
                let hour = self.hour();
                timed(self.trail.bursts(&everything(), hour, &rule), |_| 1).await
            }
            Question::Feed => {
                let filter = everything();
                let feed = async {
                    let entries = self.trail.changes(&filter, &page).await?;
                    Ok(entries.items.iter().map(FeedItem::of).collect::<Vec<_>>())
                };
                timed(feed, Vec::len).await
            }
            Question::By(_) | Question::Field | Question::Deletes | Question::Table | Question::Tenant => {
                let (filter, listing) = self.list(question, page);
                timed(self.trail.changes(&filter, &listing), |page| page.items.len()).await
            }
        }
    }

    /// Since when there is anything: what is rare has few entries in a day.
    fn list(&mut self, question: Question, page: Listing) -> (Filter, Listing) {
        let whole = Listing { from: Some(moment(0)), ..page.clone() };
        let hot = Filter { source: Some("shop".to_owned()), table: Some(table_name(HOT_TABLE)), ..everything() };
        match question {
            Question::By(Part::Actor) => {
                (Filter { actor: Some(actor_name(self.rng.u64(..ACTORS))), ..everything() }, whole)
            }
            Question::By(Part::BatchActor) => (Filter { actor: Some(BATCH_ACTOR.to_owned()), ..everything() }, whole),
            Question::By(Part::Request) => {
                let request = self.of_group(request);
                (Filter { request: Some(request), ..everything() }, whole)
            }
            Question::By(Part::Transaction) => {
                let transaction = self.of_group(transaction);
                (Filter { transaction: Some(transaction), ..everything() }, whole)
            }
            Question::By(Part::Migration) => {
                let migration = self.rng.u64(..self.history.len() / MIGRATION_EVERY);
                let filter = Filter { migration: Some(format!("m-{migration}")), ..everything() };
                (filter, Listing { order: Direction::Ascending, ..whole })
            }
            Question::Field => (Filter { field: Some(RARE_FIELD.to_owned()), ..hot }, whole),
            Question::Deletes => (Filter { ops: vec![Op::Delete], ..hot }, whole),
            Question::Table => (hot, page),
            _ => (everything(), page),
        }
    }

    /// A record, and a time since it was made.
    fn record(&mut self, whose: Whose) -> (RecordQuery, Timestamp) {
        let (place, born) = match whose.is_hot() {
            true => (0, 0),
            false => self.history.cold_record(whose.table(), &mut self.rng),
        };
        let query = RecordQuery {
            tenant: TENANT.to_owned(),
            source: None,
            table: table_name(whose.table()),
            record_id: vec![place.to_string()],
        };
        // The hot ones are among the first changes.
        let at = self.between(moment(born.max(1_000)), self.end);
        (query, at)
    }

    fn between(&mut self, from: Timestamp, to: Timestamp) -> Timestamp {
        from.saturating_add_micros(self.rng.i64(0..=(to.as_micros() - from.as_micros()).max(0)))
    }

    fn hour(&mut self) -> Period {
        let from = self.between(moment(0), self.end.saturating_add_micros(-2 * HOUR_MICROS));
        Period { from: Some(from), to: Some(from.saturating_add_micros(HOUR_MICROS)) }
    }

    fn of_group(&mut self, name: fn(u64) -> Option<String>) -> String {
        loop {
            if let Some(name) = name(self.rng.u64(1..self.history.groups())) {
                return name;
            }
        }
    }

    /// Where pages of the newest half of the hot record's history begin.
    async fn deep_cursors(&mut self) -> anyhow::Result<Vec<String>> {
        let query = self.record(Whose::HotWithImages).0;
        let limit = STRIDE_MAX.min((self.history.len() / 1_000) as usize).max(PAGE);
        let pages = (self.history.len() / 200 / limit as u64).max(1);
        let mut listing = Listing { limit, ..Listing::default() };
        let mut found = Vec::new();
        for _ in 0..pages {
            let Some(next) = self.trail.history(&query, &listing).await?.next else { break };
            found.push(next.clone());
            listing.cursor = Some(next);
        }
        anyhow::ensure!(!found.is_empty(), "the hot record has one page");
        Ok(found)
    }
}

fn everything() -> Filter {
    Filter { tenant: TENANT.to_owned(), ..Filter::default() }
}

async fn timed<T>(
    question: impl Future<Output = Result<T, TrailError>>,
    items: impl Fn(&T) -> usize,
) -> Result<(Duration, usize), TrailError> {
    let started = Instant::now();
    let answer = question.await?;
    Ok((started.elapsed(), items(&answer)))
}
