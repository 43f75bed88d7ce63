//! Many bytes at a time, in registers (SIMD within a register). Each function returns an exact position: a borrow or
//! carry can only disturb bytes above the first hit.
//!
//! Strings are taken by sixteen bytes: most end within the first sixteen, so that the branch for more is foreseen.

use wide::u8x16;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Eight bytes from `pos` on, the first in the lowest bits; `None` near the end.
#[inline]
fn word(bytes: &[u8], pos: usize) -> Option<u64> {
    bytes.get(pos..).and_then(|rest| rest.first_chunk()).map(|chunk| u64::from_le_bytes(*chunk))
}

/// Sixteen bytes from `pos` on; `None` near the end.
#[inline]
pub(crate) fn block(bytes: &[u8], pos: usize) -> Option<[u8; 16]> {
    bytes.get(pos..).and_then(|rest| rest.first_chunk()).copied()
}

/// Which bytes of a block a string may not hold as they are: a quote, a backslash, a control character. A bit for each byte,
/// the lowest for the first.
#[inline]
pub(crate) fn specials(block: [u8; 16]) -> u32 {
    let block = u8x16::new(block);
    let quote = block.simd_eq(u8x16::splat(b'"'));
    let backslash = block.simd_eq(u8x16::splat(b'\\'));
    let control = block.min(u8x16::splat(0x1F)).simd_eq(block);
    (quote | backslash | control).to_bitmask()
}

/// The first special byte at or after `pos`, or the end.
#[inline]
pub(crate) fn find_special(bytes: &[u8], mut pos: usize) -> usize {
    while let Some(block) = block(bytes, pos) {
        let hits = specials(block);
        if hits != 0 {
            return pos + hits.trailing_zeros() as usize;
        }
        pos += 16;
    }
    let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
    while bytes.get(pos).is_some_and(|&byte| !special(byte)) {
        pos += 1;
    }
    pos
}

/// The first byte at or after `pos` that is no decimal digit, or the end.
#[inline]
pub(crate) fn digits_end(bytes: &[u8], mut pos: usize) -> usize {
    while let Some(word) = word(bytes, pos) {
        // 0 to 9 for digits; adding 0x76 carries everything above into the high bit.
        let values = word ^ (ONES * b'0' as u64);
        let others = (((values & !HIGHS) + ONES * 0x76) | values) & HIGHS;
        if others != 0 {
            return pos + (others.trailing_zeros() / 8) as usize;
        }
        pos += 8;
    }
    while bytes.get(pos).is_some_and(u8::is_ascii_digit) {
        pos += 1;
    }
    pos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_apart_at_every_place() {
        for length in 0..36 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut letters = vec![b'x'; length];
                    letters[at] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(find_special(&letters, 0), if special { at } else { length }, "{byte} at {at}");
                    let mut digits = vec![b'7'; length];
                    digits[at] = byte;
                    assert_eq!(
                        digits_end(&digits, 0),
                        if byte.is_ascii_digit() { length } else { at },
                        "{byte} at {at}"
                    );
                }
            }
        }
    }
}
