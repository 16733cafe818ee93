//! A word of somebody else's in a message of ours.

use std::fmt::{self, Display, Write};

/// How many characters of a word are shown.
const MAX_CHARS: usize = 64;

/// A word in backquotes, as far as it is short, with nothing in it that a terminal or a log would obey: a client may have
/// made it as long as its body.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'w>(pub &'w str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quoted(word) = self;
        let mut chars = word.chars();
        f.write_char('`')?;
        for char in chars.by_ref().take(MAX_CHARS) {
            match char {
                '\'' | '"' => f.write_char(char)?,
                '`' => f.write_str(r"\`")?,
                char => write!(f, "{}", char.escape_debug())?,
            }
        }
        if chars.next().is_some() {
            f.write_char('…')?;
        }
        f.write_char('`')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_shown_up_to_its_bound_and_cut_between_characters() {
        let quoted = |word: &str| Quoted(word).to_string();
        assert_eq!(quoted("call_1"), "`call_1`");
        assert_eq!(quoted(""), "``");
        let longest = "é".repeat(MAX_CHARS);
        assert_eq!(quoted(&longest), format!("`{longest}`"));
        assert_eq!(quoted(&(longest.clone() + "x")), format!("`{longest}…`"));
    }

    #[test]
    fn nothing_in_it_is_obeyed() {
        let quoted = Quoted("a\n\u{1b}[31m`b`\u{202e}\"c\"").to_string();
        assert_eq!(quoted, r#"`a\n\u{1b}[31m\`b\`\u{202e}"c"`"#);
    }
}
