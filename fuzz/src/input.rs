//! An input: a few bytes that choose, and the text that is judged.
//!
//! The bytes stand in front, so that a file of the corpus can be read and written by hand.

use std::sync::LazyLock;

/// How many bytes choose.
pub const HEAD: usize = 4;

/// How long a text may be that is cut into single bytes.
const SINGLE_BYTES: usize = 2 << 10;

/// Whether an input is judged in one way of several, which it chooses itself: so long runs come to ten million of them.
/// Without it, as in CI, in all ways; what is found in one is found so too.
static IS_SAMPLED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_SAMPLED").is_some());

/// Those of these ways in which an input is judged: all, or with `FUZZ_SAMPLED` the one that this number chooses, which is
/// to be what is left of one of its bytes once others have chosen by it.
pub fn ways<T>(by: usize, of: &[T]) -> &[T] {
    match by % of.len().max(1) {
        at if *IS_SAMPLED => &of[at..=at],
        _ => of,
    }
}

/// An input.
#[derive(Clone, Copy, Debug)]
pub struct Input<'i> {
    /// Who speaks to whom.
    pub choice: usize,
    /// Which of the lesser things.
    pub option: usize,
    cuts: [u8; 2],
    /// What is judged.
    pub text: &'i [u8],
}

impl<'i> Input<'i> {
    /// Understands an input; `None` if it is too short.
    pub fn of(bytes: &'i [u8]) -> Option<Input<'i>> {
        let (&[choice, option, cut, step], text) = bytes.split_first_chunk::<HEAD>()?;
        Some(Input { choice: choice.into(), option: option.into(), cuts: [cut, step], text })
    }

    /// One of these.
    pub fn chosen<T: Copy>(&self, of: &[T]) -> T {
        of[self.choice % of.len()]
    }

    /// One of these, by the other byte.
    pub fn option<T: Copy>(&self, of: &[T]) -> T {
        of[self.option % of.len()]
    }

    /// The text in pieces, none of them empty.
    pub fn pieces(&self) -> Vec<&'i [u8]> {
        let [cut, step] = self.cuts.map(usize::from);
        match cut % 3 {
            // In two.
            0 => {
                let at = (cut / 3 * 256 + step) % (self.text.len() + 1);
                let (one, two) = self.text.split_at(at);
                [one, two].into_iter().filter(|piece| !piece.is_empty()).collect()
            }
            // All of one length.
            1 => {
                let least = if self.text.len() > SINGLE_BYTES { 16 } else { 1 };
                self.text.chunks(step.max(least)).collect()
            }
            // Of lengths that look like chance.
            _ => {
                let (mut pieces, mut rest, mut state) = (Vec::new(), self.text, step as u64 + 1);
                while !rest.is_empty() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(cut as u64 | 1);
                    let length = 1 + (state >> 33) as usize % (1 + rest.len().min(256));
                    let (piece, left) = rest.split_at(length.min(rest.len()));
                    pieces.push(piece);
                    rest = left;
                }
                pieces
            }
        }
    }
}
