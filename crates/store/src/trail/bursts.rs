use std::collections::{HashMap, VecDeque};

use afterimage_event::Timestamp;
use serde::Serialize;

use super::answer::shown_option;
use super::counts::{Count, GROUPS_MAX, Key, keys, named, too_many_groups};
use super::filter::check_dimensions;
use super::{Dimension, Filter, Period, Trail, TrailError};

/// Most bursts of one answer.
const BURSTS_MAX: usize = 100_000;
/// Most times held at once, of all groups: as many as fit into one window, up to the threshold of each.
const TIMES_MAX: usize = 4 << 20;
/// Groups held before those that have been silent for a window are looked for.
const GROUPS_SWEPT_FIRST: usize = 1024;

/// Runs of entries that came too fast: see [`Trail::bursts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bursts {
    /// One for each run, the largest first; equal ones in the order of their keys and times.
    pub items: Vec<Count>,
    /// From when, inclusive.
    #[serde(serialize_with = "shown_option")]
    pub from: Option<Timestamp>,
    /// To when, exclusive.
    #[serde(serialize_with = "shown_option")]
    pub to: Option<Timestamp>,
}

/// What makes a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BurstRule {
    /// Length of the sliding window, in microseconds; above zero.
    pub window_micros: i64,
    /// A window with more entries than this is too full.
    pub threshold: u64,
    /// Whose entries are counted together. Neither hours nor days, which would cut a burst in two.
    pub by: Vec<Dimension>,
}

/// Longest sliding window.
const WINDOW_MICROS_MAX: i64 = 31 * 86_400 * 1_000_000;

/// The text is no sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 500ms, 90s, 15m, 1h or 7d, at most 31d")]
pub struct ParseWindowError;

/// Reads [`BurstRule::window_micros`]: a whole number and a unit from ms to d.
///
/// # Errors
/// When the text is none, or longer than windows may be.
pub fn window_micros(text: &str) -> Result<i64, ParseWindowError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_micros = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(ParseWindowError),
    };
    let micros = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_micros));
    micros.filter(|micros| (1..=WINDOW_MICROS_MAX).contains(micros)).ok_or(ParseWindowError)
}

impl BurstRule {
    fn check(&self) -> Result<(), TrailError> {
        check_dimensions(&self.by)?;
        let reason = if self.window_micros <= 0 {
            "the window must be longer than nothing, such as one hour".to_owned()
        } else if self.window_micros > WINDOW_MICROS_MAX {
            "the window is at most 31 days".to_owned()
        } else if self.by.iter().any(|by| matches!(by, Dimension::Hour | Dimension::Day)) {
            "bursts are runs in time already; leave out hour and day".to_owned()
        } else {
            return Ok(());
        };
        Err(TrailError::Question { reason })
    }
}

/// The entries of one group, as they come in order of time.
#[derive(Default)]
struct Group {
    /// Times of the newest entries within a window: one more than the threshold is enough.
    recent: VecDeque<Timestamp>,
    run: Option<Run>,
}

struct Run {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    in_period: bool,
    /// Entries since the last one of the run, and is one of them in the period? They join it when the next window that is
    /// too full reaches back to the run.
    since: u64,
    since_in_period: bool,
}

impl Group {
    /// Takes the next entry. Gives back a run that it ended.
    fn take(&mut self, at: Timestamp, window_micros: i64, threshold: usize, period: Period) -> Option<Run> {
        self.recent.push_back(at);
        while self.recent.len() > threshold.saturating_add(1)
            || self.recent.front().is_some_and(|&t| apart(t, at) >= window_micros)
        {
            self.recent.pop_front();
        }
        let is_too_full = self.recent.len() > threshold;
        let in_period = period.holds(at);
        if let Some(run) = &mut self.run {
            run.since += 1;
            run.since_in_period |= in_period;
            if is_too_full && apart(run.last, at) < window_micros {
                run.count += run.since;
                run.in_period |= run.since_in_period;
                (run.last, run.since, run.since_in_period) = (at, 0, false);
                return None;
            }
        }
        if !is_too_full {
            return None;
        }
        // The window before this one was not too full, or ended before this entry: so this one holds no more than these.
        let new = Run {
            count: self.recent.len() as u64,
            first: self.recent.front().copied().unwrap_or(at),
            last: at,
            in_period: self.recent.iter().any(|&t| period.holds(t)),
            since: 0,
            since_in_period: false,
        };
        self.run.replace(new)
    }
}

/// Microseconds between two moments in order.
fn apart(first: Timestamp, second: Timestamp) -> i64 {
    second.as_micros() - first.as_micros()
}

/// All groups, and the bursts that are over.
struct Watch<'q> {
    rule: &'q BurstRule,
    period: Period,
    groups: HashMap<Key, Group>,
    swept_at: usize,
    times: usize,
    items: Vec<Count>,
}

impl Watch<'_> {
    fn take(&mut self, key: Key, at: Timestamp) -> Result<(), TrailError> {
        let threshold = usize::try_from(self.rule.threshold).unwrap_or(usize::MAX);
        let group = self.groups.entry(key.clone()).or_default();
        let before = group.recent.len();
        let ended = group.take(at, self.rule.window_micros, threshold, self.period);
        self.times = self.times + group.recent.len() - before;
        self.keep(key, ended)?;
        if self.groups.len() > self.swept_at || self.times > TIMES_MAX {
            self.sweep(Some(at))?;
            if self.groups.len() > GROUPS_MAX {
                return Err(too_many_groups());
            }
            if self.times > TIMES_MAX {
                let reason =
                    format!("more than {TIMES_MAX} entries in one window; ask for a shorter one or a lower threshold");
                return Err(TrailError::Question { reason });
            }
            self.swept_at = (self.groups.len() * 2).max(GROUPS_SWEPT_FIRST);
        }
        Ok(())
    }

    /// Lets go of groups that nothing can be added to: those silent for a window, or all.
    fn sweep(&mut self, now: Option<Timestamp>) -> Result<(), TrailError> {
        let window_micros = self.rule.window_micros;
        let is_over = |group: &Group| {
            let last = group.recent.back();
            now.zip(last).is_none_or(|(now, &last)| apart(last, now) >= window_micros)
        };
        let over: Vec<(Key, Group)> = self.groups.extract_if(|_, group| is_over(group)).collect();
        for (key, group) in over {
            self.times -= group.recent.len();
            self.keep(key, group.run)?;
        }
        Ok(())
    }

    fn keep(&mut self, key: Key, run: Option<Run>) -> Result<(), TrailError> {
        let Some(Run { count, first, last, .. }) = run.filter(|run| run.in_period) else { return Ok(()) };
        if self.items.len() == BURSTS_MAX {
            let reason = format!("more than {BURSTS_MAX} bursts; ask for a shorter period or a higher threshold");
            return Err(TrailError::Question { reason });
        }
        self.items.push(Count { keys: named(&self.rule.by, key), count, first, last });
        Ok(())
    }
}

impl Trail {
    /// Bulk operations: runs of entries of one group (one actor, say) that came too fast. Without a time: those of the last
    /// 24 hours.
    ///
    /// A window is a stretch of time of the rule's length, its beginning inclusive, its end exclusive, wherever it begins; it
    /// is too full when it holds more entries of the group than the threshold. Entries of one window that is too full
    /// belong to one burst, and so do those of two such windows that have an entry in common. So no entry counts in two
    /// bursts, every entry of a burst lies in a window that is too full, and no such window lies outside of a burst.
    ///
    /// A burst that lies in the period with at least one entry is shown with what belongs to it one window before the
    /// period and one after it: asking hour by hour misses none, and one across the hour is found twice. What reaches
    /// out further is cut off there.
    ///
    /// Costs what the period and the two windows hold. By [`Dimension::Field`], an entry counts once for each name.
    ///
    /// # Errors
    /// [`TrailError::Question`] also for more groups, bursts or entries in a window than can be held.
    pub async fn bursts(&self, filter: &Filter, period: Period, rule: &BurstRule) -> Result<Bursts, TrailError> {
        rule.check()?;
        let period = period.check()?.or_last_day(self.now());
        let around = Period {
            from: period.from.map(|from| from.saturating_add_micros(-rule.window_micros)),
            to: period.to.map(|to| to.saturating_add_micros(rule.window_micros)),
        };
        let (groups, items) = (HashMap::new(), Vec::new());
        let mut watch = Watch { rule, period, groups, swept_at: GROUPS_SWEPT_FIRST, times: 0, items };
        let take = |row: &crate::IndexRow| {
            keys(row, &rule.by).into_iter().try_for_each(|key| watch.take(key, row.occurred_at))
        };
        self.each(filter, around, take).await?;
        watch.sweep(None)?;
        let mut items = watch.items;
        items.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.keys, a.first).cmp(&(&b.keys, b.first))));
        Ok(Bursts { items, from: period.from, to: period.to })
    }
}
