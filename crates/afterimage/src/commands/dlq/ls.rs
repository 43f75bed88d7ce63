//! `afterimage dlq ls`: which kinds of letters there are, and the letters.

use std::collections::BTreeMap;

use afterimage_consumer::dead_letters::Look;
use serde::Serialize;

use super::{Coverage, Desk, Outcome, Progress};
use crate::config::By;
use crate::letters::{Facts, TrailState};
use crate::output;
use crate::render;

/// Most kinds that are told apart: a worker's name may be in them, and a fleet has many over time.
const KINDS_MAX: usize = 1_000;

/// What `ls` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    #[serde(flatten)]
    pub(crate) coverage: Coverage,
    /// Letters that are meant.
    pub(crate) matched: usize,
    /// Their kinds, the commonest first.
    pub(crate) kinds: Vec<Kind>,
    /// Letters of other kinds than those.
    pub(crate) of_other_kinds: usize,
    /// The first of the letters.
    pub(crate) items: Vec<Facts>,
}

/// A kind of letter.
#[derive(Debug, Serialize)]
pub(crate) struct Kind {
    /// By key, in the order asked for.
    pub(crate) keys: BTreeMap<&'static str, String>,
    pub(crate) letters: usize,
    /// Of them are understood now.
    pub(crate) understood: usize,
    /// Of them are in the trail, whole; absent when nobody said where the trail is.
    pub(crate) in_trail: Option<usize>,
}

pub(super) async fn run(look: &mut Look, desk: &Desk, by: &[By], limit: usize, json: bool) -> anyhow::Result<Outcome> {
    let mut tally = Tally::default();
    let mut progress = Progress::new();
    loop {
        let letters = desk.next(look, &mut progress).await?;
        if letters.is_empty() {
            break;
        }
        for (_, facts, reading) in letters {
            if desk.selection.includes(&facts) {
                tally.add(facts, reading.is_understood(), by, limit);
            }
        }
    }
    progress.end();
    let coverage = Coverage::of(look);
    let listed = tally.listed(coverage);
    coverage.warn();
    if json {
        output::print(&(serde_json::to_string(&listed)? + "\n"))?;
    } else {
        output::print(&render::letters(&listed, by, &desk.screen))?;
    }
    Ok(coverage.outcome())
}

#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeMap<Vec<String>, Kind>,
    of_other_kinds: usize,
    matched: usize,
    items: Vec<Facts>,
}

impl Tally {
    fn add(&mut self, facts: Facts, is_understood: bool, by: &[By], limit: usize) {
        self.matched += 1;
        let values: Vec<String> = by.iter().map(|by| facts.key(*by)).collect();
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&values) {
            self.of_other_kinds += 1;
        } else {
            let kind = self.kinds.entry(values.clone()).or_insert_with(|| Kind {
                keys: by.iter().map(|by| by.as_str()).zip(values).collect(),
                letters: 0,
                understood: 0,
                in_trail: None,
            });
            kind.letters += 1;
            kind.understood += usize::from(is_understood);
            if let Some(trail) = &facts.in_trail {
                *kind.in_trail.get_or_insert(0) += usize::from(trail.state == TrailState::In);
            }
        }
        if self.items.len() < limit {
            self.items.push(facts);
        }
    }

    fn listed(self, coverage: Coverage) -> Listed {
        let mut kinds: Vec<Kind> = self.kinds.into_values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.letters));
        Listed { coverage, matched: self.matched, kinds, of_other_kinds: self.of_other_kinds, items: self.items }
    }
}
