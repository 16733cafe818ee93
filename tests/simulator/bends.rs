//! Scenarios in which an answer comes, but not as it should: what each does in each dialect.

use crate::support::{BodyEnd, Client, Event, Question, Response, error_message};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{ANSWER, Ending, Options, Simulator};
use std::io::Read;

fn simulator() -> Simulator {
    Simulator::start(Options::default()).expect("a free port")
}

/// Asks on a connection of its own.
fn ask(simulator: &Simulator, question: &Question) -> Response {
    question.to(&Client::new(simulator.address())).send().expect(200)
}

/// The first words of the answer.
fn first(words: usize) -> String {
    ANSWER.split(' ').take(words).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_only_odd_carries_the_whole_answer() {
    let simulator = simulator();
    for model in [
        "fault-header-bytes",
        "fault-split-1",
        "fault-one-read",
        "fault-crlf",
        "fault-comments",
        "fault-big-event",
        "fault-close",
        "fault-dead-pool",
        "fault-long-length",
        "no-prefill",
    ] {
        for dialect in Dialect::ALL {
            for question in Question::both_ways(dialect, model) {
                let answer = ask(&simulator, &question);
                assert_eq!(question.words(&answer), ANSWER, "{model} in {dialect}");
                assert_eq!(answer.end, BodyEnd::Clean, "{model} in {dialect}");
            }
        }
    }
}

#[test]
fn a_stream_may_have_comments_crlf_and_a_large_event() {
    let simulator = simulator();
    for dialect in Dialect::ALL {
        let body = |model: &str| ask(&simulator, &Question::new(dialect, model).streamed()).text();
        let plain = body("m");
        let bare = |text: &str| text.replace("\r\n", "").contains('\n');
        assert!(!bare(&body("fault-crlf")), "{dialect}");
        let comments = body("fault-comments").matches(": still here").count();
        assert_eq!(comments, plain.matches("data: ").count(), "{dialect}");
        assert!(body("fault-big-event").len() > 5 << 20, "{dialect}");
        assert!(
            ask(&simulator, &Question::new(dialect, "fault-big-event")).body.len() > 5 << 20,
            "{dialect}"
        );
    }
}

#[test]
fn a_torn_answer_has_forty_words_and_no_end() {
    let simulator = simulator();
    for model in ["fault-s08", "fault-s14"] {
        for dialect in Dialect::ALL {
            for question in Question::both_ways(dialect, model) {
                let torn = ask(&simulator, &question);
                assert_eq!(torn.end, BodyEnd::Aborted, "{model} in {dialect}");
                assert!(torn.text().contains(" needle") && !torn.text().contains(" nest"), "{model}");
                let again = ask(&simulator, &question);
                assert_eq!(again.end == BodyEnd::Clean, model == "fault-s14", "{model} in {dialect}");
            }
            let torn = Question::new(dialect, "fault-s08").streamed();
            assert_eq!(torn.words(&ask(&simulator, &torn)), first(40), "{dialect}");
        }
    }
    let broken = |ending| matches!(ending, Ending::Broken(_));
    assert!(broken(simulator.transcript()[0].ending));
}

#[test]
fn one_broken_event_costs_its_word_alone() {
    let simulator = simulator();
    for (dialect, before) in [(Dialect::OpenAi, 8), (Dialect::Anthropic, 6), (Dialect::Gemini, 9)] {
        let question = Question::new(dialect, "fault-s10").streamed();
        let answer = ask(&simulator, &question);
        let begin = first(before);
        let rest = &ANSWER[first(before + 1).len()..];
        assert_eq!(question.words(&answer), [begin.as_str(), rest].concat(), "{dialect}");
        let events = Event::all(&answer.body);
        assert!(serde_json::from_str::<serde_json::Value>(&events[9].data).is_err(), "{dialect}");
        let plain = Question::new(dialect, "fault-s10");
        assert_eq!(plain.words(&ask(&simulator, &plain)), ANSWER, "{dialect}");
    }
}

/// What a stream of each dialect has at its end: the finish reason, and the end marker (Gemini has none).
const ENDS: [(Dialect, &str, Option<&str>); 3] = [
    (Dialect::OpenAi, r#""finish_reason":"stop""#, Some("[DONE]")),
    (Dialect::Anthropic, r#""stop_reason":"end_turn""#, Some("message_stop")),
    (Dialect::Gemini, r#""finishReason":"STOP""#, None),
];

#[test]
fn a_stream_without_its_end_is_still_good_http() {
    let simulator = simulator();
    for (dialect, reason, marker) in ENDS {
        for (model, is_finished) in [("fault-s11", false), ("fault-s11-finished", true), ("m", true)] {
            let question = Question::new(dialect, model).streamed();
            let answer = ask(&simulator, &question);
            assert_eq!((question.words(&answer).as_str(), answer.end), (ANSWER, BodyEnd::Clean), "{dialect}");
            assert_eq!(answer.text().contains(reason), is_finished, "{model} in {dialect}");
            let is_marked = marker.is_some_and(|marker| answer.text().contains(marker));
            assert_eq!(is_marked, model == "m" && marker.is_some(), "{model} in {dialect}");
        }
        let plain = Question::new(dialect, "fault-s11");
        let answer = ask(&simulator, &plain);
        assert_eq!((plain.words(&answer).as_str(), answer.header("content-length")), (ANSWER, None));
    }
}

#[test]
fn errors_inside_a_200_stand_where_the_scenario_has_them() {
    let simulator = simulator();
    // The events before the error in each dialect, none where the body is the error; the words before it.
    let rows: [(&str, Option<[usize; 3]>, usize); 4] = [
        ("fault-error-in-200", None, 0),
        ("fault-error-first", Some([0, 0, 0]), 0),
        ("fault-error-after-role", Some([1, 1, 0]), 0),
        ("fault-error-late", Some([21, 23, 20]), 20),
    ];
    for (model, places, words) in rows {
        for (column, dialect) in Dialect::ALL.into_iter().enumerate() {
            let [plain, streamed] = Question::both_ways(dialect, model);
            let whole = ask(&simulator, &plain);
            if words > 0 {
                assert_eq!(plain.words(&whole), ANSWER, "{model} in {dialect}");
            } else {
                error_message(dialect, &whole.json());
            }
            let answer = ask(&simulator, &streamed);
            assert_eq!(answer.end, BodyEnd::Clean, "{model} in {dialect}");
            let Some(places) = places else {
                assert_eq!(answer.header("content-type"), Some("application/json"), "{dialect}");
                error_message(dialect, &answer.json());
                continue;
            };
            let events = Event::all(&answer.body);
            assert_eq!(events.len(), places[column] + 1, "{model} in {dialect}");
            error_message(dialect, &events[places[column]].json());
            assert_eq!(streamed.words_of(&events), first(words), "{model} in {dialect}");
        }
    }
}

#[test]
fn codings_that_nobody_asked_for_can_be_read() {
    let simulator = simulator();
    let decoded = |coding: &str, body: &[u8]| {
        let mut text = Vec::new();
        let mut decoder: Box<dyn Read> = match coding {
            "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
            "deflate" => Box::new(flate2::read::ZlibDecoder::new(body)),
            "zstd" => Box::new(zstd::Decoder::new(body).expect("a decoder")),
            _ => Box::new(brotli::Decompressor::new(body, 4_096)),
        };
        let _ = decoder.read_to_end(&mut text);
        text
    };
    for coding in ["gzip", "deflate", "zstd", "br"] {
        for dialect in Dialect::ALL {
            for question in Question::both_ways(dialect, &format!("fault-{coding}")) {
                let answer = ask(&simulator, &question);
                assert_eq!(answer.header("content-encoding"), Some(coding));
                let body = decoded(coding, &answer.body);
                let plain = Response { body, ..answer };
                assert_eq!(question.words(&plain), ANSWER, "{coding} in {dialect}");
            }
            let question = Question::new(dialect, &format!("fault-{coding}")).streamed();
            let client = Client::new(simulator.address());
            let first = question.to(&client).open().next_bytes().expect("a chunk");
            let event = Event::all(&decoded(coding, &first));
            assert_eq!(event.len(), 1, "the first event of {coding} can be read before the second is there");
        }
    }
}
