use afterimage_event::{Op, Position};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::answer::Flag;
use super::walk::{Shown, expired};
use super::{Trail, TrailError};
use crate::{Digest, Direction, Index, IndexRow, OrderKey, RowRange};

/// Index rows looked at on either side of a page to judge the entries at its edges. Versions that are not shown may
/// take up some of them.
const CONTEXT_ROWS: usize = 16;

/// What is known of a record at one side of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Absent,
    Image(Digest),
    Unknown,
}

fn before(row: &IndexRow) -> Side {
    match row.op {
        Op::Insert => Side::Absent,
        // A snapshot changes nothing.
        Op::Snapshot => image(row.after_digest),
        _ => image(row.before_digest),
    }
}

fn after(row: &IndexRow) -> Side {
    match row.op {
        Op::Delete => Side::Absent,
        _ => image(row.after_digest),
    }
}

fn image(digest: Option<Digest>) -> Side {
    digest.map_or(Side::Unknown, Side::Image)
}

fn chains(first: &IndexRow, second: &IndexRow) -> bool {
    let between = after(first);
    between != Side::Unknown && between == before(second)
}

/// Does this operation say what the record looks like?
pub(super) fn bears_state(op: Op) -> bool {
    matches!(op, Op::Insert | Op::Update | Op::Delete | Op::Snapshot)
}

/// Their places by position, where both are numbered by one domain.
fn by_position(first: &IndexRow, second: &IndexRow) -> Option<std::cmp::Ordering> {
    match (&first.position, &second.position) {
        (Some(a), Some(b)) if a.domain == b.domain => Some(Position::sort_key(a).cmp(&Position::sort_key(b))),
        _ => None,
    }
}

/// Is nothing but the event id what puts one before the other?
pub(super) fn ties(first: &IndexRow, second: &IndexRow) -> bool {
    first.occurred_at == second.occurred_at && by_position(first, second).is_none_or(std::cmp::Ordering::is_eq)
}

fn regresses(first: &IndexRow, second: &IndexRow) -> bool {
    first.occurred_at < second.occurred_at && by_position(first, second).is_some_and(std::cmp::Ordering::is_gt)
}

/// For rows in ascending order that readers see: which are `ambiguous`, which show a `clock_regression`.
///
/// Two that tie are in doubt unless their images chain this way round and not the other; where both ways chain (x to y
/// and y to x), what stood before them decides. A position that contradicts the clock leaves both neighbours in doubt.
fn judge(rows: &[&IndexRow], begins: bool) -> Vec<Vec<Flag>> {
    let mut flags = vec![Vec::new(); rows.len()];
    let mut mark = |index: usize, flag: Flag| {
        if !flags[index].contains(&flag) {
            flags[index].push(flag);
        }
    };
    let bearing: Vec<usize> = (0..rows.len()).filter(|&index| bears_state(rows[index].op)).collect();
    for (place, pair) in bearing.windows(2).enumerate() {
        let (first, second) = (rows[pair[0]], rows[pair[1]]);
        if ties(first, second) {
            let stood = match place.checked_sub(1) {
                Some(previous) => after(rows[bearing[previous]]),
                None if begins => Side::Absent,
                None => Side::Unknown,
            };
            let settled = chains(first, second)
                && (!chains(second, first)
                    || (stood != Side::Unknown && stood == before(first) && stood != before(second)));
            if !settled {
                mark(pair[0], Flag::Ambiguous);
                mark(pair[1], Flag::Ambiguous);
            }
        }
        if regresses(first, second) {
            mark(pair[0], Flag::ClockRegression);
            mark(pair[1], Flag::ClockRegression);
        }
    }
    flags
}

/// Rows next to an entry that bear on its flags.
struct Beside {
    /// Nearest first, without what has expired.
    rows: Vec<IndexRow>,
    /// The farthest that has expired.
    expired: Option<OrderKey>,
    /// May there be more beyond?
    is_full: bool,
}

/// Runs of a page judged at the same time.
const RUNS_AT_ONCE: usize = 16;

impl Trail {
    /// The flags of a page of any order. `whole_records` says that nothing is missing between any two entries of a record;
    /// otherwise each is judged among neighbours of its own.
    ///
    /// Costs up to two reads of [`CONTEXT_ROWS`] rows for each record of the page, or for each entry; for an entry without
    /// position one read that mostly brings nothing but itself.
    pub(super) async fn flags_of(&self, page: &[Shown], whole_records: bool) -> Result<Vec<Vec<Flag>>, TrailError> {
        let mut places: Vec<usize> = (0..page.len()).collect();
        places.sort_by_cached_key(|&place| (&page[place].row.record, page[place].row.order_key()));
        let same_run = |a: &usize, b: &usize| whole_records && page[*a].row.record == page[*b].row.record;
        let runs: Vec<Vec<&Shown>> =
            places.chunk_by(same_run).map(|run| run.iter().map(|&place| &page[place]).collect()).collect();
        let judged: Vec<_> = runs.iter().map(|run| self.flags(run)).collect();
        let judged: Vec<Vec<Vec<Flag>>> = stream::iter(judged).buffered(RUNS_AT_ONCE).try_collect().await?;
        let mut flags = vec![Vec::new(); page.len()];
        for (place, judged) in places.into_iter().zip(judged.into_iter().flatten()) {
            flags[place] = judged;
        }
        Ok(flags)
    }

    /// The flags of a run of shown entries of one record in ascending order, none missing in between, judged together with
    /// their neighbours, so that they do not depend on where a page begins or ends.
    pub(super) async fn flags(&self, page: &[&Shown]) -> Result<Vec<Vec<Flag>>, TrailError> {
        let mut flags: Vec<Vec<Flag>> =
            page.iter().map(|shown| if shown.conflict { vec![Flag::Conflict] } else { Vec::new() }).collect();
        let bearing: Vec<usize> = (0..page.len()).filter(|&place| bears_state(page[place].row.op)).collect();
        let (Some(&oldest), Some(&newest)) = (bearing.first(), bearing.last()) else { return Ok(flags) };
        let is_alone = oldest == newest;
        let (oldest, newest) = (&page[oldest].row, &page[newest].row);
        if is_alone && ties_only(oldest) && !self.has_company(oldest).await? {
            return Ok(flags);
        }
        let mut older = self.beside(oldest, Direction::Descending, ties_only(oldest)).await?;
        let newer = self.beside(newest, Direction::Ascending, ties_only(newest)).await?;

        let touches =
            |edge: &IndexRow, other: &IndexRow| ties(edge, other) || regresses(other, edge) || regresses(edge, other);
        let newer_touches = newer.rows.iter().any(|row| touches(newest, row));
        let second_ties = match bearing.get(1) {
            Some(&second) => ties(oldest, &page[second].row),
            None => newer.rows.iter().any(|row| ties(oldest, row)),
        };
        // Most pages touch nothing of the kind; then nothing more need be read.
        let older_matters = second_ties || older.rows.iter().any(|row| touches(oldest, row));
        if older_matters && ties_only(oldest) {
            older = self.beside(oldest, Direction::Descending, false).await?;
        }
        let (is_full, expired) = (older.is_full, older.expired);
        let older = if older_matters { self.shown_rows(older.rows).await? } else { Vec::new() };
        let newer = if newer_touches { self.shown_rows(newer.rows).await? } else { Vec::new() };

        let mut rows: Vec<&IndexRow> = older.iter().rev().collect();
        let offset = rows.len();
        rows.extend(page.iter().map(|shown| &shown.row));
        rows.extend(newer.iter());
        // Nothing stood before the first entry of a record, unless it has expired.
        let first = rows.iter().find(|row| bears_state(row.op)).map(|row| row.order_key());
        let begins =
            older_matters && !is_full && expired.is_none_or(|expired| first.is_some_and(|first| first < expired));
        let judged = judge(&rows, begins);
        for (flags, mut judged) in flags.iter_mut().zip(judged.into_iter().skip(offset)) {
            judged.append(flags);
            *flags = judged;
        }
        Ok(flags)
    }

    /// Does anything else of its record stand at the very moment of an entry?
    async fn has_company(&self, row: &IndexRow) -> Result<bool, TrailError> {
        let to = Some(row.occurred_at.saturating_add_micros(1));
        let range = RowRange { from: Some(row.occurred_at), to, past: None, direction: Direction::Ascending, limit: 2 };
        Ok(self.store.rows(&Index::Record(row.record.clone()), &range).await?.len() > 1)
    }

    /// Rows next to an entry that bear on its flags: all of them, or those of its very moment only.
    async fn beside(&self, edge: &IndexRow, direction: Direction, ties_only: bool) -> Result<Beside, TrailError> {
        let at = edge.occurred_at;
        let (from, to) = if ties_only { (Some(at), Some(at.saturating_add_micros(1))) } else { (None, None) };
        let range = RowRange { from, to, past: Some(edge.order_key()), direction, limit: CONTEXT_ROWS };
        let now = self.now();
        let mut rows = self.store.rows(&Index::Record(edge.record.clone()), &range).await?;
        let is_full = rows.len() == CONTEXT_ROWS;
        rows.retain(|row| bears_state(row.op));
        let farthest = rows.iter().rfind(|row| expired(row, now)).map(IndexRow::order_key);
        rows.retain(|row| !expired(row, now));
        Ok(Beside { rows, expired: farthest, is_full })
    }

    async fn shown_rows(&self, rows: Vec<IndexRow>) -> Result<Vec<IndexRow>, TrailError> {
        Ok(self.standing(rows, None).await?.shown.into_iter().map(|shown| shown.row).collect())
    }
}

/// Without a position nothing but a tie puts an entry in doubt.
fn ties_only(row: &IndexRow) -> bool {
    row.position.is_none()
}

#[cfg(test)]
mod tests {
    use afterimage_event::{RecordKey, Timestamp};

    use super::*;
    use crate::{Identity, Provenance};

    fn row(id: &str, op: Op, second: i64, seq: Option<&str>, before: u8, after: u8) -> IndexRow {
        let digest = |byte: u8| (byte != 0).then_some(Digest([byte; 16]));
        let moment = Timestamp::from_micros(second * 1_000_000).unwrap();
        IndexRow {
            record: RecordKey { tenant: "t".into(), source: "s".into(), table: "x".into(), record_id: vec![] },
            identity: Identity {
                event_id: id.into(),
                input_digest: Digest([0; 16]),
                revision: 0,
                published_at: moment,
            },
            op,
            occurred_at: moment,
            position: seq.map(|seq| Position::new("seq", seq).unwrap()),
            changed: vec![],
            before_digest: digest(before),
            after_digest: digest(after),
            provenance: Provenance::default(),
            expires_at: None,
        }
    }

    fn flagged(rows: &[IndexRow]) -> Vec<Vec<Flag>> {
        judge(&rows.iter().collect::<Vec<_>>(), true)
    }

    #[test]
    fn entries_that_tie_are_certain_only_when_their_images_chain_one_way() {
        let update = |id, before, after| row(id, Op::Update, 1, None, before, after);
        let ambiguous = vec![Flag::Ambiguous];
        assert_eq!(flagged(&[update("a", 1, 2), update("b", 2, 3)]), [vec![], vec![]]);
        assert_eq!(flagged(&[update("a", 2, 3), update("b", 1, 2)]), [ambiguous.clone(), ambiguous.clone()]);
        // Both ways chain: only what stood before can tell.
        assert_eq!(flagged(&[update("a", 1, 2), update("b", 2, 1)]), [ambiguous.clone(), ambiguous.clone()]);
        let stood = row("0", Op::Insert, 0, None, 0, 1);
        assert_eq!(flagged(&[stood, update("a", 1, 2), update("b", 2, 1)]), [vec![], vec![], vec![]]);
        // Without images nothing is certain.
        assert_eq!(flagged(&[update("a", 0, 0), update("b", 0, 0)]), [ambiguous.clone(), ambiguous]);
    }

    #[test]
    fn the_first_insert_of_a_record_comes_before_its_delete() {
        let rows = [row("a", Op::Insert, 1, None, 0, 1), row("b", Op::Delete, 1, None, 1, 0)];
        assert_eq!(flagged(&rows), [vec![], vec![]]);
        let rows = [row("a", Op::Delete, 1, None, 1, 0), row("b", Op::Insert, 1, None, 0, 1)];
        assert_eq!(flagged(&rows), [[Flag::Ambiguous], [Flag::Ambiguous]]);
    }

    #[test]
    fn positions_of_one_domain_settle_a_tie() {
        let rows = [row("b", Op::Update, 1, Some("9"), 5, 6), row("a", Op::Update, 1, Some("10"), 1, 2)];
        assert_eq!(flagged(&rows), [vec![], vec![]]);
        let mut rows = rows;
        rows[1].position = Position::new("elsewhere", "10");
        assert_eq!(flagged(&rows), [[Flag::Ambiguous], [Flag::Ambiguous]]);
    }

    #[test]
    fn a_position_that_contradicts_the_clock_marks_both_neighbours() {
        let rows = [
            row("a", Op::Update, 1, Some("7"), 1, 2),
            row("b", Op::Update, 2, Some("6"), 2, 3),
            row("c", Op::Update, 3, Some("8"), 3, 4),
        ];
        assert_eq!(flagged(&rows), [vec![Flag::ClockRegression], vec![Flag::ClockRegression], vec![]]);
    }

    #[test]
    fn looking_at_a_record_does_not_disturb_its_order() {
        let rows = [
            row("a", Op::Update, 1, None, 1, 2),
            row("b", Op::Access, 1, None, 0, 0),
            row("c", Op::Update, 1, None, 2, 3),
        ];
        assert_eq!(flagged(&rows), [vec![], vec![], vec![]]);
    }
}
