//! A store that keeps what it took, and fails in every way that leaves the caller guessing.

use std::sync::Arc;

use afterimage_consumer::Time;
use afterimage_store::{AppendError, Entry};

use crate::corpus::{Corpus, EntryNo};

/// How the store behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It works.
    Well,
    /// It refuses every connection.
    Down,
    /// It hears and never answers.
    Silent,
    /// It applies, and its answers are lost.
    ReplyLost,
    /// It applies long after everybody gave up waiting.
    Late,
    /// It answers for some entries of a group only.
    Partial,
    /// It takes seconds.
    Slow,
}

/// The store.
pub(crate) struct SimStore {
    durable: Vec<bool>,
    /// How many entries are durable.
    pub(crate) count: usize,
    /// Appends of entries that were there already.
    pub(crate) repeated: u64,
    /// Whether some values are refused for good.
    refuses: bool,
    mood: Mood,
    until: Time,
    /// Entries below this number are not answered for.
    pub(crate) silent_below: EntryNo,
    /// When it is done with what it was sent, where it has a pace.
    busy_until: Time,
}

impl SimStore {
    pub(crate) fn new(entries: usize, refuses: bool) -> Self {
        Self {
            durable: vec![false; entries],
            count: 0,
            repeated: 0,
            refuses,
            mood: Mood::Well,
            until: Time::ZERO,
            silent_below: 0,
            busy_until: Time::ZERO,
        }
    }

    /// When a store that does one thing after the other, so many entries a second, is done with these: whoever sent them may
    /// have given up by then, and it does them all the same.
    pub(crate) fn work(&mut self, now: Time, entries: usize, pace: u32) -> Time {
        self.busy_until = self.busy_until.max(now) + Time::from_secs(entries as u64) / pace;
        self.busy_until
    }

    pub(crate) fn set_mood(&mut self, mood: Mood, until: Time) {
        (self.mood, self.until) = (mood, until);
    }

    /// How it behaves, and until when.
    pub(crate) fn mood(&self, now: Time) -> (Mood, Time) {
        if now < self.until { (self.mood, self.until) } else { (Mood::Well, now) }
    }

    /// One entry in nineteen, when it refuses any.
    pub(crate) fn refuses(&self, entry: EntryNo) -> bool {
        self.refuses && entry % 19 == 7
    }

    pub(crate) fn is_durable(&self, entry: EntryNo) -> bool {
        self.durable[entry as usize]
    }

    /// Takes entries. An error names an entry that no undisturbed run stores.
    pub(crate) fn append(
        &mut self,
        corpus: &Corpus,
        entries: &[Arc<Entry>],
        rng: &mut fastrand::Rng,
        is_partial: bool,
    ) -> Result<Vec<Result<(), AppendError>>, String> {
        let mut results = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(number) = corpus.known(entry) else {
                return Err(format!("event {} is stored with another content or key", entry.identity.event_id));
            };
            if number < self.silent_below {
                results.push(Err(unavailable()));
                continue;
            }
            // Of those it does not answer for, some are applied all the same.
            let (answers, applies) = if is_partial && rng.bool() { (false, rng.bool()) } else { (true, true) };
            if self.refuses(number) {
                let refused = AppendError::Refused { reason: "too large".to_owned() };
                results.push(Err(if answers { refused } else { unavailable() }));
                continue;
            }
            if applies && std::mem::replace(&mut self.durable[number as usize], true) {
                self.repeated += 1;
            } else if applies {
                self.count += 1;
            }
            results.push(if answers { Ok(()) } else { Err(unavailable()) });
        }
        Ok(results)
    }
}

pub(crate) fn unavailable() -> AppendError {
    AppendError::Unavailable { reason: "simulated".to_owned() }
}
