//! Where strings may end, found ahead of the scanner.
//!
//! A scanner that searches each string for its end waits for that search before it can start on the next one. So the ends
//! of many are marked in one go, which the processor overlaps, and the scanner only looks them up.

use crate::swar::specials;

/// Marks of the bytes that a string may not hold as they are, for a stretch of text around the scanner's cursor.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Number of the first block of the stretch.
    first: usize,
    /// A bit for each byte of a block, the lowest for the first.
    blocks: [u64; Marks::BLOCKS],
}

impl Default for Marks {
    fn default() -> Self {
        // Further from any text than a stretch is long.
        Self { first: usize::MAX / 2, blocks: [0; Self::BLOCKS] }
    }
}

impl Marks {
    const BLOCKS: usize = 4;

    /// The first special byte at or after `pos`, or the end.
    #[inline]
    pub(crate) fn find(&mut self, bytes: &[u8], pos: usize) -> usize {
        let mut block = pos / 64;
        let hits = self.block(bytes, block) >> (pos % 64);
        if hits != 0 {
            return pos + hits.trailing_zeros() as usize;
        }
        loop {
            block += 1;
            let hits = self.block(bytes, block);
            if hits != 0 {
                return block * 64 + hits.trailing_zeros() as usize;
            }
        }
    }

    /// Calls `visit` with the places of special bytes from `pos` on, and with the end; it returns where to go on, or `None`
    /// to stop there. Bytes that it passes are not visited. Returns where it stopped.
    #[inline]
    pub(crate) fn each<E>(
        &mut self,
        bytes: &[u8],
        mut pos: usize,
        mut visit: impl FnMut(usize) -> Result<Option<usize>, E>,
    ) -> Result<usize, E> {
        loop {
            let start = pos / 64 * 64;
            let mut hits = self.block(bytes, pos / 64) & !0 << (pos - start);
            pos = start + 64;
            while hits != 0 {
                let at = start + hits.trailing_zeros() as usize;
                let Some(next) = visit(at)? else { return Ok(at) };
                if next - start >= 64 {
                    pos = next;
                    break;
                }
                // Only the bits wait for each other, not what is done with them.
                hits &= !0 << (next - start);
            }
        }
    }

    #[inline]
    fn block(&mut self, bytes: &[u8], block: usize) -> u64 {
        match self.blocks.get(block.wrapping_sub(self.first)) {
            Some(hits) => *hits,
            None => self.mark_from(bytes, block),
        }
    }

    #[inline(never)]
    fn mark_from(&mut self, bytes: &[u8], block: usize) -> u64 {
        self.first = block;
        let mut rest = bytes.get(block * 64..).unwrap_or_default();
        for marks in &mut self.blocks {
            if let Some((whole, more)) = rest.split_first_chunk::<64>() {
                *marks = hits(whole);
                rest = more;
            } else {
                // Zeros after the end are control characters: a search stops there.
                let mut last = [0; 64];
                last[..rest.len()].copy_from_slice(rest);
                *marks = hits(&last);
                rest = &[];
            }
        }
        self.blocks[0]
    }
}

#[inline]
fn hits(block: &[u8; 64]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    parts.iter().rev().fold(0, |hits, part| hits << 16 | u64::from(specials(*part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swar::find_special;

    #[test]
    fn what_is_marked_is_what_a_search_finds() {
        for length in [0, 1, 63, 64, 65, 511, 512, 513, 2_000] {
            let text: Vec<u8> = (0..length).map(|i| if i * i % 37 == 5 { b'"' } else { b'x' }).collect();
            let plain = vec![b'x'; length];
            let (mut marks, mut none) = (Marks::default(), Marks::default());
            // Forwards, and back again: a stretch is marked anew.
            for pos in (0..=length).chain((0..=length).rev().step_by(7)) {
                assert_eq!(marks.find(&text, pos), find_special(&text, pos), "from {pos} of {length}");
                assert_eq!(none.find(&plain, pos), length, "from {pos} of {length}");
            }
        }
    }
}
