//! Which partition of a time bucket this worker writes to now.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

/// Names one bucket of one record, table or worker: 128 bits of keyed hash, so that no two meet, by chance or by
/// design. A collision would leave a directory row unwritten and its rows unseen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct BucketId(u128);

/// Makes [`BucketId`]s: `SipHash` twice, with random keys.
pub(crate) struct Namer(RandomState, RandomState);

impl Namer {
    pub(crate) fn new() -> Self {
        Self(RandomState::new(), RandomState::new())
    }

    pub(crate) fn name(&self, bucket: &impl Hash) -> BucketId {
        BucketId(u128::from(self.0.hash_one(bucket)) << 64 | u128::from(self.1.hash_one(bucket)))
    }
}

/// Counts the rows that this worker has written to each bucket, for the buckets it wrote to lately.
///
/// Forgetting is harmless: the bucket's rows go to its first shard again, and its directory row is written once more.
pub(crate) struct Shards {
    rows_max: u32,
    shard_max: i32,
    buckets_max: usize,
    /// Two generations: what was used lately, and what was used before that. When the first is full it becomes the
    /// second, and what nobody asked for in between is forgotten.
    generations: Mutex<(HashMap<BucketId, Slot>, HashMap<BucketId, Slot>)>,
}

#[derive(Clone, Copy)]
struct Slot {
    shard: i32,
    rows: u32,
    announced: bool,
}

/// Where the next row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The shard.
    pub(crate) shard: i32,
    /// Is its directory row known to be there?
    pub(crate) announced: bool,
}

impl Shards {
    /// Opens a new shard each `rows_max` rows; remembers up to `buckets_max` buckets.
    pub(crate) fn new(rows_max: u32, buckets_max: usize) -> Self {
        Self { rows_max, shard_max: i32::MAX, buckets_max, generations: Mutex::default() }
    }

    /// A first shard of `rows_max` rows, and one for all that follow.
    pub(crate) fn first_and_rest(rows_max: u32, buckets_max: usize) -> Self {
        Self { shard_max: 1, ..Self::new(rows_max, buckets_max) }
    }

    /// One shard for everything: what only has to be announced.
    pub(crate) fn single(buckets_max: usize) -> Self {
        Self { shard_max: 0, ..Self::new(u32::MAX, buckets_max) }
    }

    /// A place for one more row.
    pub(crate) fn place(&self, bucket: BucketId) -> Place {
        self.with(bucket, |slot| {
            if slot.rows >= self.rows_max && slot.shard < self.shard_max {
                *slot = Slot { shard: slot.shard + 1, rows: 0, announced: false };
            }
            slot.rows = slot.rows.saturating_add(1);
            Place { shard: slot.shard, announced: slot.announced }
        })
    }

    /// The directory row of this shard has been acknowledged.
    pub(crate) fn announced(&self, bucket: BucketId, shard: i32) {
        self.with(bucket, |slot| {
            if slot.shard == shard {
                slot.announced = true;
            }
        });
    }

    fn with<T>(&self, bucket: BucketId, use_slot: impl FnOnce(&mut Slot) -> T) -> T {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        if !young.contains_key(&bucket) {
            if young.len() >= self.buckets_max / 2 {
                *old = std::mem::take(young);
            }
            let slot = old.remove(&bucket).unwrap_or(Slot { shard: 0, rows: 0, announced: false });
            young.insert(bucket, slot);
        }
        use_slot(young.entry(bucket).or_insert(Slot { shard: 0, rows: 0, announced: false }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_shard_begins_each_so_many_rows_and_is_announced_once() {
        let shards = Shards::new(2, 100);
        let bucket = Namer::new().name(&"a");
        assert_eq!(shards.place(bucket), Place { shard: 0, announced: false });
        assert_eq!(shards.place(bucket), Place { shard: 0, announced: false });
        assert_eq!(shards.place(bucket), Place { shard: 1, announced: false });
        shards.announced(bucket, 0); // too late: that shard is full
        assert_eq!(shards.place(bucket), Place { shard: 1, announced: false });
        assert_eq!(shards.place(bucket), Place { shard: 2, announced: false });
        shards.announced(bucket, 2);
        assert_eq!(shards.place(bucket), Place { shard: 2, announced: true });
    }

    #[test]
    fn a_first_shard_is_full_once_and_the_rest_never() {
        let shards = Shards::first_and_rest(2, 100);
        let bucket = Namer::new().name(&"a");
        let places: Vec<i32> = (0..9).map(|_| shards.place(bucket).shard).collect();
        assert_eq!(places, [0, 0, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn what_is_used_is_remembered_and_the_rest_is_bounded() {
        let shards = Shards::new(1_000_000, 100);
        let namer = Namer::new();
        let hot = namer.name(&"hot");
        shards.place(hot);
        shards.announced(hot, 0);
        for cold in 0..10_000 {
            shards.place(namer.name(&cold));
            if cold % 20 == 0 {
                assert!(shards.place(hot).announced, "after {cold}");
            }
        }
        let generations = shards.generations.lock().unwrap();
        assert!(generations.0.len() + generations.1.len() <= 100);
    }
}
