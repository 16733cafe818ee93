//! How many elements of lists are built of one text.
//!
//! Three bytes of a body, as in `{},{},{}`, become hundreds as a message, a part or a tool, before anybody has judged
//! them. So the reader counts what it builds, whatever list it is in, and stops where there is more than the text's
//! length makes likely. What is passed over unread, as schemas, arguments and results are, counts nothing.

use super::canonical::{Part, Turn};
use super::places;

/// So many may be in any text: 5,000 turns of a word each.
pub(super) const FREE: usize = 10_000;

/// Beyond these, a text may have one for each so many bytes. Real conversations have one in some hundreds.
const BYTES_EACH: usize = 128;

/// The most bytes that an element takes while it is read, but for its texts, which stay in the body.
const MOST_BYTES: usize = 352;

/// The most that it takes from there on.
const MOST_BYTES_UNDERSTOOD: usize = size_of::<Part<'_>>() + size_of::<Turn<'_>>();

// So a text takes four times its length at most, and 5 MB whatever its length.
const _: () = assert!(MOST_BYTES + MOST_BYTES_UNDERSTOOD <= 4 * BYTES_EACH);
const _: () = assert!(FREE * (MOST_BYTES + MOST_BYTES_UNDERSTOOD) <= 5_000_000);

/// Stops the build where elements of that type are larger than is reckoned with here.
pub(super) const fn fit<T>() {
    assert!(size_of::<T>() <= MOST_BYTES, "an element is larger than a request's memory is reckoned with");
}

/// The most elements that are built of a text of that length.
pub(super) const fn most(length: usize) -> usize {
    FREE + length / BYTES_EACH
}

/// Where the first element stands that is one too many, if all of a text is read. Counts what is passed over unread, too,
/// so it is for texts that have something else wrong with them.
pub(super) fn first_too_many(text: &[u8]) -> Option<usize> {
    let most = most(text.len());
    // An element takes a byte at least, and a comma or bracket before it.
    if text.len() / 2 <= most { None } else { places::of_element(text, most) }
}

#[cfg(test)]
mod tests {
    use super::super::embeddings::{self, Form};
    use super::super::peek::BadBody;
    use super::super::question;
    use super::super::signs::Api;
    use super::*;

    const LENGTH: usize = 400_000;

    /// A body of that length, with so many of these elements in it.
    fn body(before: &str, element: &str, count: usize, behind: &str) -> String {
        let body = format!("{before}{}{behind}", vec![element; count].join(","));
        let room = LENGTH - body.len();
        body + &" ".repeat(room)
    }

    fn refusal(result: Result<(), BadBody>) -> Option<String> {
        result.err().map(|BadBody(why)| why).filter(|why| why.contains("one element too many"))
    }

    #[test]
    fn no_api_has_a_list_that_forgets_to_count() {
        let most = most(LENGTH);
        // As many as there may be, less those that the list stands in.
        for (api, before, element, behind, way, around) in [
            (
                Api::Completions,
                r#"{"messages":[{"role":"user","content":["#,
                r#"{"type":""}"#,
                "]}]}",
                "messages[0].content",
                1,
            ),
            (Api::Completions, r#"{"messages":["#, r#"{"role":{"user":null}}"#, "]}", "messages", 0),
            (Api::Completions, r#"{"messages":[],"tools":["#, "{}", "]}", "tools", 0),
            (Api::Completions, r#"{"messages":[],"stop":["#, r#""""#, "]}", "stop", 0),
            (Api::Responses, r#"{"input":["#, "{}", "]}", "input", 0),
            (Api::Responses, r#"{"input":[{"output":["#, "{}", "]}]}", "input[0].output", 1),
            (Api::Responses, r#"{"input":[{"summary":["#, "{}", "]}]}", "input[0].summary", 1),
            (Api::Responses, r#"{"input":"x","tools":["#, "{}", "]}", "tools", 0),
            (Api::Responses, r#"{"input":"x","include":["#, r#""""#, "]}", "include", 0),
            (
                Api::Messages,
                r#"{"messages":[{"role":"user","content":["#,
                r#"{"type":""}"#,
                "]}]}",
                "messages[0].content",
                1,
            ),
            (Api::Messages, r#"{"messages":[],"system":["#, r#"{"type":""}"#, "]}", "system", 0),
            (Api::Messages, r#"{"messages":[],"tools":["#, "{}", "]}", "tools", 0),
            (Api::Generate, r#"{"contents":["#, "{}", "]}", "contents", 0),
            (Api::Generate, r#"{"contents":{"parts":["#, "{}", "]}}", "contents.parts", 0),
            (
                Api::Generate,
                r#"{"tools":[{"functionDeclarations":["#,
                r#"{"name":""}"#,
                "]}]}",
                "tools[0].functionDeclarations",
                1,
            ),
        ] {
            let elements = most - around;
            let read = |count| {
                let body = body(before, element, count, behind);
                refusal(question::read(api, body.as_bytes()).map(|_| ()))
            };
            assert_eq!(read(elements), None, "{before}");
            let why = read(elements + 1).unwrap_or_else(|| panic!("{before} is read"));
            assert!(why.starts_with(&format!("`{way}[{elements}]` is one element too many")), "{why}");
        }
    }

    #[test]
    fn embeddings_count_too() {
        let most = most(LENGTH);
        for (form, before, element, behind) in [
            (Form::OpenAi, r#"{"input":["#, "0", "]}"),
            (Form::Batch, r#"{"requests":["#, "{}", "]}"),
            (Form::One, r#"{"content":{"parts":["#, "{}", "]}}"),
        ] {
            let read = |count| {
                let body = body(before, element, count, behind);
                refusal(embeddings::features(form, body.as_bytes()).map(|_| ()))
            };
            // The list of texts is a text of its own, without the spaces behind it.
            let most = if form == Form::OpenAi { FREE + 2 * FREE / BYTES_EACH } else { most };
            assert_eq!((read(most), read(most + 9).is_some()), (None, true), "{before}");
        }
    }

    #[test]
    fn what_is_passed_over_counts_only_where_something_else_is_wrong() {
        let list = format!("[{}]", vec!["0"; most(LENGTH) + 1].join(","));
        let good =
            format!(r#"{{"contents":{{"parts":{{"functionCall":{{"name":"f","args":{{"a":{list}}}}}}}}}"#);
        let read = |body: &str| question::read(Api::Generate, body.as_bytes()).map(|_| ());
        assert_eq!(refusal(read(&format!("{good}}}"))), None);
        let why = refusal(read(&format!(r#"{good},"tools":7}}"#))).expect("refused");
        assert!(why.starts_with("`contents.parts.functionCall.args.a["), "{why}");
    }
}
