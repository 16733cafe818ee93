//! The last bytes of an answer that is too long to be read: what it took stands there.

use bytes::Bytes;

/// How many are kept: usage is a few hundred bytes, and what follows it in any dialect a few dozen.
const LENGTH: usize = 8 << 10;

/// The last bytes that have gone by.
#[derive(Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// Takes what comes next.
    pub(super) fn see(&mut self, chunk: &Bytes) {
        let new = &chunk[chunk.len().saturating_sub(LENGTH)..];
        let too_many = (self.0.len() + new.len()).saturating_sub(LENGTH);
        self.0.drain(..too_many);
        self.0.extend_from_slice(new);
    }

    /// What is kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept_however_they_are_cut() {
        let all: Vec<u8> = (0..5 * LENGTH).map(|at| (at % 251) as u8).collect();
        for size in [1, 1_000, LENGTH - 1, LENGTH, LENGTH + 1, all.len()] {
            let mut tail = Tail::default();
            for chunk in all.chunks(size) {
                tail.see(&Bytes::copy_from_slice(chunk));
            }
            assert_eq!(tail.bytes(), &all[all.len() - LENGTH..], "{size}");
        }
        let mut tail = Tail::default();
        tail.see(&Bytes::from_static(b"short"));
        assert_eq!(tail.bytes(), b"short");
    }
}
