//! Which events go into one request: no more than SNS and SQS take, and on FIFO targets one of a record at a time.

use std::collections::{HashSet, VecDeque};

use crate::trace::TraceContext;

/// Most entries of a batch (<https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
pub(crate) const ENTRIES_MAX: usize = 10;

/// An encoded event on its way.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// Its place among the events given.
    pub(crate) index: usize,
    pub(crate) body: String,
    pub(crate) trace: Option<TraceContext>,
    /// FIFO targets only.
    pub(crate) fifo: Option<Fifo>,
    /// Times it was refused by no fault of its own.
    pub(crate) attempts: u32,
}

impl Parcel {
    /// Its size, as SNS and SQS count it.
    fn len_bytes(&self) -> usize {
        self.body.len() + self.trace.as_ref().map_or(0, TraceContext::len_bytes)
    }
}

/// What a FIFO target needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fifo {
    pub(crate) group_id: String,
    pub(crate) deduplication_id: String,
}

impl Fifo {
    /// Longest id, and the characters one may have
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
    const ID_CHARS_MAX: usize = 128;

    pub(crate) fn new(order_key: &str, event_id: &str) -> Self {
        Self { group_id: Self::id(order_key), deduplication_id: Self::id(event_id) }
    }

    /// The text itself where it is a valid id, else a digest of it.
    fn id(text: &str) -> String {
        let valid = !text.is_empty()
            && text.len() <= Self::ID_CHARS_MAX
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_punctuation());
        if valid { text.to_owned() } else { blake3::hash(text.as_bytes()).to_hex().to_string() }
    }
}

/// Takes the next batch out of `pending`: in order, at most ten, at most `bytes_max` together, and never two of one
/// FIFO group, because of two in one request the first may fail and the second be accepted.
///
/// Every parcel must fit alone, so a batch is empty only when nothing is pending.
pub(crate) fn next(pending: &mut VecDeque<Parcel>, bytes_max: usize) -> Vec<Parcel> {
    let mut batch = Vec::with_capacity(ENTRIES_MAX);
    let mut bytes = 0;
    let mut groups = HashSet::new();
    let mut skipped = Vec::new();
    // Looking further than a few batches ahead for other groups would cost more than it saves.
    for _ in 0..pending.len().min(ENTRIES_MAX * 4) {
        let Some(parcel) = pending.pop_front() else { break };
        let group_is_taken = parcel.fifo.as_ref().is_some_and(|fifo| !groups.insert(fifo.group_id.clone()));
        if group_is_taken {
            skipped.push(parcel);
            continue;
        }
        if bytes + parcel.len_bytes() > bytes_max {
            skipped.push(parcel);
            break;
        }
        bytes += parcel.len_bytes();
        batch.push(parcel);
        if batch.len() == ENTRIES_MAX {
            break;
        }
    }
    while let Some(parcel) = skipped.pop() {
        pending.push_front(parcel);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(index: usize, bytes: usize, group: Option<&str>) -> Parcel {
        let fifo = group.map(|group| Fifo::new(group, &index.to_string()));
        Parcel { index, body: "x".repeat(bytes), trace: None, fifo, attempts: 0 }
    }

    fn batches(parcels: Vec<Parcel>, bytes_max: usize) -> Vec<Vec<usize>> {
        let mut pending = VecDeque::from(parcels);
        let mut batches = Vec::new();
        while !pending.is_empty() {
            batches.push(next(&mut pending, bytes_max).iter().map(|parcel| parcel.index).collect());
        }
        batches
    }

    #[test]
    fn batches_hold_ten_in_order() {
        let parcels = (0..23).map(|index| parcel(index, 1, None)).collect();
        assert_eq!(batches(parcels, 100), [(0..10).collect::<Vec<_>>(), (10..20).collect(), (20..23).collect()]);
    }

    #[test]
    fn batches_hold_no_more_bytes_than_allowed() {
        let parcels = [60, 40, 1, 100, 99].into_iter().enumerate().map(|(index, bytes)| parcel(index, bytes, None));
        assert_eq!(batches(parcels.collect(), 100), [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn attributes_count_as_what_follows_a_body() {
        let trace = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "");
        // 11 + 6 + 55 bytes each.
        let parcels = [0, 1, 2].map(|index| Parcel { trace: trace.clone(), ..parcel(index, 10, None) });
        assert_eq!(batches(parcels.to_vec(), 2 * 82), [vec![0, 1], vec![2]]);
        assert_eq!(batches(parcels.to_vec(), 2 * 82 - 1), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn a_batch_holds_one_of_a_fifo_group_and_groups_keep_their_order() {
        let groups = ["a", "a", "b", "a", "b", "c"].into_iter().enumerate();
        let parcels = groups.map(|(index, group)| parcel(index, 1, Some(group))).collect();
        assert_eq!(batches(parcels, 100), [vec![0, 2, 5], vec![1, 4], vec![3]]);
    }

    #[test]
    fn ids_that_a_fifo_target_refuses_are_digested() {
        assert_eq!(Fifo::new("users/u1", "e1"), Fifo { group_id: "users/u1".into(), deduplication_id: "e1".into() });
        for text in ["", "users/ü", "two words", &"x".repeat(129)] {
            let id = Fifo::new(text, "e").group_id;
            assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        assert_ne!(Fifo::new("users/ü", "e").group_id, Fifo::new("users/ö", "e").group_id);
    }
}
