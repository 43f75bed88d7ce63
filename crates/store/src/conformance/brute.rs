use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use afterimage_event::{Op, Timestamp};

use crate::{BurstRule, Digest, Dimension, Entry, Facet, Filter, Flag, Grants, OWN_SOURCE, Period};

/// The truth about a trail, worked out from all that was told and nothing else: slow, and by other means than the trail's.
pub(super) struct Brute {
    told: Vec<Arc<Entry>>,
    now: Timestamp,
}

pub(super) type Names = Vec<Option<String>>;

impl Brute {
    /// Of these entries at this moment.
    pub(super) fn new(told: &[Arc<Entry>], now: Timestamp) -> Self {
        let mut told = told.to_vec();
        told.sort_by_key(|entry| entry.order_key());
        told.dedup_by_key(|entry| (entry.record.source.clone(), entry.identity.clone()));
        Self { told, now }
    }

    /// All versions of the event of an entry, those of the highest revision only.
    fn newest(&self, entry: &Entry) -> Vec<&Arc<Entry>> {
        let same = |other: &&Arc<Entry>| {
            other.record.source == entry.record.source && other.identity.event_id == entry.identity.event_id
        };
        let revision = self.told.iter().filter(same).map(|other| other.identity.revision).max();
        self.told.iter().filter(same).filter(|other| Some(other.identity.revision) == revision).collect()
    }

    fn is_shown(&self, entry: &Entry) -> bool {
        let alike =
            self.newest(entry).into_iter().filter(|other| other.identity.input_digest == entry.identity.input_digest);
        let first = alike.min_by_key(|other| other.identity.published_at);
        first.is_some_and(|first| first.identity == entry.identity) && !self.has_expired(entry)
    }

    fn has_expired(&self, entry: &Entry) -> bool {
        entry.expires_at.is_some_and(|expires_at| expires_at <= self.now)
    }

    /// What a list of these holds, in ascending order.
    pub(super) fn fitting(&self, filter: &Filter, grants: &Grants, period: Period) -> Vec<&Arc<Entry>> {
        let of_tenant = |entry: &&Arc<Entry>| entry.record.tenant == filter.tenant && grants.allow(&entry.record);
        let in_period = |entry: &&Arc<Entry>| {
            period.from.is_none_or(|from| entry.occurred_at >= from)
                && period.to.is_none_or(|to| entry.occurred_at < to)
        };
        let Filter { tenant: _, source, table, ops, field, actor, request, transaction, migration } = filter;
        let fits = |entry: &&Arc<Entry>| {
            let said = |wanted: &Option<String>, facet| {
                wanted.as_ref().is_none_or(|wanted| entry.provenance.terms(facet).any(|term| term == wanted))
            };
            (source.is_some() || entry.record.source != OWN_SOURCE)
                && source.as_ref().is_none_or(|source| *source == entry.record.source)
                && table.as_ref().is_none_or(|table| *table == entry.record.table)
                && (ops.is_empty() || ops.contains(&entry.op))
                && field.as_ref().is_none_or(|field| entry.changed.contains(field))
                && said(actor, Facet::Actor)
                && said(request, Facet::Request)
                && said(transaction, Facet::Transaction)
                && said(migration, Facet::Migration)
        };
        let all = self.told.iter().filter(of_tenant).filter(in_period).filter(fits);
        all.filter(|entry| self.is_shown(entry)).collect()
    }

    /// The flags of an entry: those of its place in the whole history of its record.
    pub(super) fn flags(&self, entry: &Entry) -> BTreeSet<Flag> {
        let mut flags = BTreeSet::new();
        if self.newest(entry).iter().any(|other| other.identity.input_digest != entry.identity.input_digest) {
            flags.insert(Flag::Conflict);
        }
        let bears = |other: &&Arc<Entry>| {
            matches!(other.op, Op::Insert | Op::Update | Op::Delete | Op::Snapshot) && other.record == entry.record
        };
        let history: Vec<&Arc<Entry>> = self.told.iter().filter(bears).filter(|other| self.is_shown(other)).collect();
        let Some(place) = history.iter().position(|other| other.identity == entry.identity) else { return flags };
        for second in [place, place + 1].into_iter().filter(|&second| 0 < second && second < history.len()) {
            let (a, b) = (history[second - 1], history[second]);
            let numbers = match (&a.position, &b.position) {
                (Some(a), Some(b)) if a.domain == b.domain => {
                    let number = |digits: &str| digits.parse::<u128>().expect("digits of a test");
                    Some((number(a.value()), number(b.value())))
                }
                _ => None,
            };
            if a.occurred_at == b.occurred_at && numbers.is_none_or(|(a, b)| a == b) {
                let gone = |other: &&Arc<Entry>| bears(other) && self.has_expired(other);
                let stood = match second.checked_sub(2) {
                    Some(before) => left(history[before]),
                    None if self
                        .told
                        .iter()
                        .take_while(|other| other.order_key() < a.order_key())
                        .any(|o| gone(&o)) =>
                    {
                        None
                    }
                    None => Some(Digest([0; 16])),
                };
                let (forth, back) = (joins(left(a), found(b)), joins(left(b), found(a)));
                let tells = joins(stood, found(a)) && stood != found(b);
                if !(forth && (!back || tells)) {
                    flags.insert(Flag::Ambiguous);
                }
            }
            if a.occurred_at < b.occurred_at && numbers.is_some_and(|(a, b)| a > b) {
                flags.insert(Flag::ClockRegression);
            }
        }
        flags
    }

    /// Counts and the total.
    pub(super) fn counts(fitting: &[&Arc<Entry>], by: &[Dimension]) -> (BTreeMap<Names, Vec<Timestamp>>, u64) {
        let mut groups: BTreeMap<Names, Vec<Timestamp>> = BTreeMap::new();
        for entry in fitting {
            for names in names(entry, by) {
                groups.entry(names).or_default().push(entry.occurred_at);
            }
        }
        (groups, fitting.len() as u64)
    }

    /// The bursts of one group's times, in order: their counts, first and last. Each window is looked at by itself.
    pub(super) fn bursts(times: &[Timestamp], rule: &BurstRule, period: Period) -> Vec<(u64, Timestamp, Timestamp)> {
        let begins = times.iter().enumerate().filter_map(|(first, from)| {
            let to = from.saturating_add_micros(rule.window_micros);
            let window: BTreeSet<usize> = (first..times.len()).filter(|&n| times[n] < to).collect();
            (window.len() as u64 > rule.threshold).then_some(window)
        });
        // Windows with an entry in common are one burst.
        let mut bursts: Vec<BTreeSet<usize>> = Vec::new();
        for mut window in begins {
            while let Some(other) = bursts.iter().position(|burst| !burst.is_disjoint(&window)) {
                window.append(&mut bursts.swap_remove(other));
            }
            bursts.push(window);
        }
        let inside =
            |n: &usize| period.from.is_none_or(|from| times[*n] >= from) && period.to.is_none_or(|to| times[*n] < to);
        bursts.retain(|burst| burst.iter().any(inside));
        let shown = |burst: BTreeSet<usize>| {
            let (first, last) = (burst.first().copied().unwrap_or(0), burst.last().copied().unwrap_or(0));
            (burst.len() as u64, times[first], times[last])
        };
        bursts.into_iter().map(shown).collect()
    }
}

/// The image before, as a digest; none of zeros; `None` where it is not known.
fn found(entry: &Entry) -> Option<Digest> {
    match entry.op {
        Op::Insert => Some(Digest([0; 16])),
        Op::Snapshot => entry.after_digest,
        _ => entry.before_digest,
    }
}

fn left(entry: &Entry) -> Option<Digest> {
    if entry.op == Op::Delete { Some(Digest([0; 16])) } else { entry.after_digest }
}

fn joins(left: Option<Digest>, found: Option<Digest>) -> bool {
    left.is_some() && left == found
}

fn names(entry: &Entry, by: &[Dimension]) -> Vec<Names> {
    let mut all = vec![Vec::new()];
    for dimension in by {
        let facet = |facet| vec![entry.provenance.terms(facet).next().map(str::to_owned)];
        // Of a moment as it is shown, the first letters and zeros.
        let cut =
            |letters: usize, rest: &str| vec![Some(format!("{}{rest}", &entry.occurred_at.to_string()[..letters]))];
        let values: Vec<Option<String>> = match dimension {
            Dimension::Source => vec![Some(entry.record.source.clone())],
            Dimension::Table => vec![Some(entry.record.table.clone())],
            Dimension::Op => vec![Some(entry.op.to_string())],
            Dimension::Actor => facet(Facet::Actor),
            Dimension::Request => facet(Facet::Request),
            Dimension::Transaction => facet(Facet::Transaction),
            Dimension::Migration => facet(Facet::Migration),
            Dimension::Hour => cut(13, ":00:00.000000Z"),
            Dimension::Day => cut(10, "T00:00:00.000000Z"),
            Dimension::Field if entry.changed.is_empty() => vec![None],
            Dimension::Field => {
                let once: BTreeSet<&String> = entry.changed.iter().collect();
                once.into_iter().cloned().map(Some).collect()
            }
        };
        let with = |names: &Names| {
            let names = names.clone();
            values.clone().into_iter().map(move |value| [names.clone(), vec![value]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
}
