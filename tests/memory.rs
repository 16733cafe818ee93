//! What is held of requests and answers has a bound, which costs no answer; and memory is given back.

use crate::support::{Canned, Gateway, Provider, Question, eventually_within};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Latency, Options};
use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

const MIB: usize = 1 << 20;
/// How soon memory has to be back, and at how much of what it was, in tenths.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(60);
const IDLE_SHARE_TENTHS: u64 = 15;

/// How long the provider lets each question wait, so that many are held at once.
const THINKS: Duration = Duration::from_millis(300);
/// How many ask at a time.
const CLIENTS: usize = 12;

/// What is asked in a burst: large questions, large plain answers that are held back or too large to be, streams.
fn large() -> Vec<Question> {
    let large = |model: &str| Question::new(Dialect::OpenAi, model).of_size(4 * MIB);
    vec![
        large("m"),
        large("m").streamed(),
        Question::new(Dialect::OpenAi, "large-3M"),
        Question::new(Dialect::OpenAi, "large-8M"),
        Question::new(Dialect::OpenAi, "large-8M").streamed(),
        Question::new(Dialect::OpenAi, "fault-big-event").streamed(),
    ]
}

/// Has every client ask all of it, one question after another.
fn ask(gateway: &Gateway, questions: &[Question]) {
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let client = gateway.client().timeout(GIVEN_BACK_WITHIN);
                for question in questions {
                    question.to(&client).send().expect(200);
                }
            });
        }
    });
}

#[test]
fn memory_is_given_back_after_a_burst_of_large_bodies() {
    let provider = Provider::with(
        Dialect::OpenAi,
        Options { records: false, latency: Latency::Fixed(THINKS), ..Options::default() },
    );
    let models = "models: [m, large-3M, large-8M, fault-big-event]";
    let gateway = Gateway::before(&provider, models);
    let small = Question::both_ways(Dialect::OpenAi, "m");
    ask(&gateway, &small);
    let idle = gateway.resident_kib();
    ask(&gateway, &large());
    let (peak, after) = (gateway.peak_kib(), gateway.resident_kib());
    let allowed = idle * IDLE_SHARE_TENTHS / 10;
    assert!(peak > 2 * idle, "that was no burst: {idle} KiB idle, {peak} at most");
    eventually_within(GIVEN_BACK_WITHIN, &format!("{idle} KiB idle, {peak} at most, then {after}"), || {
        (gateway.resident_kib() <= allowed).then_some(())
    });
}

/// A gateway that may hold so many bytes in all.
fn holding(bytes: &str, providers: &str) -> Gateway {
    let server = "server:\n  host: 127.0.0.1\n  port: {port}\n";
    Gateway::start(&format!("{server}  limits: {{max_buffered_bytes: {bytes}}}\nproviders:\n{providers}"))
}

/// A provider that says so much, and the rest when it is told to, of which the other end is given.
fn pausing(first: String, rest: String) -> (Canned, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let provider = Canned::serving(move |stream, _| {
        // A gateway that has gone needs no more, and neither does one whose test has failed.
        let _ = stream.write_all(first.as_bytes());
        let _ = told.lock().unwrap().recv();
        let _ = stream.write_all(rest.as_bytes());
    });
    (provider, tell)
}

#[test]
fn a_plain_answer_that_there_is_no_room_for_is_relayed_as_it_comes() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let small = Question::new(dialect, "large-3M");
        // A body is in the same room as the answer to it.
        let large = small.clone().of_size(2 * MIB);
        let direct = small.words(&provider.sign(small.to(&provider.client())).send().expect(200));
        for (room, question, is_held) in
            [("1M", &small, false), ("4M", &small, true), ("4M", &large, false), ("6M", &large, true)]
        {
            let gateway = holding(room, &provider.yaml_with("only", &["models: [m, large-3M]"]));
            let client = gateway.client();
            for _ in 0..3 {
                let answer = question.to(&client).send().expect(200);
                assert!(question.words(&answer) == direct, "{dialect}, {room}: {} bytes", answer.body.len());
                assert_eq!(answer.header("content-length").is_some(), is_held, "{dialect}, {room}");
            }
            let usual = Question::new(dialect, "m").to(&client).send().expect(200);
            assert!(usual.header("content-length").is_some(), "the usual is held in any case");
        }
    }
}

#[test]
fn a_stream_that_there_is_no_room_to_hold_back_is_committed_without_content() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let silence = ": thinking\n\n".repeat(20_000);
    let content = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"so\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (provider, tell) = pausing(format!("{head}{silence}"), content.to_owned());
    let gateway = holding("100K", &provider.yaml("only", Dialect::OpenAi, &["api_key: any", "models: [m]"]));
    let question = Question::new(Dialect::OpenAi, "m").streamed();
    let client = gateway.client();
    let mut answer = question.to(&client).open();
    assert_eq!(answer.status, 200);
    tell.send(()).expect("the provider waits");
    assert_eq!(question.words_of(&answer.events()), "so");
}

/// Elements of a few bytes each, which are hundreds of bytes when they are read.
#[test]
fn a_body_of_many_small_elements_costs_a_few_times_its_length() {
    const MOST_TIMES: u64 = 6;
    let provider = Provider::of(Dialect::OpenAi);
    let gateway = Gateway::before(&provider, "models: [m]");
    let client = gateway.client().timeout(GIVEN_BACK_WITHIN);
    let idle = gateway.resident_kib();
    for (path, before, element, behind) in [
        ("/v1beta/models/m:generateContent", r#"{"contents":{"parts":["#, "{}", "]}}"),
        (
            "/v1/messages",
            r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":["#,
            r#"{"type":""}"#,
            "]}]}",
        ),
    ] {
        let count = (31 * MIB) / (element.len() + 1);
        let body = format!("{before}{}{behind}", vec![element; count].join(","));
        let answer =
            client.post(path).header("anthropic-version", "2023-06-01").body(body.into_bytes()).send();
        let answer = answer.expect(400);
        assert!(answer.text().contains("is one element too many"), "{}", answer.text());
        let peak = gateway.peak_kib();
        let allowed = idle + MOST_TIMES * 32 * 1024;
        assert!(peak <= allowed, "{path}: {peak} KiB, of {allowed}");
    }
    assert!(provider.asked().is_empty(), "nobody is asked");
}
