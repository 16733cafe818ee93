//! Where a string ends, or has what can't just stand in it: many bytes looked at together.
//!
//! Knows no grammar but which bytes those are (RFC 8259, section 7).

use wide::u8x16;

/// How many bytes of a string are looked at together.
pub(super) const BLOCK: usize = 32;

/// Which letters are an escape by themselves.
pub(super) static IS_SHORT_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut letters: &[u8] = b"\"\\/bfnrt";
    while let [letter, rest @ ..] = letters {
        table[*letter as usize] = true;
        letters = rest;
    }
    table
};

/// The length of a string that ends within a word, behind which its quote stands, and has no escape.
#[inline]
pub(super) fn length_of_short(word: &[u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let text = u64::from_le_bytes(*word);
    // The borrow of a byte that is below may mark the next ones too, but only the first mark counts.
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7);
    let equal = |byte: u8| below(text ^ (ONES * u64::from(byte)), 1);
    let marks = below(text, b' ') | equal(b'"') | equal(b'\\');
    let first = (marks.trailing_zeros() / u8::BITS) as usize;
    (word.get(first) == Some(&b'"')).then_some(first)
}

/// Which bytes end a string or can't just stand in one, the lowest bit being the first byte.
#[inline]
pub(super) fn marks(block: &[u8; BLOCK]) -> u64 {
    let (halves, _) = block.as_chunks();
    halves.iter().rev().fold(0, |bits, half| bits << HALF | u64::from(marks_of_half(half)))
}

/// Less than a block as one: what is behind the text is marked.
#[cold]
pub(super) fn padded_block(text: &[u8]) -> [u8; BLOCK] {
    let mut padded = [0; BLOCK];
    padded[..text.len()].copy_from_slice(text);
    padded
}

/// Half of a block: the widest register that every machine has.
const HALF: usize = BLOCK / 2;

#[inline]
fn marks_of_half(half: &[u8; HALF]) -> u16 {
    let bytes = u8x16::new(*half);
    // One bit flipped, the quote is next to the control characters: who isn't greater than it is the lesser of both.
    let flipped = bytes ^ u8x16::splat(b'"' ^ b' ');
    let is_control_or_quote = flipped.min(u8x16::splat(b' ')).simd_eq(flipped);
    (is_control_or_quote | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_marked_that_ends_a_string_or_cant_stand_in_it() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK {
                let mut block = [b'a'; BLOCK];
                block[at] = byte;
                let is_marked = byte < b' ' || byte == b'"' || byte == b'\\';
                assert_eq!(marks(&block), u64::from(is_marked) << at, "{byte} at {at}");
            }
        }
    }
}
