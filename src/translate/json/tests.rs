//! Texts against `serde_json`, and each fault by its place.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

const NAMES: [&str; 2] = ["model", "n"];

/// The same, as serde_json finds it.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    n: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// What is found of [`NAMES`], ours before serde_json's; `None` where the text is refused.
fn both(text: &str) -> [Option<[Option<Range<usize>>; 2]>; 2] {
    let start = |part: &RawValue| part.get().as_ptr() as usize - text.as_ptr() as usize;
    let span = |part: &RawValue| start(part)..start(part) + part.get().len();
    let reference: Option<Reference<'_>> = serde_json::from_str(text).ok();
    let reference = reference.filter(|_| text.trim_start().starts_with('{'));
    let reference = reference.map(|found| [found.model.map(span), found.n.map(span)]);
    [members(text.as_bytes(), NAMES).ok(), reference]
}

fn fault(text: &str) -> String {
    members(text.as_bytes(), NAMES).expect_err("refused").to_string()
}

fn nested(depth: usize) -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn the_values_are_found_wherever_they_stand() {
    let text = r#" {"a":{"model":1}, "mod\u0065l" : "x\"}" ,"n":-0.5e+1 } "#;
    let [model, n] = members(text.as_bytes(), NAMES).expect("JSON");
    assert_eq!(model.map(|at| &text[at]), Some(r#""x\"}""#));
    assert_eq!(n.map(|at| &text[at]), Some("-0.5e+1"));
    assert_eq!(members(b"{}", NAMES), Ok([None, None]));
}

#[test]
fn what_is_known_to_lie_somewhere_is_not_looked_into_again() {
    let text = r#" {"model":"m","a":[{"n":1},{"n":2}], "n" :3} "#;
    let Outline { members: found, longest } = outline(text.as_bytes(), NAMES).expect("JSON");
    assert_eq!(&text[longest.clone()], r#"[{"n":1},{"n":2}]"#);
    assert_eq!(members_beside(text.as_bytes(), &longest, NAMES), found);
    assert_eq!(members_beside(text.as_bytes(), &(0..0), NAMES), found, "nothing is known");
    let spoilt = text.replace("[{", "!!");
    assert_eq!(members_beside(spoilt.as_bytes(), &longest, NAMES), found, "passed over unseen");
    let Outline { members: found, longest } = outline(br#"{"n":1,"model":"mm"}"#, NAMES).expect("JSON");
    assert_eq!(longest, 15..19);
    assert_eq!(members_beside(br#"{"n":1,"model":"mm"}"#, &longest, NAMES), found, "found, though known");
    assert_eq!(members_beside(b"{}", &(0..0), NAMES), [None, None]);
}

#[test]
fn the_last_members_are_the_roots() {
    let last = |text: &str, at| last_members(text.as_bytes(), at, NAMES);
    let text = r#"{"a":{"n":1},"n":2,"model":[{}]}"#;
    assert_eq!(last(text, 13), Some([Some(27..31), Some(17..18)]));
    assert_eq!(last(text, 6), None, "a nested one");
    assert_eq!(last(r#"["n"]"#, 1), None, "no name");
    assert_eq!(last(r#"{"a":",\"n\":1"}"#, 8), None, "in a string");
    assert_eq!(last(r#"{"n":1,"\u006e":2}"#, 1), None, "twice");
    assert_eq!(last(r#"{"{":":" , ",":1}"#, 3), None, "read inside out");
    assert_eq!(last(r#"{"n":1} {}"#, 1), None, "something behind");
    assert_eq!(last(r#""n":1}"#, 0), None, "nothing before");
    assert_eq!(last("{", 2), None, "outside");
}

#[test]
fn a_string_ends_at_its_quote_whatever_its_length() {
    for length in 0..3 * BLOCK {
        for end in ["", r#"\""#, r"\\", r"\u00e9", "é"] {
            let text = format!(r#"{{"model":"{}{end}","n":1}}"#, "x".repeat(length));
            let [ours, reference] = both(&text);
            assert!(ours.is_some());
            assert_eq!(ours, reference, "{text}");
            let [ours, reference] = both(&text[..text.len() - r#"","n":1}"#.len()]);
            assert_eq!((ours, reference), (None, None), "{text}, cut");
        }
    }
}

#[test]
fn the_deepest_nesting_is_allowed_and_one_more_is_not() {
    assert!(members(nested(MAX_DEPTH).as_bytes(), NAMES).is_ok());
    assert_eq!(members(nested(MAX_DEPTH + 1).as_bytes(), NAMES), Err(Fault::TooDeep));
    let brackets = format!(r#"{{"a\\\"{}": "\\", "b": "{}"}}"#, "[".repeat(300), "{".repeat(300));
    assert!(members(brackets.as_bytes(), NAMES).is_ok(), "in strings they are text");
    assert_eq!(members("[".repeat(100_000).as_bytes(), NAMES), Err(Fault::TooDeep));
}

#[test]
fn a_fault_says_what_is_missing_and_where() {
    for (text, words) in [
        ("", "expected a value at line 1 column 1"),
        ("{\n  \"model\" 1}", "expected `:` at line 2 column 11"),
        (r#"{"model":"m""#, "expected `,` or `}` at line 1 column 12"),
        (r#"{"a":[1 2]}"#, "expected `,` or `]` at line 1 column 9"),
        (r#"{"a":1,}"#, "expected a member's name at line 1 column 8"),
        (r#"{"a":01}"#, "expected `,` or `}` at line 1 column 7"),
        (r#"{"a":1.}"#, "expected a digit at line 1 column 8"),
        (r#"{"a":"\x"}"#, "expected an escape that JSON has at line 1 column 7"),
        ("{\"a\":\"\t\"}", "expected an escape that JSON has at line 1 column 7"),
        (r#"{"a":"b"#, "expected `\"` at line 1 column 7"),
        ("{} {}", "expected the end at line 1 column 4"),
        (r#"{"\ud800":1}"#, "expected a name of Unicode characters at line 1 column 2"),
        ("[]", "must be a JSON object"),
        (r#"{"n":1,"\u006e":2}"#, "duplicate field `n`"),
    ] {
        assert!(fault(text).ends_with(words), "{text}: {}", fault(text));
    }
}

/// A piece of JSON, whole or not.
fn token() -> impl Strategy<Value = String> + Clone {
    "[\\[\\]{}:,\"\\\\ \\n\u{7f}\u{1f}é01-]|\"model\"|\"n\"|\"n\":1|\\\\u00e9|\\\\\"|null|tru|true|1\\.5|e9|a{31}"
}

/// An object, compact or pretty, whose members have the names that are looked for, perhaps twice.
fn object() -> impl Strategy<Value = String> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,70}".prop_map(Value::from),
        "[\"\\\\\n\u{0}/a]{0,40}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 6, |inner| {
        let members = vec(("model|n|\\PC{0,9}", inner.clone()), 0..6);
        prop_oneof![
            vec(inner, 0..6).prop_map(Value::from),
            members.prop_map(|members| members.into_iter().collect())
        ]
    });
    let member = (r#""model"|"n"|"\\u006e"|"x""#, value);
    (vec(member, 0..4), any::<bool>()).prop_map(|(members, is_pretty)| {
        let shown = |(name, value): &(String, Value)| {
            if is_pretty { format!("{name}:\n{value:#}") } else { format!("{name}:{value}") }
        };
        format!("{{{}}}", members.iter().map(shown).collect::<Vec<_>>().join(","))
    })
}

/// A JSON text, or nearly one: tokens in a row, and objects with something cut out and something put in.
fn text() -> impl Strategy<Value = String> {
    let changed = (object(), any::<Index>(), 0_usize..3, token()).prop_map(|(text, at, cut, put)| {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..(at + cut).min(chars.len()), put.chars());
        chars.into_iter().collect()
    });
    prop_oneof![vec(token(), 0..12).prop_map(|tokens| tokens.concat()), object(), changed]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn serde_json_takes_and_finds_the_same(text in text()) {
        let [ours, reference] = both(&text);
        prop_assert_eq!(ours, reference, "{}", text);
    }

    #[test]
    fn what_is_found_from_a_name_on_is_found_from_the_beginning(text in object()) {
        let Ok(all) = members(text.as_bytes(), NAMES) else { return Ok(()) };
        for (at, _) in text.match_indices('"') {
            for (last, all) in last_members(text.as_bytes(), at, NAMES).iter().flatten().zip(&all) {
                prop_assert!(last.is_none() || last == all, "{}, from {}", text, at);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(text in vec(any::<u8>(), 0..100)) {
        let _ = members(&text, NAMES);
        let _ = last_members(&text, text.len() / 2, NAMES);
        let _ = members(&[b"{\"model\":\"", &text[..]].concat(), NAMES);
    }
}
