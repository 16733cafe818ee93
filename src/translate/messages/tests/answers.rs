//! Whole answers.

use super::{ASKED, json};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Answer, Call, Finish, Part, Signature, Thought};
use crate::translate::disguise::Disguise;
use crate::translate::messages::{drop_cut_call, read_answer, write_answer};
use crate::translate::sides::Written;
use crate::translate::signs::Api;
use crate::translate::spoilt::Spoilt;
use serde_json::json;

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[
    {"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"d"},
    {"type":"text","text":"Hé","citations":null},
    {"type":"server_tool_use","id":"x","name":"web_search","input":{}},
    {"type":"tool_use","id":"t","name":"n","input":{ "a": 1e0 },"caller":{"type":"direct"}}],
    "stop_reason":"tool_use","stop_sequence":null,"container":null,
    "usage":{"input_tokens":3,"cache_creation_input_tokens":4,"cache_read_input_tokens":5,"output_tokens":6,
    "output_tokens_details":{"thinking_tokens":2},"service_tier":"standard"}}"#;

fn signed(text: &'static str) -> Option<Signature<'static>> {
    Some(Signature { maker: Api::Messages, text: text.into() })
}

fn answer(parts: Vec<Part<'_>>) -> Answer<'_> {
    Answer { id: "a".into(), model: "m".into(), parts, finish: Finish::Stop, usage: TokenUsage::default() }
}

/// A call of nothing in particular.
fn call() -> Call<'static> {
    let (id, name) = ("t".into(), "n".into());
    Call { id, name, arguments: "{}".into(), signature: None, ends_cache: false }
}

#[test]
fn a_providers_answer_is_read_whole() {
    let call = Call {
        id: "t".into(),
        name: "n".into(),
        arguments: r#"{ "a": 1e0 }"#.into(),
        signature: None,
        ends_cache: false,
    };
    assert_eq!(
        read_answer(ANSWER.as_bytes()),
        Ok(Answer {
            id: "msg_1".into(),
            model: "claude".into(),
            parts: vec![
                Part::Thought(Thought { text: "hm".into(), signature: signed("s"), is_redacted: false }),
                Part::Thought(Thought { text: "".into(), signature: signed("d"), is_redacted: true }),
                Part::text("Hé"),
                Part::Call(call),
            ],
            finish: Finish::ToolCalls,
            usage: TokenUsage { input: 3, cache_read: 5, cache_write: 4, output: 6, reasoning: 2 },
        })
    );
}

#[test]
fn a_call_that_the_limit_cut_short_is_left_out() {
    for (reason, parts) in [("max_tokens", 1), ("tool_use", 2)] {
        let body = format!(
            r#"{{"stop_reason":"{reason}","content":[{{"type":"text","text":"a"}},{{"type":"tool_use","id":"t","name":"n","input":{{}}}}]}}"#
        );
        let mut answer = read_answer(body.as_bytes()).expect("an answer");
        drop_cut_call(&mut answer);
        assert_eq!(answer.parts.len(), parts);
    }
}

#[test]
fn an_answer_by_our_tool_that_the_limit_cut_short_is_given_as_far_as_it_came() {
    let body = r#"{"stop_reason":"max_tokens","content":[{"type":"tool_use","id":"t","name":"answer","input":{"a":1}}]}"#;
    let mut answer = read_answer(body.as_bytes()).expect("an answer");
    let mut written = Written { answers_by: Some("answer".to_owned()), ..Written::default() };
    Disguise::of(&mut written).undo(&mut answer);
    drop_cut_call(&mut answer);
    assert_eq!((answer.parts, answer.finish), (vec![Part::text(r#"{"a":1}"#)], Finish::Length));
}

#[test]
fn what_is_no_answer_is_not_understood() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"type":"error","error":{"type":"api_error"}}"#,
        r#"{"content":[{"type":"text"}]}"#,
    ] {
        assert_eq!(read_answer(body.as_bytes()), Err(Spoilt::FOREIGN), "{body}");
    }
}

#[test]
fn an_answer_is_written_as_it_was_read() {
    let answer = read_answer(ANSWER.as_bytes()).expect("an answer");
    let written = write_answer(&answer, &ASKED);
    assert_eq!(read_answer(&written), Ok(answer));
    assert!(String::from_utf8_lossy(&written).contains(r#""input":{ "a": 1e0 }"#), "byte for byte");
    assert_eq!(json(&written)["type"], "message");
}

#[test]
fn the_id_is_the_providers_or_the_requests() {
    for (id, expected) in [("chatcmpl-1", "msg_chatcmpl-1"), ("msg_2", "msg_2"), ("", "msg_req-1")] {
        let answer = Answer { id: id.into(), ..answer(vec![]) };
        assert_eq!(json(&write_answer(&answer, &ASKED))["id"], expected);
    }
}

#[test]
fn others_signatures_are_wrapped_and_a_calls_own_goes_in_front() {
    let foreign = || Some(Signature { maker: Api::Generate, text: "g".into() });
    let call = Call { signature: foreign(), ..call() };
    let parts = vec![
        Part::Thought(Thought { text: "hm".into(), signature: foreign(), is_redacted: false }),
        Part::Thought(Thought { text: "".into(), signature: foreign(), is_redacted: true }),
        Part::Thought(Thought { text: "un".into(), signature: None, is_redacted: false }),
        Part::Call(call),
    ];
    let content = json(&write_answer(&answer(parts), &ASKED))["content"].take();
    assert_eq!(
        content,
        json!([{"type": "thinking", "thinking": "hm", "signature": "cliproxy:generate:g"},
            {"type": "redacted_thinking", "data": "cliproxy:generate:g"},
            {"type": "thinking", "thinking": "un", "signature": ""},
            {"type": "thinking", "thinking": "", "signature": "cliproxy:generate:g"},
            {"type": "tool_use", "id": "t", "name": "n", "input": {}}])
    );
}

#[test]
fn arguments_that_are_no_object_never_corrupt_the_answer() {
    for arguments in ["{\"a\":", "[1]", "7"] {
        let call = Call { arguments: arguments.into(), ..call() };
        let written = write_answer(&answer(vec![Part::Call(call)]), &ASKED);
        assert_eq!(json(&written)["content"][0]["input"], json!({"INVALID_JSON": arguments}));
    }
}

#[test]
fn a_stop_sequence_is_told_where_it_is_known() {
    for (sequence, expected) in [(Some("END"), json!("END")), (None, json!(null))] {
        let finish = Finish::StopSequence(sequence.map(Into::into));
        let written = json(&write_answer(&Answer { finish, ..answer(vec![]) }, &ASKED));
        assert_eq!(
            (&written["stop_reason"], &written["stop_sequence"]),
            (&json!("stop_sequence"), &expected)
        );
    }
}
