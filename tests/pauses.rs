//! Streams that pause, or say their last word before the last event: what a provider sends keeps its clock running, however
//! little of it the client gets, and nothing that was said is lost.

use crate::support::{BodyEnd, Canned, Gateway, Question};
use cliproxy::domain::Dialect;
use std::io::Write;
use std::thread::sleep;
use std::time::Duration;

const HEADER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// Between two pieces of a stream.
const PAUSE: Duration = Duration::from_millis(250);

/// A provider whose stream is these frames of JSON, each a pause after the one before.
fn slow(frames: Vec<String>) -> Canned {
    Canned::serving(move |stream, _| {
        let _ = stream.write_all(HEADER.as_bytes());
        for frame in &frames {
            // A client that has gone needs no more.
            let _ = stream.write_all(format!("data: {frame}\n\n").as_bytes());
            sleep(PAUSE);
        }
    })
}

/// Providers, in the order in which they are to be asked, behind a gateway.
fn gateway(operations: &str, providers: &[String]) -> Gateway {
    Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}, operations: {{{operations}}}}}\nproviders:\n{}",
        providers.concat()
    ))
}

/// What the client gets, and how it ends.
fn ask(gateway: &Gateway, dialect: Dialect) -> (String, BodyEnd) {
    let answer = Question::new(dialect, "m").streamed().ask(gateway);
    (answer.text(), answer.end)
}

fn text_of_openai(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#)
}

fn texts_of_anthropic(texts: &[&str]) -> Vec<String> {
    let start = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let delta = |text: &&str| {
        format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
        )
    };
    [start.to_owned(), block.to_owned()].into_iter().chain(texts.iter().map(delta)).collect()
}

fn end_of_anthropic() -> [String; 3] {
    [
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .map(str::to_owned)
}

#[test]
fn pings_keep_a_translated_stream_alive() {
    let pings = std::iter::repeat_n(r#"{"type":"ping"}"#.to_owned(), 6);
    let frames = texts_of_anthropic(&["walnut"]).into_iter().chain(pings).chain(end_of_anthropic()).collect();
    let provider = slow(frames);
    let yaml = provider.yaml("p", Dialect::Anthropic, &["models: [m]", "timeouts: {idle: 1s}"]);
    let (answer, end) = ask(&gateway("", &[yaml]), Dialect::OpenAi);
    assert!(answer.contains("[DONE]"), "{answer}");
    assert_eq!(end, BodyEnd::Clean);
}

#[test]
fn so_do_the_pieces_of_a_call_that_is_held_until_it_is_whole() {
    let call = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{delta}]}}}}]}}"#);
    let piece = |text: &str| call(&format!(r#"{{"index":0,"function":{{"arguments":"{text}"}}}}"#));
    let mut frames = vec![
        text_of_openai("walnut"),
        call(r#"{"index":0,"id":"call_1","function":{"name":"write_file","arguments":""}}"#),
        piece(r#"{\"text\":\""#),
    ];
    frames.extend(std::iter::repeat_n(piece("word "), 5));
    frames.push(piece(r#"\"}"#));
    frames.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned());
    frames.push("[DONE]".to_owned());
    let provider = slow(frames);
    let yaml = provider.yaml("p", Dialect::OpenAi, &["models: [m]", "timeouts: {idle: 1s}"]);
    let (answer, end) = ask(&gateway("", &[yaml]), Dialect::Gemini);
    assert!(answer.contains("word word word word word "), "{answer}");
    assert_eq!(end, BodyEnd::Clean);
}

#[test]
fn what_follows_a_reason_to_stop_of_gemini_is_not_lost() {
    let event = |text: &str, more: &str| {
        format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":"{text}"}}]}}{more}}}]}}"#)
    };
    let stop = r#","finishReason":"STOP""#;
    // As after code that ran: a pause of more than a second.
    let mut frames = vec![event("acorn ", stop)];
    frames.extend(std::iter::repeat_n(": thinking".to_owned(), 6));
    frames.extend([event("and ", ""), event("walnut", stop)]);
    for client in [Dialect::Gemini, Dialect::OpenAi, Dialect::Anthropic] {
        let silent = frames.clone();
        let provider = Canned::serving(move |stream, _| {
            let _ = stream.write_all(HEADER.as_bytes());
            for frame in &silent {
                if !frame.starts_with(':') {
                    let _ = stream.write_all(format!("data: {frame}\n\n").as_bytes());
                }
                sleep(PAUSE);
            }
        });
        let gateway = gateway("", &[provider.yaml("p", Dialect::Gemini, &["models: [m]"])]);
        let (answer, end) = ask(&gateway, client);
        assert!(answer.contains("walnut"), "{client}: {answer}");
        assert_eq!(end, BodyEnd::Clean, "{client}");
    }
}

/// The first breaks off after three words; the second is this one.
fn recovered(second: &str) -> Gateway {
    let first = Canned::answering(format!("{HEADER}data: {}\n\n", text_of_openai("acorn beech chestnut")));
    let first = Box::leak(Box::new(first)).yaml("first", Dialect::OpenAi, &["models: [m]", "priority: 1"]);
    gateway("retry: {stream_recovery: match}, streaming: {keepalive: 400ms}", &[first, second.to_owned()])
}

#[test]
fn a_successor_that_says_something_else_does_not_end_the_answer() {
    // The end is in one read with the reason to stop.
    let frames: Vec<_> = texts_of_anthropic(&["acorn beech"]).into_iter().chain(end_of_anthropic()).collect();
    let frames: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    for at_once in [true, false] {
        let frames = frames.clone();
        let second = Canned::serving(move |stream, _| {
            let cut =
                if at_once { frames.len() } else { frames.find(r#"data: {"type":"message_stop"#).unwrap() };
            let _ = stream.write_all(format!("{HEADER}{}", &frames[..cut]).as_bytes());
            sleep(PAUSE);
            let _ = stream.write_all(&frames.as_bytes()[cut..]);
        });
        let gateway = recovered(&second.yaml("second", Dialect::Anthropic, &["models: [m]", "priority: 2"]));
        let (answer, end) = ask(&gateway, Dialect::OpenAi);
        assert!(!answer.contains("[DONE]"), "{answer}");
        assert!(answer.contains("\"error\""), "{answer}");
        assert_eq!(end, BodyEnd::Aborted);
    }
}

#[test]
fn a_client_is_kept_company_while_a_successor_repeats_what_it_has() {
    let mut frames: Vec<_> = ["acorn", " beech", " chest", "nu", "t", " walnut"].map(text_of_openai).into();
    frames.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned());
    frames.push("[DONE]".to_owned());
    let second = slow(frames);
    let gateway = recovered(&second.yaml("second", Dialect::OpenAi, &["models: [m]", "priority: 2"]));
    let (answer, end) = ask(&gateway, Dialect::OpenAi);
    assert!(answer.contains("walnut") && answer.contains("[DONE]"), "{answer}");
    assert!(answer.contains(": keep-alive"), "{answer}");
    assert_eq!(end, BodyEnd::Clean);
}
