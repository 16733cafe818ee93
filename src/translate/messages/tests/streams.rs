//! Streams in both directions.

use super::{ASKED, decoded, encoded, frames};
use crate::domain::TokenUsage;
use crate::translate::canonical::{Event, Finish, Signature};
use crate::translate::messages::{Decoder, Encoder};
use crate::translate::signs::Api;
use serde_json::{Value, json};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":9,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
const STOP: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":60}}"#;
const END: &str = r#"{"type":"message_stop"}"#;

fn block(start: &str, deltas: &[&str]) -> Vec<String> {
    let start = format!(r#"{{"type":"content_block_start","index":0,"content_block":{start}}}"#);
    let deltas =
        deltas.iter().map(|delta| format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#));
    let stop = r#"{"type":"content_block_stop","index":0}"#.to_owned();
    std::iter::once(start).chain(deltas).chain([stop]).collect()
}

fn events_of(start: &str, deltas: &[&str]) -> Vec<String> {
    let block = block(start, deltas);
    let begun = decoded(&[START]).len();
    let frames: Vec<_> = std::iter::once(START).chain(block.iter().map(String::as_str)).collect();
    decoded(&frames).split_off(begun)
}

fn shown(events: &[Event<'_>]) -> Vec<String> {
    events.iter().map(|event| format!("{event:?}")).collect()
}

fn start() -> Event<'static> {
    Event::Start { id: "x".into(), model: "m".into() }
}

fn call(signature: Option<Signature<'static>>) -> Event<'static> {
    Event::Call { id: "t".into(), name: "n".into(), signature }
}

/// Frames in short: the type, the index, and what it is about.
fn brief(frames: &[Value]) -> Vec<String> {
    let brief = frames.iter().map(|frame| {
        let about =
            [&frame["content_block"]["type"], &frame["delta"]["type"], &frame["delta"]["stop_reason"]];
        let about = about.into_iter().find_map(Value::as_str).unwrap_or("");
        format!("{} {} {about}", frame["type"].as_str().expect("type"), frame["index"])
    });
    brief.collect()
}

#[test]
fn input_is_counted_first_and_output_last() {
    let before = TokenUsage { input: 9, cache_read: 2, output: 1, ..TokenUsage::default() };
    assert_eq!(
        decoded(&[START, r#"{"type":"ping"}"#, STOP, END]),
        shown(&[
            Event::Start { id: "msg_1".into(), model: "claude".into() },
            Event::Usage(before),
            Event::Usage(TokenUsage { output: 60, ..before }),
            Event::Finish(Finish::Stop),
            Event::End,
        ])
    );
}

#[test]
fn every_kind_of_block_is_told_in_pieces() {
    let own = |text: &'static str| Signature { maker: Api::Messages, text: text.into() };
    for (start, deltas, events) in [
        (
            r#"{"type":"text","text":""}"#,
            &[
                r#"{"type":"text_delta","text":"H\u00e9"}"#,
                r#"{"type":"citations_delta","citation":{"type":"char_location"}}"#,
            ][..],
            vec![Event::Text("Hé".into())],
        ),
        (
            r#"{"type":"thinking","thinking":"","signature":""}"#,
            &[
                r#"{"type":"thinking_delta","thinking":"hm"}"#,
                r#"{"type":"signature_delta","signature":"s"}"#,
            ],
            vec![Event::Thought("hm".into()), Event::ThoughtSignature(own("s"))],
        ),
        (r#"{"type":"redacted_thinking","data":"d"}"#, &[], vec![Event::Redacted(own("d"))]),
        (
            r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#,
            &[
                r#"{"type":"input_json_delta","partial_json":""}"#,
                r#"{"type":"input_json_delta","partial_json":"{\"a\": "}"#,
                r#"{"type":"input_json_delta","partial_json":"1}"}"#,
            ],
            vec![call(None), Event::Arguments("{\"a\": ".into()), Event::Arguments("1}".into())],
        ),
        (
            r#"{"type":"tool_use","id":"t","name":"n","input":{ "a":1}}"#,
            &[],
            vec![call(None), Event::Arguments(r#"{ "a":1}"#.into())],
        ),
        (
            r#"{"type":"server_tool_use","id":"t","name":"web_search","input":{}}"#,
            &[r#"{"type":"input_json_delta","partial_json":"{}"}"#],
            vec![],
        ),
        (r#"{"type":"web_search_tool_result","tool_use_id":"t","content":[]}"#, &[], vec![]),
    ] {
        assert_eq!(events_of(start, deltas), shown(&events), "{start}");
    }
}

#[test]
fn a_stream_that_had_its_reason_ends_and_a_torn_one_does_not() {
    assert_eq!(decoded(&[START, STOP]).last().map(String::as_str), Some("End"));
    assert!(!decoded(&[START]).contains(&"End".to_owned()));
    let ends = decoded(&[START, STOP, END]).iter().filter(|event| *event == "End").count();
    assert_eq!(ends, 1);
}

#[test]
fn a_stream_begins_once_and_ends_once_with_nothing_behind_it() {
    let text = block(r#"{"type":"text","text":"a"}"#, &[]);
    let heard = |frames: &[&str]| {
        let events = decoded(frames).into_iter();
        events.filter(|event| !event.starts_with("Usage")).collect::<Vec<_>>()
    };
    let own = heard(&[START, &text[0], STOP, END]);
    assert_eq!(heard(&[START, START, &text[0], STOP, &text[0], STOP, START, END, END]), own);
    assert_eq!(heard(&[START, END]), heard(&[START]), "an end without a reason is none");
    let start = Event::Start { id: "".into(), model: "".into() };
    assert_eq!(heard(&[&text[0], START])[..2], shown(&[start, Event::Text("a".into())]));
}

#[test]
fn pieces_of_another_kind_than_their_block_are_nobodys() {
    let call = r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#;
    let text = r#"{"type":"text_delta","text":"a"}"#;
    let arguments = r#"{"type":"input_json_delta","partial_json":"{}"}"#;
    assert_eq!(events_of(call, &[text, arguments, text]), events_of(call, &[arguments]));
    let words = r#"{"type":"text","text":""}"#;
    assert_eq!(events_of(words, &[arguments, text]), events_of(words, &[text]));
    for nobodys in [r#"{"type":"tool_use","id":"","name":"n"}"#, r#"{"type":"tool_use","id":"t","name":""}"#]
    {
        let mut decoder = Decoder::default();
        let mut none = |event: Event<'_>| panic!("{event:?}");
        assert!(decoder.see(START.as_bytes(), &mut |_| {}));
        let frames = block(nobodys, &[arguments]).into_iter();
        let understood: Vec<_> = frames.map(|frame| decoder.see(frame.as_bytes(), &mut none)).collect();
        assert_eq!(understood, [false, true, true], "{nobodys}");
    }
}

#[test]
fn a_call_without_arguments_has_an_empty_object_unless_the_limit_cut_it_short() {
    let bare = block(r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#, &[]);
    let text = block(r#"{"type":"text","text":"a"}"#, &[]);
    let length = STOP.replace("end_turn", "max_tokens");
    let has_object = |frames: &[&str]| decoded(frames).contains(&shown(&[Event::Arguments("{}".into())])[0]);
    assert!(has_object(&[START, &bare[0], &bare[1], STOP]));
    assert!(
        has_object(&[START, &bare[0], &bare[1], &text[0], &length]),
        "what follows it says that it is whole"
    );
    assert!(!has_object(&[START, &bare[0], &bare[1], &length]));
    assert!(!has_object(&[START, &bare[0], &length]));
}

#[test]
fn a_piece_of_a_call_that_is_lost_breaks_the_stream() {
    let called = block(
        r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#,
        &[r#"{"type":"input_json_delta","partial_json":"{}"}"#],
    );
    let (start, piece, stop) = (called[0].as_str(), called[1].as_str(), called[2].as_str());
    let text = block(r#"{"type":"text","text":"a"}"#, &[]);
    let nameless = block(r#"{"type":"tool_use","name":"n"}"#, &[]);
    for (frames, is_broken) in [
        (vec![START, start, "{", piece, stop, STOP, END], true),
        (vec![START, start, r#"{"type":"content_block_delta"}"#, piece, stop, STOP, END], true),
        (vec![START, "{", piece, stop, STOP, END], true),
        (vec![START, &nameless[0], stop, STOP, END], true),
        (vec![START, start, piece, stop, "{", STOP, END], false),
        (vec![START, "{", &text[0], "{", stop, "{", start, piece, stop, STOP, "{", END], false),
    ] {
        let (mut decoder, mut heard) = (Decoder::default(), Vec::new());
        for frame in &frames {
            decoder.see(frame.as_bytes(), &mut |event| heard.push(format!("{event:?}")));
        }
        decoder.finish(&mut |event| heard.push(format!("{event:?}")));
        assert_eq!(decoder.spoilt().is_some(), is_broken, "{frames:?}");
        let has_ended = heard.iter().any(|event| event.starts_with("Finish") || event == "End");
        assert_eq!(has_ended, !is_broken, "{heard:?}");
    }
}

#[test]
fn bad_events_are_skipped_and_new_ones_say_nothing() {
    let mut decoder = Decoder::default();
    assert!(decoder.see(START.as_bytes(), &mut |_| {}));
    let mut none = |event: Event<'_>| panic!("{event:?}");
    for (data, is_understood) in [
        ("{", false),
        ("", false),
        (r#"{"type":"content_block_delta","index":0}"#, false),
        (r#"{"type":"content_block_start","content_block":{"type":"tool_use"}}"#, false),
        (r#"{"type":"brand_new","delta":{"text":"x"}}"#, true),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, true),
    ] {
        assert_eq!(decoder.see(data.as_bytes(), &mut none), is_understood, "{data}");
    }
}

#[test]
fn a_clients_stream_has_one_block_open_at_a_time() {
    let usage = TokenUsage { input: 3, output: 4, ..TokenUsage::default() };
    let frames = encoded(&[
        start(),
        Event::Usage(TokenUsage { input: 3, ..TokenUsage::default() }),
        Event::Thought("hm".into()),
        Event::ThoughtSignature(Signature { maker: Api::Messages, text: "s".into() }),
        Event::Text("a".into()),
        Event::Text("".into()),
        Event::Text("b".into()),
        call(None),
        Event::Arguments("{}".into()),
        call(None),
        Event::Finish(Finish::ToolCalls),
        Event::Usage(usage),
        Event::End,
    ]);
    assert_eq!(
        brief(&frames),
        [
            "message_start null ",
            "content_block_start 0 thinking",
            "content_block_delta 0 thinking_delta",
            "content_block_delta 0 signature_delta",
            "content_block_stop 0 ",
            "content_block_start 1 text",
            "content_block_delta 1 text_delta",
            "content_block_delta 1 text_delta",
            "content_block_stop 1 ",
            "content_block_start 2 tool_use",
            "content_block_delta 2 input_json_delta",
            "content_block_stop 2 ",
            "content_block_start 3 tool_use",
            "content_block_stop 3 ",
            "message_delta null tool_use",
            "message_stop null ",
        ]
    );
    assert_eq!(frames[0]["message"]["id"], "msg_x");
    assert_eq!(
        frames[0]["message"]["usage"]["input_tokens"], 3,
        "what follows the start at once is in the opening"
    );
    assert_eq!(frames[9]["content_block"], json!({"type": "tool_use", "id": "t", "name": "n", "input": {}}));
    assert_eq!(frames[14]["usage"]["output_tokens"], 4);
}

#[test]
fn others_signatures_travel_wrapped() {
    let foreign = Signature { maker: Api::Generate, text: "g".into() };
    let frames = encoded(&[start(), Event::Redacted(foreign.clone()), call(Some(foreign))]);
    assert_eq!(
        brief(&frames)[1..],
        [
            "content_block_start 0 redacted_thinking",
            "content_block_stop 0 ",
            "content_block_start 1 thinking",
            "content_block_delta 1 signature_delta",
            "content_block_stop 1 ",
            "content_block_start 2 tool_use",
        ]
    );
    assert_eq!(frames[1]["content_block"]["data"], "cliproxy:generate:g");
    assert_eq!(frames[4]["delta"]["signature"], "cliproxy:generate:g");
}

#[test]
fn an_end_without_a_reason_invents_none() {
    let frames = encoded(&[start(), Event::Text("a".into()), Event::End]);
    assert_eq!(brief(&frames).last().map(String::as_str), Some("content_block_delta 0 text_delta"));
}

#[test]
fn what_a_stream_says_comes_through_both_ways_the_same() {
    let mut input = vec![START.to_owned()];
    input.extend(block(
        r#"{"type":"thinking","thinking":""}"#,
        &[r#"{"type":"thinking_delta","thinking":"hm"}"#, r#"{"type":"signature_delta","signature":"s"}"#],
    ));
    input.extend(block(r#"{"type":"text","text":""}"#, &[r#"{"type":"text_delta","text":"a"}"#]));
    input.extend(block(r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#, &[]));
    input.extend([STOP.to_owned(), END.to_owned()]);
    let (mut decoder, mut encoder, mut out) = (Decoder::default(), Encoder::new(&ASKED), Vec::new());
    for frame in &input {
        assert!(decoder.see(frame.as_bytes(), &mut |event| encoder.put(&event, &mut out)));
    }
    let again: Vec<String> = frames(&out).iter().map(Value::to_string).collect();
    let events = decoded(&again.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(events, decoded(&input.iter().map(String::as_str).collect::<Vec<_>>()));
}
