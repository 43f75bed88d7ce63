//! Finding duplicate keys without keeping keys.

use smallvec::SmallVec;

/// Hashes of the keys of every open object, outermost first. Inline room for what most documents have open at once, so
/// that a scan does not allocate.
///
/// The hash is not keyed: keys made to collide only cost the exact check, once for each object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(SmallVec<[u32; 64]>);

/// Which hashes an object may have: one bit for each, so that most keys need not be compared with any other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    bits: u128,
    suspect: bool,
}

impl Filter {
    /// Is this perhaps not the first time?
    #[inline]
    fn insert(&mut self, hash: u32) -> bool {
        // Not an array: a load right after a store to an address that is not known yet would have to wait for it.
        let bit = 1 << (hash >> 25);
        let seen = self.bits & bit != 0;
        self.bits |= bit;
        seen
    }
}

impl Keys {
    /// Objects with more keys fill the filter; theirs are sorted at the end.
    const FILTERED_MAX: usize = 64;

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a key to the object whose keys start at `first`.
    #[inline]
    pub(crate) fn push(&mut self, hash: u32, first: usize, filter: &mut Filter) {
        if filter.insert(hash) {
            filter.suspect |= self.contains(hash, first);
        }
        self.0.push(hash);
    }

    #[inline(never)]
    fn contains(&self, hash: u32, first: usize) -> bool {
        let keys = &self.0[first..];
        // No early exit: so the compiler compares several at once.
        keys.len() <= Self::FILTERED_MAX && keys.iter().fold(false, |hit, key| hit | (*key == hash))
    }

    /// Forgets the key added last. The filter keeps it, so it may now suspect one key more.
    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    /// Replaces the keys from `first` on by `shared` keys of `twin` from `twin_first` on, and the last `own` that were there.
    pub(crate) fn share(&mut self, first: usize, own: usize, twin: &Self, twin_first: usize, shared: usize) -> Filter {
        let kept: SmallVec<[u32; 1]> = self.0[self.0.len() - own..].into();
        self.0.truncate(first);
        let mut filter = Filter::default();
        let keys = twin.0[twin_first..twin_first + shared].iter().chain(&kept);
        keys.for_each(|&hash| self.push(hash, first, &mut filter));
        filter
    }

    /// Forgets the keys from `first` on and says whether two of them hash alike: then, and only then, may two be the same.
    #[inline]
    pub(crate) fn close(&mut self, first: usize, filter: &Filter) -> bool {
        let suspect = filter.suspect || self.0.len() - first > Self::FILTERED_MAX && self.some_alike(first);
        self.0.truncate(first);
        suspect
    }

    #[inline(never)]
    fn some_alike(&mut self, first: usize) -> bool {
        let keys = &mut self.0[first..];
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Hash of a key after unescaping: its blocks mixed in turn, the last one filled up with zeros (and there even if empty).
pub(crate) fn hash_bytes(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<16>();
    let hash = blocks.iter().fold(0, |hash, block| mix(hash, u128::from_le_bytes(*block)));
    let last = tail.iter().rev().fold(0, |block, &byte| block << 8 | u128::from(byte));
    hash_block(hash, last, bytes.len())
}

/// The end of [`hash_bytes`]: its last block.
#[inline]
pub(crate) fn hash_block(hash: u64, last: u128, length: usize) -> u32 {
    (mix(hash ^ length as u64, last) >> 32) as u32
}

#[inline]
fn mix(hash: u64, block: u128) -> u64 {
    let (low, high) = (block as u64, (block >> 64) as u64);
    let high = high.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    let mixed = (hash.rotate_left(23) ^ low ^ high.rotate_left(31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 29
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Marks;
    use crate::string::scan_key;

    fn scan(text: &str) -> (u32, usize) {
        scan_key(text, 0, &mut Marks::default()).unwrap()
    }

    #[test]
    fn a_key_hashes_alike_wherever_it_stands_and_however_it_is_spelled() {
        for len in 0..40 {
            let key: String = (0..len).map(|i| char::from(b'a' + i as u8 % 26)).collect();
            let hash = hash_bytes(key.as_bytes());
            let followed = format!("{key}\": something long enough to read past");
            assert_eq!(scan(&followed), (hash, len + 1), "{len} bytes, text after");
            assert_eq!(scan(&format!("{key}\"")), (hash, len + 1), "{len} bytes, no text after");
            let spelled: String = key.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
            assert_eq!(scan(&format!("{spelled}\"")), (hash, 6 * len + 1), "{len} bytes, escaped");
        }
    }

    #[test]
    fn two_of_a_kind_are_found_in_small_and_large_objects() {
        for count in [2, 5, Keys::FILTERED_MAX, Keys::FILTERED_MAX + 1, 500] {
            let mut keys = Keys::default();
            keys.push(7, 0, &mut Filter::default());
            let mut filter = Filter::default();
            (0..count).for_each(|i| keys.push(i as u32, 1, &mut filter));
            assert!(!keys.clone().close(1, &filter), "{count} different keys");
            keys.push(count as u32 / 2, 1, &mut filter);
            assert!(keys.close(1, &filter), "{count} keys and one again");
            assert_eq!(keys.len(), 1);
        }
    }

    #[test]
    fn different_keys_of_one_hash_are_no_duplicates() {
        let mut seen = std::collections::HashMap::new();
        let scramble = |i: u64| format!("{:x}", i.wrapping_mul(0xD134_2543_DE82_EF95).rotate_left(17) ^ i);
        let colliding = |key: String| Some((seen.insert(hash_bytes(key.as_bytes()), key.clone())?, key));
        let (a, b) = (1_u64..1 << 20).map(scramble).find_map(colliding).unwrap();
        assert!(crate::Raw::parse(&format!("{{\"{a}\":0,\"{b}\":0}}")).is_ok());
        assert!(crate::Raw::parse(&format!("{{\"{a}\":0,\"{b}\":0,\"{a}\":0}}")).is_err());
    }
}
