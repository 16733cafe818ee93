//! Takes elements out of lists and members out of objects, each with the comma that it leaves behind, and not a byte more.

use super::edit::{Edit, span};
use super::members::Members;
use serde_json::value::RawValue;

/// The edits that take some elements out of a list, which all are parts of `text`, in order.
pub(super) fn elements(text: &str, list: &[&RawValue], goes: &[bool]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut has_before = false;
    for (index, _) in goes.iter().enumerate().filter(|(_, goes)| **goes) {
        has_before |= index > 0 && !goes[index - 1];
        let at = |index: usize| span(text, list.get(index)?.get());
        let Some(own) = at(index) else { continue };
        let before = index.checked_sub(1).and_then(at).filter(|_| has_before);
        let cut = match (before, at(index + 1)) {
            (Some(before), _) => before.end..own.end,
            (None, Some(behind)) => own.start..behind.start,
            (None, None) => own,
        };
        edits.push(Edit { at: cut, with: "".into() });
    }
    edits
}

/// The edit that takes a member out of an object, which is a part of `text`.
pub(super) fn member(text: &str, object: &RawValue, members: &Members<'_>, value: &RawValue) -> Option<Edit> {
    let index = members.0.iter().position(|(_, it)| std::ptr::eq(it.get(), value.get()))?;
    let (whole, own) = (span(text, object.get())?, span(text, value.get())?);
    let before = index.checked_sub(1).and_then(|before| span(text, members.0[before].1.get()));
    let at = match before {
        Some(before) => before.end..own.end,
        None if members.0.len() == 1 => whole.start + 1..own.end,
        None => whole.start + 1..own.end + text.get(own.end..)?.find(',')? + 1,
    };
    Some(Edit { at, with: "".into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::{edit, members};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn applied(text: &str, edits: Vec<Edit>) -> String {
        let body = edit::apply(&Bytes::copy_from_slice(text.as_bytes()), edits);
        String::from_utf8(body.to_vec()).expect("text")
    }

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_list_without_some_of_its_elements_is_otherwise_the_same() {
        let text = "[ 1 ,\n 2, 3 , 4 ]";
        let list = members::elements(raw(text)).expect("a list");
        for (goes, expected) in [
            ([false; 4], text),
            ([true; 4], "[  ]"),
            ([true, true, false, false], "[ 3 , 4 ]"),
            ([false, true, true, false], "[ 1 , 4 ]"),
            ([true, false, true, true], "[ 2 ]"),
            ([false, false, false, true], "[ 1 ,\n 2, 3 ]"),
        ] {
            assert_eq!(applied(text, elements(text, &list, &goes)), expected);
        }
    }

    #[test]
    fn a_member_goes_with_its_comma() {
        let text = "{ \"a\" : 1 , \"b\":\"x,\", \"c\": 3 }";
        let object = raw(text);
        let all = Members::of(object).expect("an object");
        for (name, expected) in [
            ("a", "{ \"b\":\"x,\", \"c\": 3 }"),
            ("b", "{ \"a\" : 1, \"c\": 3 }"),
            ("c", "{ \"a\" : 1 , \"b\":\"x,\" }"),
        ] {
            let edit = member(text, object, &all, all.get(name).expect("there"));
            assert_eq!(applied(text, edit.into_iter().collect()), expected);
        }
        let alone = "{ \"a\": 1 }";
        let members = Members::of(raw(alone)).expect("an object");
        let edit = member(alone, raw(alone), &members, members.get("a").expect("there"));
        assert_eq!(applied(alone, edit.into_iter().collect()), "{ }");
    }

    proptest! {
        #[test]
        fn what_stays_of_a_list_is_what_should(goes in prop::collection::vec(any::<bool>(), 0..8)) {
            let text = format!("[{}]", (0..goes.len()).map(|it| format!(" {it} ")).collect::<Vec<_>>().join(","));
            let list = members::elements(raw(&text)).expect("a list");
            let left: Vec<usize> = serde_json::from_str(&applied(&text, elements(&text, &list, &goes))).expect("JSON");
            let expected: Vec<usize> = (0..goes.len()).filter(|it| !goes[*it]).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
