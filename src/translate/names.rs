//! Tools' names where a dialect's are narrower than the client's.
//!
//! A name that doesn't fit is made to, always alike and whatever other tools there are: so calls of earlier turns keep
//! theirs, and nothing has to be looked up. A digest of the whole tells apart what becomes the same. What was changed is
//! noted, so that the answer can be given back with the client's own name.

use super::sides::Written;
use std::borrow::Cow;

/// The longest name that every dialect takes.
const MAX_LENGTH: usize = 64;

/// The letters of the digest that tells names apart that were cut or changed, and the dash before it.
const DIGEST_LENGTH: usize = 9;

/// What names a dialect takes: of at most [`MAX_LENGTH`] letters, digits, underscores and dashes.
#[derive(Debug)]
pub(super) struct Rule {
    /// What else may be in them.
    pub(super) marks: &'static [u8],
    /// Whether a letter or an underscore has to come first.
    pub(super) begins_with_letter: bool,
}

impl Rule {
    /// A name as it is sent: itself if it can be, else what is left of it with a digest of the whole.
    pub(super) fn sent<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let begins_well = !self.begins_with_letter || name.starts_with(begins_word);
        let fits = (1..=MAX_LENGTH).contains(&name.len()) && name.bytes().all(|byte| self.takes(byte));
        if begins_well && fits {
            return Cow::Borrowed(name);
        }
        let letter = |letter: char| match u8::try_from(letter) {
            Ok(byte) if self.takes(byte) => letter,
            _ => '_',
        };
        let start = if begins_well { "" } else { "_" };
        let all = start.chars().chain(name.chars().map(letter));
        let mut sent: String = all.take(MAX_LENGTH - DIGEST_LENGTH).collect();
        sent.push_str(&format!("-{:08x}", digest(name)));
        Cow::Owned(sent)
    }

    /// The name of a tool that is declared, noted if it had to change.
    pub(super) fn declared<'n>(&self, name: &'n str, written: &mut Written) -> Cow<'n, str> {
        let sent = self.sent(name);
        if let Cow::Owned(sent) = &sent {
            written.renamed.push((sent.clone(), name.to_owned()));
        }
        sent
    }

    fn takes(&self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || self.marks.contains(&byte)
    }
}

fn begins_word(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_'
}

/// FNV-1a in 32 bits: the same in every version of the gateway and on every node, which the standard library's own
/// hashes don't promise.
fn digest(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NARROW: Rule = Rule { marks: b"", begins_with_letter: false };
    const DOTTED: Rule = Rule { marks: b".", begins_with_letter: true };

    #[test]
    fn a_name_within_the_bound_stays_and_one_past_it_is_cut() {
        let longest = "a".repeat(MAX_LENGTH);
        assert_eq!(NARROW.sent(&longest), longest);
        let cut = NARROW.sent(&format!("{longest}b")).into_owned();
        assert_eq!(cut.len(), MAX_LENGTH);
        assert_ne!(cut, NARROW.sent(&format!("{longest}c")), "what differs behind the bound stays apart");
    }

    #[test]
    fn a_name_of_other_letters_is_made_of_those_that_are_taken() {
        for (name, narrow, dotted) in [
            ("a_B-1", "a_B-1", "a_B-1"),
            ("get.weather", "get_weather-", "get.weather"),
            ("wetter für münchen", "wetter_f_r_m_nchen-", "wetter_f_r_m_nchen-"),
            ("1a", "1a", "_1a-"),
            ("", "-", "_-"),
        ] {
            for (rule, start) in [(NARROW, narrow), (DOTTED, dotted)] {
                let sent = rule.sent(name);
                let digest = if matches!(sent, Cow::Borrowed(_)) { 0 } else { DIGEST_LENGTH - 1 };
                assert_eq!(&sent[..sent.len() - digest], start, "{name}");
            }
        }
    }

    #[test]
    fn a_declared_name_is_noted_if_it_changed() {
        let mut written = Written::default();
        assert_eq!(NARROW.declared("fine", &mut written), "fine");
        let sent = NARROW.declared("a.b", &mut written).into_owned();
        assert_eq!(written.renamed, [(sent, "a.b".to_owned())]);
    }

    proptest! {
        #[test]
        fn a_name_is_always_changed_alike_and_then_it_stays(name in "\\PC{0,80}", other in "\\PC{0,80}") {
            for rule in [NARROW, DOTTED] {
                let sent = rule.sent(&name).into_owned();
                prop_assert!(sent.len() <= MAX_LENGTH);
                prop_assert_eq!(&rule.sent(&sent), &sent);
                prop_assert_eq!(&rule.sent(&name), &sent);
                prop_assert_eq!(rule.sent(&other) == sent, other == name);
            }
        }
    }
}
