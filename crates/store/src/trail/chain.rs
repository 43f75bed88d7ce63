use afterimage_event::{Op, Timestamp};

use super::flags::ties;
use crate::{Digest, IndexRow};

/// An entry as a link in the chain of its record's images.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) row: IndexRow,
    /// Digest of the rules that shaped it: others leave other things out of the digests of images.
    pub(super) rules: String,
    /// What the digests of its images leave out because nobody could see it.
    pub(super) unknown: Vec<String>,
}

/// What stood before an entry came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing<'l> {
    /// What this entry left.
    Entry(&'l IndexRow),
    /// Nothing, since this truncate.
    Truncate(&'l IndexRow),
}

/// Two neighbours that do not fit.
#[derive(Clone, Debug)]
pub(super) struct Gap<'l> {
    pub(super) stood: Standing<'l>,
    pub(super) behind: &'l IndexRow,
    pub(super) certain: bool,
    pub(super) reason: String,
}

/// Most entries that tie of which every order is tried; of more, the one they are listed in is taken.
const ORDERS_TRIED_MAX: usize = 5;

/// The gaps between links of one record in ascending order; `truncate` gives the last truncate of its table up to and
/// including a moment.
///
/// Of entries that tie nobody knows the order: the one that leaves the fewest gaps is taken.
pub(super) fn judge<'l>(links: &'l [Link], truncate: impl Fn(Timestamp) -> Option<&'l IndexRow>) -> Vec<Gap<'l>> {
    let mut gaps = Vec::new();
    let mut stood: Option<&Link> = None;
    let mut rest = links;
    while !rest.is_empty() {
        let tied = 1 + rest.windows(2).take_while(|pair| ties(&pair[0].row, &pair[1].row)).count();
        let (group, later) = rest.split_at(tied);
        rest = later;
        let try_order = |order: &[&'l Link]| {
            let mut found = Vec::new();
            let mut previous = stood;
            // What comes next tells which of them was the last.
            for link in order.iter().copied().chain(later.first()) {
                let taken = truncate(link.row.occurred_at);
                found.push(misfit(previous, taken, link).map(|gap| Gap { certain: gap.certain && tied == 1, ..gap }));
                previous = Some(link);
            }
            found
        };
        let mut order: Vec<&Link> = group.iter().collect();
        let mut best = try_order(&order);
        if (2..=ORDERS_TRIED_MAX).contains(&tied) {
            let count = |found: &[Option<Gap<'_>>]| found.iter().flatten().count();
            for other in orders(&order) {
                if count(&best) == 0 {
                    break;
                }
                let found = try_order(&other);
                if count(&found) < count(&best) {
                    (best, order) = (found, other);
                }
            }
        }
        best.truncate(tied);
        gaps.extend(best.into_iter().flatten());
        stood = order.last().copied();
    }
    gaps
}

/// Every order of a few links.
fn orders<'l>(links: &[&'l Link]) -> Vec<Vec<&'l Link>> {
    if links.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 0..links.len() {
        let mut others = links.to_vec();
        let link = others.remove(first);
        all.extend(orders(&others).into_iter().map(|mut order| {
            order.insert(0, link);
            order
        }));
    }
    all
}

/// What is known of a record between two entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Image {
    Absent,
    Present(Option<Digest>),
}

fn left_by(row: &IndexRow) -> Image {
    if row.op == Op::Delete { Image::Absent } else { Image::Present(row.after_digest) }
}

fn found_by(row: &IndexRow) -> Image {
    match row.op {
        Op::Insert => Image::Absent,
        // It changes nothing: what was read is what stood there.
        Op::Snapshot => Image::Present(row.after_digest),
        _ => Image::Present(row.before_digest),
    }
}

/// Why an entry does not fit what stood before it. A first entry fits.
fn misfit<'l>(previous: Option<&'l Link>, taken: Option<&'l IndexRow>, link: &'l Link) -> Option<Gap<'l>> {
    let behind = &link.row;
    let taken = taken.filter(|truncate| previous.is_none_or(|link| truncate.occurred_at >= link.row.occurred_at));
    let after_truncate = |truncate: &'l IndexRow, certain| {
        (found_by(behind) != Image::Absent).then(|| Gap {
            stood: Standing::Truncate(truncate),
            behind,
            certain,
            reason: format!("{} of a record whose table was truncated before", with_article(behind.op)),
        })
    };
    let after_entry = |previous: &'l Link| {
        let (certain, reason) = reason(previous, link)?;
        Some(Gap { stood: Standing::Entry(&previous.row), behind, certain, reason })
    };
    match (previous, taken) {
        (None, None) => None,
        (None, Some(truncate)) if truncate.occurred_at == behind.occurred_at => None,
        (None, Some(truncate)) => after_truncate(truncate, true),
        (Some(previous), None) => after_entry(previous),
        // Nothing tells which came first: there is a gap only if there is one either way.
        (Some(previous), Some(truncate))
            if [previous.row.occurred_at, behind.occurred_at].contains(&truncate.occurred_at) =>
        {
            after_truncate(truncate, false).and_then(|_| after_entry(previous)).map(|gap| Gap { certain: false, ..gap })
        }
        (Some(_), Some(truncate)) => after_truncate(truncate, true),
    }
}

fn reason(previous: &Link, link: &Link) -> Option<(bool, String)> {
    let op = link.row.op;
    match (left_by(&previous.row), found_by(&link.row)) {
        (Image::Absent, Image::Absent) => None,
        (Image::Absent, Image::Present(_)) => {
            Some((true, format!("{} of a record that was deleted before", with_article(op))))
        }
        (Image::Present(_), Image::Absent) => Some((true, "an insert of a record that was there already".to_owned())),
        (Image::Present(Some(left)), Image::Present(Some(found)))
            if left != found && previous.unknown == link.unknown =>
        {
            let what = match op {
                Op::Snapshot => "the image that was read is not the one that the last change left",
                _ => "the image it started from is not the one that the last change left",
            };
            if previous.rules == link.rules {
                return Some((true, what.to_owned()));
            }
            Some((false, format!("{what}; the rules changed in between, which may be why")))
        }
        _ => None,
    }
}

fn with_article(op: Op) -> String {
    let article = if matches!(op, Op::Insert | Op::Update) { "an" } else { "a" };
    format!("{article} {op}")
}
