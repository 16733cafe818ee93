//! What a provider gets.

use super::{TARGET, conversation, json, read, said, write};
use crate::translate::canonical::{
    Call, CallResult, Effort, Media, MediaKind, Part, Reasoning, Request, Signature, Source, Speaker, Text,
    Thought, Tool, ToolChoice, Turn,
};
use crate::translate::messages;
use crate::translate::sides::{Target, Written};
use crate::translate::signs::Api;
use serde_json::{Value, json};

fn user(parts: Vec<Part<'_>>) -> Turn<'_> {
    Turn { speaker: Speaker::User, parts }
}

fn model(parts: Vec<Part<'_>>) -> Turn<'_> {
    Turn { speaker: Speaker::Model, parts }
}

fn asks<'a>(turns: Vec<Turn<'a>>) -> Request<'a> {
    Request { turns, ..Request::default() }
}

pub(super) fn hi<'a>() -> Request<'a> {
    asks(vec![user(vec![Part::text("hi")])])
}

fn call(id: &'static str, name: &'static str, arguments: &'static str) -> Part<'static> {
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Part::Call(Call { id, name, arguments, signature: None, ends_cache: false })
}

fn result(id: &'static str) -> Part<'static> {
    let content = vec![Part::text("done")];
    Part::Result(CallResult { id: id.into(), name: "n".into(), content, is_error: false, ends_cache: false })
}

fn thought(maker: Api) -> Part<'static> {
    let signature = Some(Signature { maker, text: "sig".into() });
    Part::Thought(Thought { text: "hm".into(), signature, is_redacted: false })
}

pub(super) fn tool(name: &'static str) -> Tool<'static> {
    Tool { name: name.into(), description: None, parameters: None, strict: None, ends_cache: false }
}

fn refused(request: &Request<'_>) -> String {
    messages::write(request, &TARGET).expect_err("a refusal").0
}

pub(super) fn to(model: &'static str, request: &Request<'_>) -> (Value, Vec<&'static str>) {
    let Written { body, lost, .. } =
        messages::write(request, &Target { model, ..TARGET }).expect("a request");
    (json(&body), lost)
}

#[test]
fn a_plain_request_is_written_plainly() {
    let written = write(&hi());
    assert_eq!(
        json(&written.body),
        json!({"model": "claude-sonnet-4-5", "max_tokens": 8192,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})
    );
    assert!(written.lost.is_empty() && written.renamed.is_empty());
}

#[test]
fn the_limit_is_the_clients_up_to_the_operators_which_holds_else_and_last_ours() {
    let target = Target { max_output_tokens: Some(4_000), ..TARGET };
    for (own, target, expected, lost) in [
        (Some(5), target, 5, None),
        (Some(4_000), target, 4_000, None),
        (Some(4_001), target, 4_000, Some("max_tokens")),
        (None, target, 4_000, None),
        (None, TARGET, 8_192, None),
        (Some(9_000), TARGET, 9_000, None),
    ] {
        let request = Request { max_output_tokens: own, ..hi() };
        let written = messages::write(&request, &target).expect("a request");
        assert_eq!(json(&written.body)["max_tokens"], expected);
        assert_eq!(written.lost.first().copied(), lost, "{own:?}");
    }
}

#[test]
fn a_conversation_begins_with_the_user_if_only_formally() {
    let system = Request { system: vec![Part::text("be kind")], ..Request::default() };
    let opening = json!({"role": "user", "content": [{"type": "text", "text": "."}]});
    assert_eq!(said(&system), json!([opening]));
    let begins_with_model = asks(vec![model(vec![Part::text("a")]), user(vec![Part::text("b")])]);
    assert_eq!(said(&begins_with_model)[0], opening);
    assert!(refused(&asks(vec![user(vec![Part::text(" ")])])).starts_with("nothing is said"));
}

#[test]
fn turns_of_one_speaker_are_one_message_and_empty_texts_are_left_out() {
    let request = asks(vec![
        user(vec![Part::text("a"), Part::text("")]),
        model(vec![Part::text(" \n")]),
        user(vec![Part::text("b")]),
        model(vec![Part::text("c")]),
        model(vec![Part::Refusal("d".into())]),
        user(vec![Part::text("e")]),
    ]);
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        said(&request),
        json!([{"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [text("c"), text("d")]},
            {"role": "user", "content": [text("e")]}])
    );
}

#[test]
fn words_that_the_model_goes_on_from_have_no_white_space_behind_them() {
    let request = asks(vec![user(vec![Part::text("a ")]), model(vec![Part::text("so: \n")])]);
    let written = write(&request);
    let messages = &json(&written.body)["messages"];
    assert_eq!(messages[1]["content"][0]["text"], "so:");
    assert_eq!(messages[0]["content"][0]["text"], "a ");
    assert_eq!(written.lost, ["trailing whitespace"]);
}

#[test]
fn results_stand_first_in_the_turn_behind_their_calls() {
    let request = asks(vec![
        user(vec![Part::text("go")]),
        model(vec![call("a", "n", r#"{ "x": 1 }"#), call("b", "n", "")]),
        user(vec![Part::text("meanwhile"), result("b")]),
        user(vec![result("a")]),
    ]);
    let written = write(&request);
    assert!(String::from_utf8_lossy(&written.body).contains(r#""input":{ "x": 1 }"#), "byte for byte");
    let messages = json(&written.body)["messages"].take();
    assert_eq!(messages[1]["content"][1]["input"], json!({}));
    let ids: Vec<_> =
        messages[2]["content"].as_array().expect("blocks").iter().map(|it| &it["tool_use_id"]).collect();
    assert_eq!(ids, [&json!("b"), &json!("a"), &Value::Null]);
}

#[test]
fn a_call_without_its_result_is_refused_and_so_is_a_result_elsewhere() {
    let go = || user(vec![Part::text("go")]);
    let calls = || model(vec![call("a", "n", "{}")]);
    for (turns, why) in [
        (vec![go(), calls(), go()], "the call `a` has no result in the turn"),
        (vec![go(), calls()], "the call `a` has no result"),
        (
            vec![go(), calls(), user(vec![result("a"), result("a")])],
            "the result for `a` must directly follow",
        ),
        (
            vec![
                go(),
                calls(),
                user(vec![result("a")]),
                model(vec![Part::text("x")]),
                user(vec![result("a")]),
            ],
            "the result for `a` must directly follow",
        ),
        (
            vec![go(), model(vec![call("a", "n", "[1]")]), user(vec![result("a")])],
            "the arguments of the call `a`",
        ),
        (
            vec![go(), model(vec![call("a", "n", "{")]), user(vec![result("a")])],
            "the arguments of the call `a`",
        ),
    ] {
        let refusal = refused(&asks(turns));
        assert!(refusal.starts_with(why), "{refusal}");
    }
}

#[test]
fn names_and_ids_are_made_to_fit_and_names_are_told() {
    let request = Request {
        tools: vec![tool("a.b")],
        tool_choice: ToolChoice::One("a.b".into()),
        ..asks(vec![
            user(vec![Part::text("go")]),
            model(vec![call("call:1", "a.b", "{}")]),
            user(vec![result("call:1")]),
        ])
    };
    let written = write(&request);
    let body = json(&written.body);
    let sent = messages::NAMES.sent("a.b").into_owned();
    assert_eq!(body["tools"][0], json!({"name": sent, "input_schema": {"type": "object", "properties": {}}}));
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": sent}));
    assert_eq!(body["messages"][1]["content"][0]["name"], sent);
    assert_eq!(body["messages"][1]["content"][0]["id"], body["messages"][2]["content"][0]["tool_use_id"]);
    assert_eq!(written.renamed, [(sent, "a.b".to_owned())]);
}

#[test]
fn a_choice_of_tool_is_only_said_with_tools() {
    for (tool_choice, parallel_tool_calls, expected) in [
        (ToolChoice::Auto, None, Value::Null),
        (ToolChoice::Auto, Some(true), Value::Null),
        (ToolChoice::Auto, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (ToolChoice::Any, None, json!({"type": "any"})),
        (ToolChoice::None, Some(false), json!({"type": "none"})),
    ] {
        let request = Request { tools: vec![tool("n")], tool_choice, parallel_tool_calls, ..hi() };
        assert_eq!(json(&write(&request).body)["tool_choice"], expected);
    }
    for tool_choice in [ToolChoice::None, ToolChoice::Any] {
        let without = Request { tool_choice, parallel_tool_calls: Some(false), ..hi() };
        assert_eq!(json(&write(&without).body)["tool_choice"], Value::Null);
    }
}

#[test]
fn sampling_is_cut_to_what_is_taken_and_named() {
    let sampling = |temperature, top_p, top_k| Request { temperature, top_p, top_k, ..hi() };
    for (model, request, expected, lost) in [
        ("m", sampling(Some(1.5), None, Some(3)), json!([1.0, null, 3]), vec!["temperature"]),
        ("m", sampling(Some(0.2), Some(0.9), None), json!([0.2, 0.9, null]), vec![]),
        ("claude-sonnet-4-20250514", sampling(Some(0.2), Some(0.9), None), json!([0.2, 0.9, null]), vec![]),
        ("claude-opus-4-1", sampling(Some(0.2), Some(0.9), None), json!([0.2, null, null]), vec!["top_p"]),
        ("m", sampling(None, Some(0.9), None), json!([null, 0.9, null]), vec![]),
        (
            "claude-opus-4-7",
            sampling(Some(0.2), Some(0.9), Some(3)),
            json!([null, null, null]),
            vec!["temperature", "top_p", "top_k"],
        ),
        ("claude-opus-4-7", sampling(Some(1.0), None, None), json!([null, null, null]), vec![]),
    ] {
        let (body, is_lost) = to(model, &request);
        assert_eq!(json!([body["temperature"], body["top_p"], body["top_k"]]), expected, "{model}");
        assert_eq!(is_lost, lost);
    }
}

#[test]
fn thinking_excludes_sampling() {
    let request = Request {
        reasoning: Some(Reasoning::Budget(2_000)),
        temperature: Some(0.5),
        top_p: Some(0.95),
        top_k: Some(3),
        ..hi()
    };
    let (body, lost) = to("m", &request);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 2000}));
    assert_eq!(
        (&body["temperature"], &body["top_p"], &body["top_k"]),
        (&Value::Null, &json!(0.95), &Value::Null)
    );
    assert_eq!(lost, ["temperature", "top_k"]);
    let (body, lost) = to("m", &Request { top_p: Some(0.94), temperature: None, top_k: None, ..request });
    assert_eq!((&body["top_p"], lost), (&Value::Null, vec!["top_p"]));
}

#[test]
fn how_much_to_think_is_said_as_the_model_takes_it() {
    let asks = |reasoning, limit| Request { reasoning: Some(reasoning), max_output_tokens: limit, ..hi() };
    let enabled = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    let (disabled, adaptive) = (json!({"type": "disabled"}), json!({"type": "adaptive"}));
    let (high, low) = (Reasoning::Effort(Effort::High), Reasoning::Effort(Effort::Low));
    for (model, request, thinking, effort, lost) in [
        ("m", asks(high, Some(40_000)), enabled(16_384), Value::Null, vec![]),
        ("m", asks(high, None), enabled(4_096), Value::Null, vec![]),
        ("m", asks(low, Some(2_048)), enabled(1_024), Value::Null, vec![]),
        ("m", asks(low, Some(2_047)), disabled.clone(), Value::Null, vec!["reasoning_effort"]),
        ("m", asks(Reasoning::Off, None), disabled.clone(), Value::Null, vec![]),
        ("m", asks(Reasoning::Dynamic, Some(40_000)), enabled(8_192), Value::Null, vec![]),
        ("claude-opus-4-7", asks(Reasoning::Dynamic, None), adaptive.clone(), Value::Null, vec![]),
        ("claude-opus-4-7", asks(high, None), adaptive.clone(), json!("high"), vec![]),
        ("claude-opus-4-6", asks(Reasoning::Budget(1_500), None), adaptive.clone(), json!("low"), vec![]),
        ("claude-opus-4-7", asks(low, Some(2_047)), disabled, Value::Null, vec!["reasoning_effort"]),
    ] {
        let (body, is_lost) = to(model, &request);
        assert_eq!(body["thinking"], thinking, "{model} {request:?}");
        assert_eq!((&body["output_config"]["effort"], is_lost), (&effort, lost), "{model} {request:?}");
    }
    let shown = Request { shows_thoughts: true, ..asks(high, None) };
    assert_eq!(to("claude-opus-4-7", &shown).0["thinking"]["display"], "summarized");
    assert_eq!(to("m", &hi()).0["thinking"], Value::Null);
}

#[test]
fn a_forced_call_or_a_prefilled_answer_turns_thinking_off_and_says_so() {
    let reasoning = Some(Reasoning::Budget(2_000));
    for request in [
        Request { reasoning, tools: vec![tool("n")], tool_choice: ToolChoice::Any, ..hi() },
        Request { reasoning, ..asks(vec![user(vec![Part::text("a")]), model(vec![Part::text("b")])]) },
    ] {
        let (body, lost) = to("m", &request);
        assert_eq!((&body["thinking"]["type"], lost), (&json!("disabled"), vec!["reasoning_effort"]));
    }
}

#[test]
fn a_tool_loop_whose_thought_is_gone_goes_on_without_thinking() {
    let in_loop = |before: Vec<Part<'static>>| {
        let mut parts = before;
        parts.push(call("a", "n", "{}"));
        let turns = vec![user(vec![Part::text("go")]), model(parts), user(vec![result("a")])];
        Request { reasoning: Some(Reasoning::Budget(2_000)), ..asks(turns) }
    };
    for (model, request, thinks, lost) in [
        ("m", in_loop(vec![]), false, vec!["reasoning_effort"]),
        ("m", in_loop(vec![thought(Api::Generate)]), false, vec!["thinking", "reasoning_effort"]),
        ("m", in_loop(vec![thought(Api::Messages)]), true, vec![]),
        // Adaptive thinking doesn't ask for a thought in front.
        ("claude-opus-4-7", in_loop(vec![]), true, vec![]),
    ] {
        let (body, is_lost) = to(model, &request);
        assert_eq!(body["thinking"]["type"] != "disabled", thinks, "{model}");
        assert_eq!(is_lost, lost);
    }
    // A loop that is over needs none.
    let mut over = in_loop(vec![]);
    over.turns.extend([model(vec![Part::text("x")]), user(vec![Part::text("and now?")])]);
    assert_eq!(to("m", &over).0["thinking"]["type"], "enabled");
}

#[test]
fn only_anthropics_own_thoughts_go_back_and_never_last() {
    let request = asks(vec![
        user(vec![Part::text("go")]),
        model(vec![thought(Api::Messages), thought(Api::Responses), Part::text("so")]),
        user(vec![Part::text("and?")]),
        model(vec![thought(Api::Messages)]),
        user(vec![Part::text("well?")]),
    ]);
    let written = write(&request);
    let messages = json(&written.body)["messages"].take();
    assert_eq!(
        messages[1]["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "so"}])
    );
    assert_eq!(messages.as_array().map(Vec::len), Some(3), "a turn of a thought alone is none");
    assert_eq!(written.lost, ["thinking"]);
    let off = Request { reasoning: Some(Reasoning::Off), ..request };
    assert_eq!(said(&off)[1]["content"][0]["type"], "text");
}

#[test]
fn at_most_four_marks_are_kept_and_those_the_last() {
    let marked = |text: &'static str| Part::Text(Text { text: text.into(), ends_cache: true });
    let request = |count: usize| asks(vec![user((0..count).map(|_| marked("x")).collect())]);
    for (count, first, lost) in [(4, true, vec![]), (5, false, vec!["cache_control"])] {
        let written = write(&request(count));
        let content = json(&written.body)["messages"][0]["content"].take();
        assert_eq!(content[0]["cache_control"].is_object(), first);
        let marks = content.as_array().expect("blocks").iter().filter(|it| it["cache_control"].is_object());
        assert_eq!((marks.count(), written.lost), (4, lost));
    }
}

#[test]
fn media_are_written_as_they_are_taken() {
    let media = |kind, source| Part::Media(Media { kind, source, name: Some("N".into()), ends_cache: false });
    let inline = |media_type: &'static str, data: &'static str| Source::Inline {
        media_type: media_type.into(),
        data: data.into(),
    };
    let url = || Source::Url { url: "https://x".into(), media_type: None };
    let (image, document) = (MediaKind::Image, MediaKind::Document);
    for (part, expected) in [
        (
            media(image, inline("image/jpg", "aGk=")),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}}),
        ),
        (media(image, url()), json!({"type": "image", "source": {"type": "url", "url": "https://x"}})),
        (
            media(document, inline("application/pdf", "aGk=")),
            json!({"type": "document", "title": "N", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}),
        ),
        (
            media(document, inline("text/markdown", "aGk=")),
            json!({"type": "document", "title": "N", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}),
        ),
        (
            media(document, url()),
            json!({"type": "document", "title": "N", "source": {"type": "url", "url": "https://x"}}),
        ),
    ] {
        assert_eq!(said(&asks(vec![user(vec![part])]))[0]["content"][0], expected);
    }
    for part in [
        media(image, inline("image/tiff", "aGk=")),
        media(document, inline("application/zip", "aGk=")),
        media(MediaKind::Audio, url()),
    ] {
        assert!(refused(&asks(vec![user(vec![part])])).starts_with("this provider takes"));
    }
}

#[test]
fn users_and_stops_are_kept_within_bounds() {
    let request =
        |user: String| Request { user: Some(user.into()), stop: vec!["END".into(), "\n".into()], ..hi() };
    let written = write(&request("u".repeat(256)));
    assert_eq!(json(&written.body)["stop_sequences"], json!(["END"]));
    assert_eq!(written.lost, ["stop"]);
    assert_eq!(write(&request("u".repeat(257))).lost, ["stop", "user"]);
}

#[test]
fn what_is_read_is_written_again() {
    let body = conversation(
        r#"[{"role":"user","content":[{"type":"text","text":"go","cache_control":{"type":"ephemeral"}}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},
            {"type":"tool_use","id":"t","name":"n","input":{"a":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"r"}],"is_error":true}]}]"#,
    );
    assert_eq!(said(&read(&body)), json(body.as_bytes())["messages"]);
}
