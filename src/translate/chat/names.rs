//! Tools' names as Chat Completions can have them. Must not know which tools there are: a name is always changed alike,
//! so that calls of earlier turns keep theirs.

use std::borrow::Cow;

/// The longest name. Source: OpenAI's API reference, `tools[].function.name`.
const MAX_LENGTH: usize = 64;

/// The letters of the digest that tells names apart that were cut or changed, and the dash before it.
const DIGEST_LENGTH: usize = 9;

/// A name as it is sent: itself if it can be, else what is left of it with a digest of the whole.
pub(super) fn sent(name: &str) -> Cow<'_, str> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.len() <= MAX_LENGTH && !name.is_empty() && name.chars().all(is_allowed) {
        return Cow::Borrowed(name);
    }
    let kept = name.chars().take(MAX_LENGTH - DIGEST_LENGTH);
    let mut sent: String = kept.map(|letter| if is_allowed(letter) { letter } else { '_' }).collect();
    sent.push_str(&format!("-{:08x}", digest(name)));
    Cow::Owned(sent)
}

/// FNV-1a in 32 bits: the same in every version of the gateway and on every node, which the standard library's own
/// hashes don't promise.
fn digest(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_within_the_bound_stays_and_one_past_it_is_cut() {
        let longest = "a".repeat(MAX_LENGTH);
        assert_eq!(sent(&longest), longest);
        let cut = sent(&format!("{longest}b")).into_owned();
        assert_eq!(cut.len(), MAX_LENGTH);
        assert_ne!(cut, sent(&format!("{longest}c")), "what differs behind the bound stays apart");
    }

    #[test]
    fn a_name_of_other_letters_is_always_changed_alike() {
        for (name, start) in
            [("get.weather", "get_weather-"), ("wetter für münchen", "wetter_f_r_m_nchen-"), ("", "-")]
        {
            let changed = sent(name);
            assert!(changed.starts_with(start), "{changed}");
            assert_eq!(changed, sent(name));
            assert_eq!(changed, sent(&changed), "and then it stays");
        }
        assert_ne!(sent("get.weather"), sent("get weather"));
    }
}
