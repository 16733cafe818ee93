//! What becomes of schemas, one by one, and of any schema at all.

use super::*;
use proptest::prelude::*;

/// The cleaned schema, and whether anything was lost.
fn cleaned(schema: &str) -> (String, bool) {
    let raw: &RawValue = serde_json::from_str(schema).expect("JSON");
    let mut written = Written::default();
    let cleaned = clean(raw, &mut written).map_or_else(String::new, |schema| schema.get().to_owned());
    (cleaned, written.lost == ["schema"])
}

#[test]
fn what_can_be_said_in_geminis_words_is_not_lost() {
    for (given, expected) in [
        (r#"{"type":"string","format":"date-time"}"#, r#"{"type":"STRING","format":"date-time"}"#),
        (r#"{"type":["string","null"],"title":"T"}"#, r#"{"type":"STRING","nullable":true,"title":"T"}"#),
        (r#"{"const":"a"}"#, r#"{"type":"STRING","enum":["a"]}"#),
        (r#"{"enum":["a",null]}"#, r#"{"type":"STRING","enum":["a"],"nullable":true}"#),
        (r#"{"type":["string","integer"]}"#, r#"{"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}"#),
        (
            r#"{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"number"}},{"type":"null"}],"description":"D"}"#,
            r#"{"anyOf":[{"type":"STRING","nullable":true,"description":"D"},{"type":"ARRAY","nullable":true,"description":"D","items":{"type":"NUMBER"}}]}"#,
        ),
        (
            r#"{"anyOf":[{"type":"integer","minimum":1},{"type":"null"}],"default":null}"#,
            r#"{"type":"INTEGER","nullable":true,"default":null,"minimum":1}"#,
        ),
        (
            r##"{"$schema":"x","type":"object","$defs":{"P":{"type":"object","properties":{"z":{"type":"number"},"a":{"type":"boolean"}},"required":["z"]}},
            "properties":{"p":{"$ref":"#/$defs/P","description":"D"},"q":{"allOf":[{"$ref":"#/$defs/P"}]}},"required":["p"],"additionalProperties":false}"##,
            r#"{"type":"OBJECT","properties":{"p":{"type":"OBJECT","description":"D","properties":{"z":{"type":"NUMBER"},"a":{"type":"BOOLEAN"}},"required":["z"]},"q":{"type":"OBJECT","properties":{"z":{"type":"NUMBER"},"a":{"type":"BOOLEAN"}},"required":["z"]}},"required":["p"]}"#,
        ),
        (
            r#"{"allOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{}},"required":["b"]}]}"#,
            r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{}},"required":["b"]}"#,
        ),
        (
            r#"{"properties":{"o":{"type":"object","properties":{}}}}"#,
            r#"{"type":"OBJECT","properties":{"o":{"type":"OBJECT"}}}"#,
        ),
        (
            r#"{"properties":{"a":true},"required":["a","gone"]}"#,
            r#"{"type":"OBJECT","properties":{"a":{}},"required":["a"]}"#,
        ),
        (r#"{"type":"object","properties":{},"additionalProperties":false}"#, ""),
        (r#"{"type":"object"}"#, ""),
        ("{}", ""),
    ] {
        assert_eq!(cleaned(given), (expected.to_owned(), false), "{given}");
    }
}

#[test]
fn what_says_less_afterwards_is_named_once() {
    for (given, expected) in [
        (r#"{"type":"string","format":"email","minLength":1}"#, r#"{"type":"STRING","minLength":1}"#),
        (r#"{"type":"integer","exclusiveMinimum":0,"multipleOf":2}"#, r#"{"type":"INTEGER"}"#),
        (r#"{"type":"integer","enum":[1,2]}"#, r#"{"type":"INTEGER"}"#),
        (r#"{"type":"string","minLength":"1","maxLength":-1,"pattern":5}"#, r#"{"type":"STRING"}"#),
        (r#"{"type":"number","minimum":"0","maximum":-1.5e3}"#, r#"{"type":"NUMBER","maximum":-1.5e3}"#),
        (r#"{"enum":["a",1]}"#, r#"{"type":"STRING","enum":["a","1"]}"#),
        (r#"{"enum":["a",""]}"#, r#"{"type":"STRING","enum":["a"]}"#),
        (r#"{"const":true}"#, r#"{"type":"BOOLEAN"}"#),
        (r#"{"type":"array"}"#, r#"{"type":"ARRAY","items":{"type":"STRING"}}"#),
        (
            r#"{"items":[{"type":"string"},{"type":"number"}]}"#,
            r#"{"type":"ARRAY","items":{"type":"STRING"}}"#,
        ),
        (r#"{"properties":{"a":{}},"patternProperties":{}}"#, r#"{"type":"OBJECT","properties":{"a":{}}}"#),
        (
            r#"{"properties":{"a":{}},"additionalProperties":{"type":"string"}}"#,
            r#"{"type":"OBJECT","properties":{"a":{}}}"#,
        ),
        (
            r#"{"properties":{"a":{}},"anyOf":[{"required":["a"]},{"required":[]}]}"#,
            r#"{"type":"OBJECT","properties":{"a":{}}}"#,
        ),
        (
            r##"{"properties":{"a":{"$ref":"#/nowhere"}}}"##,
            r#"{"type":"OBJECT","properties":{"a":{"type":"OBJECT"}}}"#,
        ),
        (
            r##"{"properties":{"a":{"$ref":"https://a.b/c"}}}"##,
            r#"{"type":"OBJECT","properties":{"a":{"type":"OBJECT"}}}"#,
        ),
    ] {
        assert_eq!(cleaned(given), (expected.to_owned(), true), "{given}");
    }
}

#[test]
fn references_that_go_round_end() {
    let (tree, has_lost) = cleaned(
        r##"{"$defs":{"N":{"type":"object","properties":{"v":{"type":"string"},"next":{"$ref":"#/$defs/N"}}}},"$ref":"#/$defs/N"}"##,
    );
    assert!(has_lost);
    let once = r#"{"type":"OBJECT","properties":{"v":{"type":"STRING"},"next":{"type":"OBJECT"}}}"#;
    assert_eq!(tree, once);
    assert!(cleaned(r##"{"properties":{"a":{"$ref":"#"}}}"##).1);
    assert!(cleaned(r##"{"$ref":"#"}"##).1);
    assert!(cleaned(r##"{"$defs":{"A":{"anyOf":[{"$ref":"#/$defs/A"}]}},"$ref":"#/$defs/A"}"##).1);
}

#[test]
fn references_that_multiply_are_put_in_up_to_the_bound() {
    // Each of twenty holds the next twice: a million if all were put in.
    let mut schema = String::from(r#"{"$defs":{"#);
    for level in 0..20 {
        let next = level + 1;
        let pair = format!(r##"{{"a":{{"$ref":"#/$defs/D{next}"}},"b":{{"$ref":"#/$defs/D{next}"}}}}"##);
        schema.push_str(&format!(r#""D{level}":{{"type":"object","properties":{pair}}},"#));
    }
    schema.push_str(r##""D20":{"type":"string"}},"$ref":"#/$defs/D0"}"##);
    let (cleaned, has_lost) = cleaned(&schema);
    assert!(has_lost);
    let nodes = cleaned.matches("\"type\"").count();
    // A reference counts, and what it leads to.
    assert!((MAX_NODES / 2..MAX_NODES).contains(&nodes), "{nodes}");
}

#[test]
fn as_much_as_the_bound_is_put_in_for_references_and_one_byte_more_is_not() {
    let text = |length: usize| format!(r#"{{"type":"string","description":"{}"}}"#, "x".repeat(length - 34));
    assert_eq!(text(100).len(), 100);
    let twice = |length| {
        let (one, two) = (text(MAX_REFERRED / 2), text(length));
        cleaned(&format!(
            r##"{{"$defs":{{"one":{one},"two":{two}}},"properties":{{"a":{{"$ref":"#/$defs/one"}},"b":{{"$ref":"#/$defs/two"}}}}}}"##
        ))
    };
    let (whole, has_lost) = twice(MAX_REFERRED / 2);
    assert!(!has_lost && whole.len() > MAX_REFERRED);
    let (cut, has_lost) = twice(MAX_REFERRED / 2 + 1);
    assert!(has_lost && cut.ends_with(r#""b":{"type":"OBJECT"}}}"#), "{}", &cut[cut.len() - 40..]);
}

#[test]
fn a_description_is_given_to_each_alternative_up_to_the_bound() {
    let described = |times: usize, length: usize| {
        let text = "x".repeat(length - 2);
        let alternatives = [r#"{"type":"STRING"}"#].repeat(times).join(",");
        cleaned(&format!(r#"{{"description":"{text}","anyOf":[{alternatives}]}}"#))
    };
    let (whole, has_lost) = described(8, MAX_REFERRED / 8);
    assert!(!has_lost && whole.len() > MAX_REFERRED);
    let (cut, has_lost) = described(9, MAX_REFERRED / 8);
    assert!(has_lost && cut.len() < whole.len() + 100 && cut.ends_with(r#",{"type":"STRING"}]}"#));
}

#[test]
fn a_type_that_is_said_again_and_again_is_one() {
    let types = [r#""string","number""#].repeat(1_000).join(",");
    let (twice, _) = cleaned(&format!(r#"{{"description":"d","type":[{types}]}}"#));
    let each = |name: &str| format!(r#"{{"type":"{name}","description":"d"}}"#);
    assert_eq!(twice, format!(r#"{{"anyOf":[{},{}]}}"#, each("STRING"), each("NUMBER")));
}

#[test]
fn the_deepest_schema_is_written_and_one_deeper_is_cut() {
    // The innermost is one level further in than it is nested.
    for (levels, has_lost) in [(MAX_DEPTH - 1, false), (MAX_DEPTH, true)] {
        let schema = format!(
            r#"{}{{"type":"string"}}{}"#,
            r#"{"type":"array","items":"#.repeat(levels),
            "}".repeat(levels)
        );
        assert_eq!(cleaned(&schema).1, has_lost, "{levels}");
    }
    cleaned(&format!("{}{{}}{}", r#"{"allOf":["#.repeat(100), "]}".repeat(100)));
}

#[test]
fn members_keep_their_order() {
    let (cleaned, _) =
        cleaned(r#"{"properties":{"z":{"type":"string"},"a":{"type":"string"},"m":{"type":"string"}}}"#);
    let order: Vec<_> = ["\"z\"", "\"a\"", "\"m\""].iter().map(|name| cleaned.find(name)).collect();
    assert!(order.is_sorted() && order[0].is_some(), "{cleaned}");
}

fn any_schema() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "{}".to_owned(),
        "true".to_owned(),
        "7".to_owned(),
        r#"{"type":"string","enum":["a",1,null]}"#.to_owned(),
        r#"{"type":["integer","null"],"format":"x"}"#.to_owned(),
        r##"{"$ref":"#"}"##.to_owned(),
        r##"{"$ref":"#/properties/a"}"##.to_owned(),
    ]);
    leaf.prop_recursive(4, 30, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..3);
        let word = prop::sample::select(vec!["anyOf", "oneOf", "allOf", "items"]);
        prop_oneof![
            (word, many).prop_map(|(word, many)| format!(r#"{{"{word}":[{}]}}"#, many.join(","))),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!(r#"{{"properties":{{"a":{a},"b":{b}}},"required":["a","c"]}}"#)),
            inner.prop_map(|items| format!(r#"{{"type":"array","items":{items},"const":1}}"#)),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_cleaned_to_what_cleaning_leaves_as_it_is(schema in any_schema()) {
        let (once, _) = cleaned(&schema);
        if !once.is_empty() {
            for word in ["$ref", "oneOf", "allOf", "const", "\"null\""] {
                prop_assert!(!once.contains(word), "{}", once);
            }
            let (twice, _) = cleaned(&once);
            prop_assert!(twice.is_empty() || twice == once, "{} {}", once, twice);
        }
    }
}
