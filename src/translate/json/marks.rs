//! Where a string ends, or has what can't just stand in it: many bytes looked at together.
//!
//! Knows no grammar but which bytes those are (RFC 8259, section 7).

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
    // Plain enough for the compiler to make a few vector instructions of it.
    let mut marked = [0_u8; BLOCK];
    for (mark, byte) in marked.iter_mut().zip(block) {
        *mark = if *byte < b' ' || *byte == b'"' || *byte == b'\\' { u8::MAX } else { 0 };
    }
    let words = marked.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    if words.clone().fold(0, |any, word| any | word) == 0 {
        return 0;
    }
    words.rev().fold(0, |bits, word| bits << 8 | one_bit_each(word))
}

/// The same of less than a block; what is behind the text is marked.
#[cold]
pub(super) fn marks_at_end(text: &[u8]) -> u64 {
    let mut padded = [0; BLOCK];
    padded[..text.len()].copy_from_slice(text);
    marks(&padded)
}

/// Of eight bytes that are all ones or all zeros, one bit each: the product's highest byte adds up a different bit
/// of each of them.
fn one_bit_each(word: u64) -> u64 {
    (word & 0x8040_2010_0804_0201).wrapping_mul(0x0101_0101_0101_0101) >> 56
}
