use afterimage_event::{Op, RecordKey, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Filter, Listing, RecordQuery, Trail, TrailError};
use crate::{Digest, Direction, Identity, OrderKey};

/// The cursor was not made by this question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is damaged, or from another version.
    #[error("the cursor is damaged; start again without one")]
    Damaged,
    /// It was made for another question: other filters, period or order.
    #[error("the cursor belongs to other filters; repeat those it came from, or start again without one")]
    OtherFilters,
}

/// Where a walk stands: a place in the order, not a number of rows, so that what arrives meanwhile moves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// When the walk began: versions that come later do not move entries that were there.
    pub(super) started_at: Timestamp,
    /// When its first page was asked for: what "the last 24 hours" means to it.
    pub(super) asked_at: Timestamp,
    /// Of a walk over one record: the source that was found on the first page, so that a second source cannot end the walk
    /// half way. Else empty.
    pub(super) source: String,
    /// The last row seen.
    pub(super) past: OrderKey,
}

/// Layout version, so that a later one can be told from damage.
const LAYOUT: u8 = 2;
const TAG_BYTES: usize = 8;

impl Cursor {
    pub(super) fn encode(&self, filters: [u8; TAG_BYTES]) -> String {
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(&filters);
        let key = &self.past;
        for moment in [self.started_at, self.asked_at, key.occurred_at, key.identity.published_at] {
            bytes.extend_from_slice(&moment.as_micros().to_be_bytes());
        }
        bytes.extend_from_slice(&key.identity.revision.to_be_bytes());
        bytes.extend_from_slice(&key.identity.input_digest.0);
        for part in [key.position.as_slice(), self.source.as_bytes(), key.identity.event_id.as_bytes()] {
            // Positions, sources and ids are limited far below 4 GiB by the size of a message.
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let sum = tag(&[&bytes]);
        bytes.extend_from_slice(&sum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(text: &str, filters: [u8; TAG_BYTES]) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Damaged)?;
        let (body, sum) = bytes.split_last_chunk::<TAG_BYTES>().ok_or(CursorError::Damaged)?;
        if tag(&[body]) != *sum {
            return Err(CursorError::Damaged);
        }
        let mut reader = Reader(body);
        if reader.array::<1>()? != [LAYOUT] {
            return Err(CursorError::Damaged);
        }
        if reader.array::<TAG_BYTES>()? != filters {
            return Err(CursorError::OtherFilters);
        }
        let started_at = reader.moment()?;
        let asked_at = reader.moment()?;
        let occurred_at = reader.moment()?;
        let published_at = reader.moment()?;
        let revision = u32::from_be_bytes(reader.array()?);
        let input_digest = Digest(reader.array()?);
        let position = reader.part()?.to_vec();
        let source = reader.text()?;
        let event_id = reader.text()?;
        if !reader.0.is_empty() {
            return Err(CursorError::Damaged);
        }
        let identity = Identity { event_id, input_digest, revision, published_at };
        Ok(Self { started_at, asked_at, source, past: OrderKey { occurred_at, position, identity } })
    }
}

/// What binds a cursor to the history of a record. The page size is free to change on the way.
pub(super) fn history_filters(query: &RecordQuery, listing: &Listing) -> [u8; TAG_BYTES] {
    let mut parts = vec![b"history".to_vec(), query.tenant.clone().into(), stated(query.source.as_deref())];
    parts.push(query.table.clone().into());
    parts.extend(bounds(listing));
    parts.extend(query.record_id.iter().map(|part| part.clone().into_bytes()));
    tag(&parts)
}

/// What binds a cursor to a list of changes.
pub(super) fn changes_filters(filter: &Filter, listing: &Listing) -> [u8; TAG_BYTES] {
    let Filter { tenant, source, table, ops, field, actor, request, transaction, migration } = filter;
    let mut parts = vec![b"changes".to_vec(), tenant.clone().into()];
    parts.extend([source, table, field, actor, request, transaction, migration].map(|part| stated(part.as_deref())));
    parts.extend(bounds(listing));
    parts.extend(Op::ALL.iter().filter(|op| ops.contains(op)).map(|op| op.as_str().into()));
    tag(&parts)
}

/// Tells what is left open from what is empty.
fn stated(part: Option<&str>) -> Vec<u8> {
    part.map_or_else(|| b"-".to_vec(), |part| format!("={part}").into())
}

fn bounds(listing: &Listing) -> [Vec<u8>; 3] {
    let moment = |bound: Option<Timestamp>| bound.map_or_else(Vec::new, |t| t.as_micros().to_string().into());
    let order = match listing.order {
        Direction::Descending => "desc",
        Direction::Ascending => "asc",
    };
    [moment(listing.from), moment(listing.to), order.into()]
}

/// What binds a cursor to another question about a record, so that none takes another's cursors.
pub(super) fn record_filters(question: &str, query: &RecordQuery, listing: &Listing) -> [u8; TAG_BYTES] {
    tag(&[question.as_bytes(), &history_filters(query, listing)])
}

fn tag(parts: &[impl AsRef<[u8]>]) -> [u8; TAG_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("afterimage cursor v1");
    for part in parts {
        let part = part.as_ref();
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_BYTES]);
    tag
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], CursorError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(CursorError::Damaged)?;
        self.0 = tail;
        Ok(*head)
    }

    fn moment(&mut self) -> Result<Timestamp, CursorError> {
        Timestamp::from_micros(i64::from_be_bytes(self.array()?)).map_err(|_| CursorError::Damaged)
    }

    fn part(&mut self) -> Result<&'a [u8], CursorError> {
        let len = u32::from_be_bytes(self.array()?) as usize;
        let (head, tail) = self.0.split_at_checked(len).ok_or(CursorError::Damaged)?;
        self.0 = tail;
        Ok(head)
    }

    fn text(&mut self) -> Result<String, CursorError> {
        String::from_utf8(self.part()?.to_vec()).map_err(|_| CursorError::Damaged)
    }
}

impl Listing {
    /// Where it goes on, if it is not asked for its first page.
    pub(super) fn resume(&self, filters: [u8; TAG_BYTES]) -> Result<Option<Cursor>, CursorError> {
        self.cursor.as_deref().map(|text| Cursor::decode(text, filters)).transpose()
    }
}

impl Trail {
    /// The record of a paged question: as its walk found it, so that a second source cannot end the walk half way, or else
    /// found now.
    pub(super) async fn resolve_paged(
        &self,
        query: &RecordQuery,
        cursor: Option<&Cursor>,
    ) -> Result<RecordKey, TrailError> {
        let source = cursor.map(|cursor| cursor.source.clone()).or_else(|| query.source.clone());
        self.resolve(&RecordQuery { source, ..query.clone() }).await
    }
}

/// Where a walk over `record` goes on.
pub(super) fn resumed(record: &RecordKey, started_at: Timestamp, past: OrderKey) -> Cursor {
    Cursor { started_at, asked_at: started_at, source: record.source.clone(), past }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_is_bound_to_its_filters() {
        let moment = |micros| Timestamp::from_micros(micros).unwrap();
        let cursor = Cursor {
            started_at: moment(3),
            asked_at: moment(2),
            source: "ß".into(),
            past: OrderKey {
                occurred_at: moment(-5),
                position: vec![2, b'1', b'0'],
                identity: Identity {
                    event_id: "e/,%".into(),
                    input_digest: Digest([7; 16]),
                    revision: 2,
                    published_at: moment(9),
                },
            },
        };
        let text = cursor.encode([1; 8]);
        assert_eq!(Cursor::decode(&text, [1; 8]), Ok(cursor));
        assert_eq!(Cursor::decode(&text, [2; 8]), Err(CursorError::OtherFilters));
        for cut in 0..text.len() {
            assert_eq!(Cursor::decode(&text[..cut], [1; 8]), Err(CursorError::Damaged), "cut at {cut}");
        }
        assert_eq!(Cursor::decode("not base64!", [1; 8]), Err(CursorError::Damaged));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let mut longer = bytes[..bytes.len() - TAG_BYTES].to_vec();
        longer.push(0);
        longer.extend(tag(&[&longer]));
        assert_eq!(Cursor::decode(&URL_SAFE_NO_PAD.encode(longer), [1; 8]), Err(CursorError::Damaged), "too long");
    }

    #[test]
    fn parts_of_a_record_id_are_not_confused_with_each_other() {
        let query = |record_id: &[&str]| RecordQuery {
            tenant: "t".into(),
            source: None,
            table: "x".into(),
            record_id: record_id.iter().map(|&part| part.to_owned()).collect(),
        };
        let listing = Listing::default();
        assert_ne!(history_filters(&query(&["ab", "c"]), &listing), history_filters(&query(&["a", "bc"]), &listing));
        assert_ne!(history_filters(&query(&[]), &listing), history_filters(&query(&[""]), &listing));
    }

    #[test]
    fn every_filter_binds_and_the_order_of_operations_does_not() {
        let of = |filter: &Filter| changes_filters(filter, &Listing::default());
        let mut told = vec![of(&Filter::default())];
        let parts: [fn(&mut Filter) -> &mut Option<String>; 7] = [
            |filter| &mut filter.source,
            |filter| &mut filter.table,
            |filter| &mut filter.field,
            |filter| &mut filter.actor,
            |filter| &mut filter.request,
            |filter| &mut filter.transaction,
            |filter| &mut filter.migration,
        ];
        for part in parts {
            for text in ["", "x"] {
                let mut filter = Filter::default();
                *part(&mut filter) = Some(text.to_owned());
                told.push(of(&filter));
            }
        }
        let ops = |ops: &[Op]| Filter { ops: ops.to_vec(), ..Filter::default() };
        told.extend([of(&ops(&[Op::Insert])), of(&ops(&[Op::Delete])), of(&ops(&[Op::Insert, Op::Delete]))]);
        assert_eq!(of(&ops(&[Op::Delete, Op::Insert])), of(&ops(&[Op::Insert, Op::Delete])));
        told.push(of(&Filter { tenant: "x".into(), ..Filter::default() }));
        let count = told.len();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), count);
    }
}
