use std::collections::{BTreeMap, HashMap, HashSet};

use afterimage_event::{RecordKey, Timestamp};

use super::answer::read;
use super::{Trail, TrailError};
use crate::{ContentRow, Digest, Direction, Identity, Index, IndexRow, RowRange, StoreError, VERSIONS_MAX};

/// An entry that readers see.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) row: IndexRow,
    pub(super) content: ContentRow,
    /// Other data was stored under the same id.
    pub(super) conflict: bool,
}

pub(super) fn expired(row: &IndexRow, now: Timestamp) -> bool {
    row.expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// Does this version take the place of that one?
fn displaces(version: &Identity, other: &Identity) -> bool {
    version.revision > other.revision
        || (version.revision == other.revision
            && version.input_digest == other.input_digest
            && version.published_at < other.published_at)
}

/// What was stored under the ids of some rows, by source and id.
type Stored<T> = HashMap<(String, String), Vec<T>>;

/// The ids of these rows, each once, by source.
fn ids_by_source(rows: &[IndexRow]) -> BTreeMap<&str, Vec<String>> {
    let mut ids: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        ids.entry(&row.record.source).or_default().push(row.identity.event_id.clone());
    }
    for ids in ids.values_mut() {
        ids.sort_unstable();
        ids.dedup();
    }
    ids
}

fn of_row<'s, T>(stored: &'s Stored<T>, row: &IndexRow) -> &'s [T] {
    let key = (row.record.source.clone(), row.identity.event_id.clone());
    stored.get(&key).map_or(&[], Vec::as_slice)
}

fn without_content(row: &IndexRow) -> TrailError {
    let reason = format!("event `{}` has an index row and no content", row.identity.event_id);
    TrailError::Store(StoreError::Damaged { reason })
}

/// Rows as readers see them.
pub(super) struct Standing {
    /// Those that are shown, in the order given.
    pub(super) shown: Vec<Shown>,
    /// When the latest version of an event with several of them was stored.
    pub(super) latest: Option<Timestamp>,
}

impl Trail {
    /// Those of these rows that readers see, with their contents.
    pub(super) async fn standing(
        &self,
        rows: Vec<IndexRow>,
        started_at: Option<Timestamp>,
    ) -> Result<Standing, TrailError> {
        let Standing { shown: anywhere, latest } = self.standing_anywhere(rows, started_at).await?;
        let mut shown = Vec::with_capacity(anywhere.len());
        for entry in anywhere {
            if !self.stands_elsewhere(&entry).await? {
                shown.push(entry);
            }
        }
        Ok(Standing { shown, latest })
    }

    /// As [`Self::standing`], with each of the places of a version that has two.
    async fn standing_anywhere(
        &self,
        rows: Vec<IndexRow>,
        started_at: Option<Timestamp>,
    ) -> Result<Standing, TrailError> {
        let mut stored = Stored::new();
        for (source, ids) in ids_by_source(&rows) {
            let versions = self.store.contents(&rows[0].record.tenant, source, &ids).await?;
            stored.extend(ids.into_iter().map(|id| (source.to_owned(), id)).zip(versions));
        }
        let several = stored.values().filter(|versions| versions.len() > 1).flatten();
        let latest = several.map(|version| version.stored_at).max();
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some((content, conflict)) = self.stands(&row, of_row(&stored, &row), started_at).await? {
                shown.push(Shown { row, content, conflict });
            }
        }
        Ok(Standing { shown, latest })
    }

    /// Is this row the version that readers see, and is its id used for other data too?
    async fn stands(
        &self,
        row: &IndexRow,
        versions: &[ContentRow],
        started_at: Option<Timestamp>,
    ) -> Result<Option<(ContentRow, bool)>, TrailError> {
        let own = &row.identity;
        let was_there = |version: &&ContentRow| started_at.is_none_or(|moment| version.stored_at <= moment);
        let mut candidates: Vec<&ContentRow> = versions.iter().filter(was_there).collect();
        if candidates.is_empty() {
            candidates = versions.iter().collect();
        }
        for other in &candidates {
            // Content is written before its index rows: a version that is only half there yet must not hide this one.
            if displaces(&other.identity, own) && self.is_indexed(other).await? {
                return Ok(None);
            }
        }
        let mut conflict = candidates
            .iter()
            .any(|other| other.identity.revision == own.revision && other.identity.input_digest != own.input_digest);
        let mut content = candidates.iter().find(|other| other.identity == *own).map(|&version| version.clone());
        if versions.len() >= VERSIONS_MAX {
            if content.is_none() {
                content = self.version_from(row, own.input_digest).await?.filter(|first| first.identity == *own);
                if content.is_none() {
                    return Ok(None);
                }
            }
            if !conflict && let Some(next) = u128::from_be_bytes(own.input_digest.0).checked_add(1) {
                conflict = self.version_from(row, Digest(next.to_be_bytes())).await?.is_some();
            }
        }
        match content {
            Some(content) => Ok(Some((content, conflict))),
            // It came after the walk began, beside one that was there.
            None if versions.iter().any(|version| version.identity == *own) => Ok(None),
            None => Err(without_content(row)),
        }
    }

    async fn version_from(&self, row: &IndexRow, from: Digest) -> Result<Option<ContentRow>, TrailError> {
        let RecordKey { tenant, source, .. } = &row.record;
        let identity = &row.identity;
        Ok(self.store.version_from(tenant, source, &identity.event_id, identity.revision, from).await?)
    }

    /// Is it shown in another place? A version that was published twice in the same moment has two places, where the queue
    /// numbers messages; its content names that of one of them.
    async fn stands_elsewhere(&self, entry: &Shown) -> Result<bool, TrailError> {
        let Shown { row, content: version, .. } = entry;
        if row.position.is_none() {
            return Ok(false);
        }
        Ok(read(version)?.order_key() != row.order_key() && self.is_indexed(version).await?)
    }

    /// Has this version its index row?
    async fn is_indexed(&self, version: &ContentRow) -> Result<bool, TrailError> {
        let content = read(version)?;
        let key = content.order_key();
        // Keys are ordered by time of publishing last, so the row just before this one is this one a microsecond earlier.
        let mut before = key.clone();
        before.identity.published_at = before.identity.published_at.saturating_add_micros(-1);
        let range = RowRange {
            from: Some(key.occurred_at),
            to: None,
            past: Some(before),
            direction: Direction::Ascending,
            limit: 1,
        };
        let rows = self.store.rows(&Index::Record(content.record()), &range).await?;
        Ok(rows.first().is_some_and(|row| row.order_key() == key))
    }
}

/// Tells the rows that readers see from those they do not, without their contents: for counting. Rows are to come in
/// order.
///
/// What displaces a row mostly stands right beside it (the same event published twice, or corrected) and was seen here;
/// only where it was not is content read, to learn if that version is there as a whole.
#[derive(Default)]
pub(super) struct Sieve {
    /// The rows of this call and the one before, by source.
    seen: [HashSet<(String, Identity)>; 2],
    /// Versions that a queue gave a place, of the rows of this call and the one before: one may have two, and the first counts.
    placed: [HashSet<(String, Identity)>; 2],
}

impl Sieve {
    /// Those of these rows that readers see, in their order.
    pub(super) async fn sift(&mut self, trail: &Trail, mut rows: Vec<IndexRow>) -> Result<Vec<IndexRow>, TrailError> {
        let key = |row: &IndexRow| (row.record.source.clone(), row.identity.clone());
        self.placed.rotate_left(1);
        self.placed[1].clear();
        rows.retain(|row| {
            let ([before, now], version) = (&mut self.placed, key(row));
            row.position.is_none() || (!before.contains(&version) && now.insert(version))
        });
        let mut stored = Stored::new();
        for (source, ids) in ids_by_source(&rows) {
            let versions = trail.store.versions(&rows[0].record.tenant, source, &ids).await?;
            stored.extend(ids.into_iter().map(|id| (source.to_owned(), id)).zip(versions));
        }
        self.seen.rotate_left(1);
        // Only versions of one event can displace each other.
        self.seen[1] = rows.iter().filter(|row| of_row(&stored, row).len() > 1).map(key).collect();

        let verdicts: Vec<Verdict> = rows.iter().map(|row| self.verdict(row, of_row(&stored, row))).collect();
        let doubtful = rows.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::InDoubt);
        let doubtful: Vec<IndexRow> = doubtful.map(|(row, _)| row.clone()).collect();
        let mut settled = HashSet::new();
        for some in doubtful.chunks(DOUBTFUL_AT_ONCE) {
            let standing = trail.standing_anywhere(some.to_vec(), None).await?;
            settled.extend(standing.shown.iter().map(|shown| key(&shown.row)));
        }
        let stands = |(row, verdict): &(IndexRow, Verdict)| match verdict {
            Verdict::Stands => true,
            Verdict::Displaced => false,
            Verdict::InDoubt => settled.contains(&key(row)),
        };
        Ok(rows.into_iter().zip(verdicts).filter(stands).map(|(row, _)| row).collect())
    }

    fn verdict(&self, row: &IndexRow, versions: &[Identity]) -> Verdict {
        let was_seen = |version: &Identity| {
            let key = (row.record.source.clone(), version.clone());
            self.seen.iter().any(|seen| seen.contains(&key))
        };
        let displacing: Vec<&Identity> = versions.iter().filter(|version| displaces(version, &row.identity)).collect();
        if displacing.is_empty() && versions.contains(&row.identity) {
            Verdict::Stands
        } else if displacing.into_iter().any(was_seen) {
            Verdict::Displaced
        } else {
            Verdict::InDoubt
        }
    }
}

/// Rows whose contents are read at once to settle a doubt.
const DOUBTFUL_AT_ONCE: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stands,
    Displaced,
    InDoubt,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use afterimage_event::Op;

    use super::*;
    use crate::conformance::{Telling, moment};
    use crate::{Arrival, Listing, Lookup, MemoryStore, Store};

    /// A worker that stopped between content and index rows must not hide an entry whose message was deleted.
    #[tokio::test]
    async fn a_version_without_its_index_row_hides_nothing() {
        for (half, whole) in [(("e", 10, 0), ("e", 20, 0)), (("e", 20, 1), ("e", 10, 0))] {
            let telling = |(id, published, revision)| {
                let telling = Telling::new("t", id, Op::Insert, published).images("", "{}").data(1);
                telling.published(published).revision(revision)
            };
            let (half, whole) = (telling(half), telling(whole));
            let store = Arc::new(MemoryStore::new());
            let arrival = Arrival { worker: "w".into(), at: moment(30) };
            for result in store.append(&[half.entry(), whole.entry()], &arrival).await {
                result.unwrap();
            }
            let trail = Trail::with_clock(Arc::clone(&store) as Arc<dyn Lookup>, || moment(40));
            let shown = async || {
                let page = trail.history(&half.query(), &Listing::default()).await.unwrap();
                page.items.iter().map(|item| item.published_at).collect::<Vec<_>>()
            };
            assert_eq!(shown().await, [half.entry().identity.published_at]);
            store.lose_index_rows(&half.entry());
            assert_eq!(shown().await, [whole.entry().identity.published_at]);
        }
    }
}
