//! The record that a selection carries through Pingora's opaque `key`: facts, then candidates.
//!
//! Pingora's `LoadBalancer` shows a selector nothing of the request but this key, so the key is the
//! request: a fixed layout of little-endian numbers, on the stack for up to [`INLINE_CANDIDATES`].
//!
//! ```text
//! ticket u64 | session u64 | session given u8 | { provider u32 | weight u32 } per candidate
//! ```

use crate::balance::{Candidate, Facts};
use smallvec::SmallVec;

/// Candidates that fit without the heap. More work too, at the cost of an allocation.
pub(super) const INLINE_CANDIDATES: usize = 32;

/// Bytes of one candidate.
const CANDIDATE: usize = 8;

/// An encoded record, on the stack with room to spare for the inline candidates.
pub(super) type Key = SmallVec<[u8; 512]>;

/// Candidates, on the stack up to the same bound.
pub(super) type Candidates = SmallVec<[Candidate; INLINE_CANDIDATES]>;

/// Writes the record.
pub(super) fn encode(candidates: &[Candidate], facts: &Facts) -> Key {
    let mut key = Key::new();
    key.extend_from_slice(&facts.ticket.to_le_bytes());
    key.extend_from_slice(&facts.session.unwrap_or(0).to_le_bytes());
    key.push(u8::from(facts.session.is_some()));
    for candidate in candidates {
        key.extend_from_slice(&candidate.provider.to_le_bytes());
        key.extend_from_slice(&candidate.weight.to_le_bytes());
    }
    key
}

/// Reads the record; `None` if it isn't one.
pub(super) fn decode(key: &[u8]) -> Option<(Candidates, Facts)> {
    let (ticket, rest) = key.split_first_chunk::<8>()?;
    let (session, rest) = rest.split_first_chunk::<8>()?;
    let ([given], rest) = rest.split_first_chunk::<1>()?;
    let (rows, []) = rest.as_chunks::<CANDIDATE>() else { return None };
    let candidates = rows
        .iter()
        .map(|[p0, p1, p2, p3, w0, w1, w2, w3]| Candidate {
            provider: u32::from_le_bytes([*p0, *p1, *p2, *p3]),
            weight: u32::from_le_bytes([*w0, *w1, *w2, *w3]),
        })
        .collect();
    let session = (*given != 0).then_some(u64::from_le_bytes(*session));
    Some((candidates, Facts { ticket: u64::from_le_bytes(*ticket), session }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of the facts.
    const FACTS: usize = 17;

    fn candidates(count: u32) -> Vec<Candidate> {
        (0..count).map(|provider| Candidate { provider, weight: provider + 1 }).collect()
    }

    #[test]
    fn the_heap_is_used_only_past_the_bound() {
        let facts = Facts { ticket: 1, session: Some(2) };
        let spilled = |count| {
            let key = encode(&candidates(count), &facts);
            key.spilled() || decode(&key).is_none_or(|(candidates, _)| candidates.spilled())
        };
        assert!(!spilled(32));
        assert!(spilled(33));
    }

    #[test]
    fn what_is_not_a_record_is_no_record() {
        let key = encode(&candidates(2), &Facts::default());
        for length in (0..FACTS).chain(FACTS + 1..FACTS + CANDIDATE) {
            assert!(decode(&key[..length]).is_none(), "{length}");
        }
        assert!(decode(&key[..FACTS]).is_some_and(|(candidates, _)| candidates.is_empty()));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            ticket in any::<u64>(),
            session in any::<Option<u64>>(),
            rows in prop::collection::vec(any::<(u32, u32)>(), 0..40),
        ) {
            let candidates: Vec<_> =
                rows.into_iter().map(|(provider, weight)| Candidate { provider, weight }).collect();
            let facts = Facts { ticket, session };
            let (read, read_facts) = decode(&encode(&candidates, &facts)).unwrap();
            prop_assert_eq!(read.as_slice(), candidates.as_slice());
            prop_assert_eq!(read_facts, facts);
        }
    }
}
