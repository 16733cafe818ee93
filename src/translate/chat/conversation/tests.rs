//! Messages into turns, and each fault by its field.

use super::*;
use crate::translate::canonical::Source;
use crate::translate::chat::read;
use crate::translate::features::Features;
use serde_json::{Value, json};

/// Reads a request of these messages and gives it to `look`.
fn seeing<T>(messages: &Value, look: impl FnOnce(Request<'_>) -> T) -> T {
    let body = json!({"model": "m", "messages": messages}).to_string();
    look(read(body.as_bytes()).expect("a good request"))
}

fn turns(messages: &Value, expected: &[(Speaker, Vec<Part<'_>>)]) {
    seeing(messages, |request| {
        let turns: Vec<_> = request.turns.into_iter().map(|turn| (turn.speaker, turn.parts)).collect();
        assert_eq!(turns, expected);
    });
}

fn features(messages: &Value) -> Features {
    seeing(messages, |request| request.features)
}

/// What is said of a request of these messages, which is bad.
fn complaint(messages: &Value) -> String {
    let body = json!({"model": "m", "messages": messages}).to_string();
    let BadBody(why) =
        read(body.as_bytes()).map(|request| format!("{request:?}")).expect_err("a bad request");
    why
}

fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> Part<'a> {
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Part::Call(Call { id, name, arguments, signature: None, ends_cache: false })
}

fn result<'a>(id: &'a str, name: &'a str, content: Vec<Part<'a>>) -> Part<'a> {
    let (id, name) = (id.into(), name.into());
    Part::Result(CallResult { id, name, content, is_error: false, ends_cache: false })
}

fn wire_call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn system_and_developer_messages_are_lifted_in_order_also_from_the_middle() {
    let messages = json!([
        {"role": "system", "content": "one"},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
        {"role": "assistant", "content": "ho"},
    ]);
    seeing(&messages, |request| {
        assert_eq!(request.system, ["one", "two", "three"].map(Part::text));
        assert_eq!(request.turns.len(), 2);
    });
}

#[test]
fn a_users_parts_are_texts_and_media_in_order() {
    let media = |kind, media_type: &'static str, name: Option<&'static str>| {
        let source = Source::Inline { media_type: media_type.into(), data: "QUJD".into() };
        Part::Media(Media { kind, source, name: name.map(Into::into), ends_cache: false })
    };
    let url = Source::Url { url: "https://x/y.png".into(), media_type: None };
    let messages = json!([{"role": "user", "content": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "image_url", "image_url": "https://x/y.png"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
    ]}]);
    let expected = vec![
        Part::text("look"),
        media(MediaKind::Image, "image/png", None),
        Part::Media(Media::new(MediaKind::Image, url)),
        media(MediaKind::Audio, "audio/wav", None),
        media(MediaKind::Document, "application/pdf", Some("a.pdf")),
    ];
    turns(&messages, &[(Speaker::User, expected)]);
    assert!(features(&messages).contains(Feature::AudioInput));
}

#[test]
fn a_tool_loop_has_its_results_in_one_turn_with_the_names_of_their_calls() {
    let messages = json!([
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
            wire_call("call_a", "weather", "{\"city\": \"Köln\" }"), wire_call("call_b", "time", ""),
        ]},
        {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
        {"role": "system", "content": "be brief"},
        {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "rain"}]},
        {"role": "assistant", "content": "Rain at noon."},
    ]);
    let thought = Part::Thought(Thought { text: "hm".into(), ..Thought::default() });
    let calls = [call("call_a", "weather", "{\"city\": \"Köln\" }"), call("call_b", "time", "{}")];
    let results = vec![
        result("call_b", "time", vec![Part::text("noon")]),
        result("call_a", "weather", vec![Part::text("rain")]),
    ];
    turns(
        &messages,
        &[
            (Speaker::User, vec![Part::text("weather?")]),
            (Speaker::Model, std::iter::once(thought).chain(calls).collect()),
            (Speaker::User, results),
            (Speaker::Model, vec![Part::text("Rain at noon.")]),
        ],
    );
    assert!(features(&messages).contains(Feature::ForeignThoughts));
}

#[test]
fn what_a_client_wrote_is_repeated_as_far_as_it_is_short() {
    let long = "x\n".repeat(100_000);
    for messages in [
        json!([{"role": "user", "content": [{"type": long}]}]),
        json!([{"role": "assistant", "tool_calls": [{"id": long, "type": "function", "function": {"name": "f"}}]}]),
    ] {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let BadBody(why) = read(body.as_bytes()).map(|_| ()).expect_err("bad");
        assert!(why.len() < 400 && !why.contains('\n') && why.contains('…'), "{why}");
    }
}

#[test]
fn of_very_many_calls_each_finds_its_result_in_whatever_order_they_come() {
    const CALLS: usize = 20_000;
    let ids: Vec<_> = (0..CALLS).map(|at| format!("call_{at}")).collect();
    let mut open = OpenCalls::default();
    for (at, id) in ids.iter().enumerate() {
        open.open(id.into(), at.to_string().into());
    }
    assert_eq!(open.first(), Some("call_0"));
    for (at, id) in ids.iter().enumerate().rev() {
        assert_eq!(open.close(&id.into()), Some(at.to_string().into()));
    }
    assert_eq!(open.close(&"call_0".into()), None);
    assert_eq!(open.first(), None);
}

#[test]
fn calls_of_one_id_are_answered_in_their_order() {
    let called = json!({"role": "assistant", "tool_calls": [
        wire_call("x", "f", "{}"), wire_call("a", "g", "{}"), wire_call("x", "h", "{}"),
    ]});
    let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "y"});
    let messages = json!([called, tool("x"), tool("x"), tool("a")]);
    let names: Vec<_> = seeing(&messages, |request| {
        let results = request.turns[1].parts.iter().map(|part| match part {
            Part::Result(result) => result.name.clone().into_owned(),
            other => panic!("{other:?}"),
        });
        results.collect()
    });
    assert_eq!(names, ["f", "h", "g"]);
    let why = complaint(&json!([called, tool("x"), tool("x"), tool("x")]));
    assert!(why.starts_with("`messages[3].tool_call_id` is of no call"), "{why}");
    let why = complaint(&json!([called, tool("a")]));
    assert!(why.contains("the tool call `x`"), "{why}");
}

#[test]
fn an_assistants_refusal_is_read_from_either_place() {
    for message in [
        json!({"role": "assistant", "content": null, "refusal": "no"}),
        json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}),
    ] {
        turns(&json!([message]), &[(Speaker::Model, vec![Part::Refusal("no".into())])]);
    }
}

#[test]
fn what_sdks_send_along_says_nothing() {
    let message = json!({"role": "assistant", "content": "ho", "refusal": null, "annotations": [], "audio": null,
        "function_call": null, "tool_calls": null, "reasoning_content": null});
    let messages = json!([{"role": "user", "content": "hi"}, message]);
    assert_eq!(features(&messages), Features::NONE);
    turns(&messages, &[(Speaker::User, vec![Part::text("hi")]), (Speaker::Model, vec![Part::text("ho")])]);
}

#[test]
fn what_others_lack_is_noted() {
    let user = |part: Value| json!([{"role": "user", "content": [part]}]);
    let custom = json!({"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}});
    for (messages, feature) in [
        (user(json!({"type": "file", "file": {"file_id": "file-1"}})), Feature::ProviderState),
        (user(json!({"type": "file", "file": {"file_data": "https://x/y.pdf"}})), Feature::DocumentUrl),
        (
            user(json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})),
            Feature::CacheMarks,
        ),
        (
            user(json!({"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}})),
            Feature::Other,
        ),
        (json!([{"role": "user", "content": "x", "name": "bob"}]), Feature::Other),
        (json!([{"role": "assistant", "audio": {"id": "audio_1"}}]), Feature::ProviderState),
        (
            json!([{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]),
            Feature::CustomTools,
        ),
        (json!([{"role": "function", "name": "f", "content": "x"}]), Feature::CustomTools),
        (
            json!([{"role": "assistant", "tool_calls": [custom]}, {"role": "tool", "tool_call_id": "c", "content": ""}]),
            Feature::CustomTools,
        ),
    ] {
        assert!(features(&messages).contains(feature), "{messages}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let user = |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]);
    let called = |call: Value| json!([{"role": "assistant", "tool_calls": [call]}]);
    let tool = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let called_a = json!({"role": "assistant", "tool_calls": [wire_call("a", "f", "{}")]});
    for (messages, start) in [
        (json!([]), "`messages` must not"),
        (
            json!([{"role": "user", "content": "x"}, {"role": "wizard", "content": "x"}]),
            "`messages[1].role` ",
        ),
        (json!([{"content": "x"}]), "`messages[0].role` is missing"),
        (json!([{"role": "user"}]), "`messages[0].content` is missing"),
        (json!([{"role": "user", "content": 7}]), "`messages[0].content` "),
        (user(json!({"type": "text", "text": 7})), "`messages[0].content[1].text` "),
        (user(json!({"type": "text"})), "`messages[0].content[1].type` is `text`"),
        (user(json!({"type": "video_url"})), "`messages[0].content[1].type` is `video_url`"),
        (
            user(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,Q"}})),
            "`messages[0].content[1].image_url.url` is not valid base64",
        ),
        (
            user(json!({"type": "input_audio", "input_audio": {"data": "!", "format": "mp3"}})),
            "`messages[0].content[1].input_audio.data` is not valid base64",
        ),
        (user(json!({"type": "file", "file": {}})), "`messages[0].content[1].file.file_data` is missing"),
        (called(json!({"function": {"name": "f", "arguments": ""}})), "`messages[0].tool_calls[0].id` "),
        (called(wire_call("", "f", "{}")), "`messages[0].tool_calls[0].id` "),
        (called(wire_call("a", "", "{}")), "`messages[0].tool_calls[0].function.name` "),
        (called(json!({"id": "a"})), "`messages[0].tool_calls[0].function` is missing"),
        (called(wire_call("a", "f", "[1]")), "`messages[0].tool_calls[0].function.arguments` "),
        (called(wire_call("a", "f", "{\"x\":")), "`messages[0].tool_calls[0].function.arguments` "),
        (json!([called_a]), "`messages[0]` comes before the result of the tool call `a`"),
        (
            json!([called_a, {"role": "user", "content": "x"}, tool("a")]),
            "`messages[1]` comes before the result",
        ),
        (json!([called_a, called_a, tool("a")]), "`messages[1]` comes before the result"),
        (json!([called_a, tool("b")]), "`messages[1].tool_call_id` is of no call"),
        (json!([called_a, tool("a"), tool("a")]), "`messages[2].tool_call_id` is of no call"),
        (json!([tool("a")]), "`messages[0].tool_call_id` is of no call"),
        (json!([called_a, {"role": "tool", "content": "x"}]), "`messages[1].tool_call_id` is missing"),
        (
            json!([{"role": "system", "content": [{"type": "image_url", "image_url": "https://x"}]}]),
            "`messages[0].content[0].type` is `image_url`",
        ),
    ] {
        let why = complaint(&messages);
        assert!(why.starts_with(start), "{why} for {messages}");
    }
}
