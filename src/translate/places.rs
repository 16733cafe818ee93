//! Where in a JSON text something stands, as a way from its root: `messages[2].content[0].text`.
//!
//! For texts in which something is wrong that no reader got as far as to name: a byte that is no UTF-8, nesting
//! beyond the bound, half a surrogate pair, a number that is too large. Looks at a text from its beginning, so only
//! where there is a complaint to be made; what it is is decided elsewhere.

use super::json::MAX_DEPTH;

/// How many steps of a way are shown. A bomb's way is as long as the bomb.
const MAX_STEPS: usize = 8;

/// How many bytes of a member's name are shown.
const MAX_NAME: usize = 40;

/// A container on the way, and where in it one stands.
enum Step {
    /// An object, in the member whose quoted name lies there; none has been named yet.
    Member(Option<(usize, usize)>),
    /// A list, at that element.
    Element(usize),
}

/// A look at a text from its beginning.
struct Walk<'t> {
    text: &'t [u8],
    steps: Vec<Step>,
    /// How many containers are open, those included that are too deep to be kept as steps.
    depth: usize,
}

impl Walk<'_> {
    /// Walks on until there is something to be said of the place, and says where that is: at this offset, or deeper than
    /// so many levels.
    fn until(mut self, offset: usize, depth: usize) -> String {
        let mut at = 0;
        while at < offset.min(self.text.len()) && self.depth <= depth {
            match self.text[at] {
                b'"' => {
                    let end = end_of_string(self.text, at);
                    if end > offset {
                        break;
                    }
                    let is_shown = self.depth <= MAX_STEPS;
                    if let (true, Some(Step::Member(name))) = (is_shown, self.steps.last_mut())
                        && self.text.get(end..).unwrap_or_default().trim_ascii_start().starts_with(b":")
                    {
                        *name = Some((at + 1, end - 1));
                    }
                    at = end;
                    continue;
                }
                b'{' => self.open(Step::Member(None)),
                b'[' => self.open(Step::Element(0)),
                b'}' | b']' => {
                    if self.depth <= MAX_STEPS {
                        self.steps.pop();
                    }
                    self.depth = self.depth.saturating_sub(1);
                }
                b',' if self.depth <= MAX_STEPS => match self.steps.last_mut() {
                    Some(Step::Element(index)) => *index += 1,
                    Some(Step::Member(name)) => *name = None,
                    None => {}
                },
                _ => {}
            }
            at += 1;
        }
        self.way()
    }

    fn open(&mut self, step: Step) {
        self.depth += 1;
        if self.depth <= MAX_STEPS {
            self.steps.push(step);
        }
    }

    fn way(&self) -> String {
        let mut way = String::new();
        for step in &self.steps {
            match step {
                Step::Element(index) => way.push_str(&format!("[{index}]")),
                Step::Member(None) => {}
                Step::Member(Some((start, end))) => {
                    if !way.is_empty() {
                        way.push('.');
                    }
                    let name = self.text.get(*start..*end).unwrap_or_default();
                    way.push_str(&String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]));
                }
            }
        }
        if self.depth > MAX_STEPS {
            way.push('…');
        }
        way
    }
}

/// Where the string ends that begins there, behind its quote; the end of the text where it doesn't.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

fn walk(text: &[u8]) -> Walk<'_> {
    Walk { text, steps: Vec::new(), depth: 0 }
}

/// The way to what stands at an offset; empty for the root.
pub fn of_offset(text: &[u8], offset: usize) -> String {
    walk(text).until(offset, usize::MAX)
}

/// The way to the first value that is too deep.
pub fn too_deep(text: &[u8]) -> String {
    walk(text).until(usize::MAX, MAX_DEPTH)
}

/// Where the element of a list stands that has so many before it, in whatever lists; `None` if there is none, or
/// the text nests too deep to be read at all.
pub fn of_element(text: &[u8], before: usize) -> Option<usize> {
    let (mut at, mut left) = (0, before);
    // Whether what is open are lists.
    let mut open = Vec::new();
    while let Some(byte) = text.get(at) {
        let is_before_element = match byte {
            b'"' => {
                at = end_of_string(text, at);
                continue;
            }
            b'[' | b'{' => {
                open.push(*byte == b'[');
                *byte == b'[' && !text[at + 1..].trim_ascii_start().starts_with(b"]")
            }
            b']' | b'}' => {
                open.pop();
                false
            }
            b',' => open.last() == Some(&true),
            _ => false,
        };
        at += 1;
        if is_before_element {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return Some(at),
            };
        }
        if open.len() > MAX_DEPTH {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#" {"a" : {"b\"" : [1, {"c": "x, [\"{"}, "here"], "d": [] }, "here": [[],"e"]} "#;

    #[test]
    fn a_value_is_named_by_the_way_to_it() {
        let of = |word: &str| of_offset(TEXT.as_bytes(), TEXT.find(word).expect("there"));
        assert_eq!(of("1,"), r#"a.b\"[0]"#);
        assert_eq!(of("\"x,"), r#"a.b\"[1].c"#);
        assert_eq!(of("\"here\"]"), r#"a.b\"[2]"#);
        assert_eq!(of("[] }"), "a.d");
        assert_eq!(of("\"e\""), "here[1]");
        assert_eq!((of("{\"a"), of_offset(b"[1]", 1)), (String::new(), "[0]".to_owned()));
    }

    #[test]
    fn what_stands_within_a_string_is_of_the_value_or_of_what_the_name_is_in() {
        let of = |word: &str| of_offset(TEXT.as_bytes(), TEXT.find(word).expect("there") + 1);
        assert_eq!(of("\"x,"), r#"a.b\"[1].c"#);
        assert_eq!(of_offset(br#"{"a":{"b":1,"\xff":2}}"#, 14), "a");
    }

    #[test]
    fn a_way_is_shown_up_to_its_bound() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(too_deep(nested(MAX_DEPTH).as_bytes()), format!("a{}…", "[0]".repeat(MAX_STEPS - 1)));
        let at = |depth: usize| of_offset(nested(depth).as_bytes(), 5 + depth);
        assert_eq!(at(MAX_STEPS - 1), format!("a{}", "[0]".repeat(MAX_STEPS - 1)));
        assert_eq!(at(MAX_STEPS), format!("a{}…", "[0]".repeat(MAX_STEPS - 1)));
        let long = format!("{{\"{}\":1}}", "x".repeat(100));
        assert_eq!(of_offset(long.as_bytes(), 104), "x".repeat(MAX_NAME));
        // What was passed by is no step of the way.
        let past = format!("{{\"a\":{}{},\"b\":[1]}}", "[".repeat(20), "]".repeat(20));
        assert_eq!(of_offset(past.as_bytes(), past.find('1').expect("there")), "b[0]");
    }

    #[test]
    fn elements_are_counted_in_whatever_list_they_stand() {
        let text = br#"{"a":[1,[],{"b":["x, [",3]}],"c":{"d":1,"e":2},"f":[ ],"g":[4]}"#;
        let ways: Vec<_> =
            (0..).map_while(|nth| of_element(text, nth)).map(|at| of_offset(text, at)).collect();
        assert_eq!(ways, ["a[0]", "a[1]", "a[2]", "a[2].b[0]", "a[2].b[1]", "g[0]"]);
        let nested = |depth: usize| "[".repeat(depth) + "1" + &"]".repeat(depth);
        assert!(of_element(nested(MAX_DEPTH).as_bytes(), MAX_DEPTH - 1).is_some());
        assert!(of_element(nested(MAX_DEPTH + 2).as_bytes(), MAX_DEPTH + 1).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), offset in 0_usize..300) {
            let _ = of_offset(&body, offset);
            let _ = too_deep(&body);
            let _ = of_element(&body, offset);
        }

        #[test]
        fn of_json_the_way_leads_there(number in 0_usize..4) {
            let text = br#"{"k":[[0,1],{"m":2},3]}"#;
            let at = text.iter().position(|byte| *byte == b'0' + number as u8).expect("there");
            prop_assert_eq!(of_offset(text, at), ["k[0][0]", "k[0][1]", "k[1].m", "k[2]"][number]);
        }
    }
}
