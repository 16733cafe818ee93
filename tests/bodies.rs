//! Bodies of every size and framing arrive whole, byte for byte, at whichever provider answers.

use crate::support::{Gateway, Provider, Question, Request, Response, error_message, nowhere};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::io::Write;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Around the size of Pingora's buffers, and far beyond.
const SIZES: [usize; 5] = [64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 8 * MIB];

/// A chunk's size that divides none of these.
const CHUNK: usize = 7_919;

const DEFAULT_LIMIT: usize = 32 * MIB;

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    Chunks,
}

impl Framing {
    const BOTH: [Framing; 2] = [Framing::Length, Framing::Chunks];

    #[track_caller]
    fn send(self, request: Request<'_>) -> Response {
        match self {
            Framing::Length => request.send(),
            Framing::Chunks => request.chunked(CHUNK).send(),
        }
    }
}

/// The body that the provider was asked with last; a difference is told in few words.
#[track_caller]
fn assert_arrived(provider: &Provider, sent: &str) {
    let asked = provider.asked();
    let body = &asked.last().expect("the provider was asked").body;
    let same = body.iter().zip(sent.as_bytes()).take_while(|(got, sent)| got == sent).count();
    assert!(
        body == sent.as_bytes(),
        "{} bytes arrived, {} were sent, the first {same} are alike",
        body.len(),
        sent.len()
    );
}

#[track_caller]
fn arrive_whole(dialect: Dialect) {
    let provider = Provider::of(dialect);
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml_with("p", &["models: [m]"])));
    let client = gateway.client();
    for size in SIZES {
        let question = Question::new(dialect, "m").of_size(size);
        for framing in Framing::BOTH {
            let answer = framing.send(question.to(&client)).expect(200);
            assert_eq!(question.words(&answer), ANSWER, "{size} bytes, {framing:?}");
            assert_arrived(&provider, &question.body().to_string());
        }
    }
}

#[test]
fn openai_bodies_arrive_whole() {
    arrive_whole(Dialect::OpenAi);
}

#[test]
fn anthropic_bodies_arrive_whole() {
    arrive_whole(Dialect::Anthropic);
}

#[test]
fn gemini_bodies_arrive_whole() {
    arrive_whole(Dialect::Gemini);
}

/// The second provider gets the whole body after `first`, preferred, could not answer.
#[track_caller]
fn arrive_whole_after(dialect: Dialect, first: &str) {
    let second = Provider::of(dialect);
    let gateway = Gateway::start(&format!(
        "providers:\n{first}{}",
        second.yaml_with("second", &["models: [m]", "priority: 2"])
    ));
    let client = gateway.client();
    for size in SIZES {
        let question = Question::new(dialect, "m").of_size(size);
        for framing in Framing::BOTH {
            let answer = framing.send(question.to(&client)).expect(200);
            assert_eq!(question.words(&answer), ANSWER, "{size} bytes, {framing:?}");
            assert_eq!(answer.header("x-cliproxy-provider"), Some("second"), "{size} bytes, {framing:?}");
            assert_arrived(&second, &question.body().to_string());
        }
    }
}

const FIRST: [&str; 2] = ["models: [m]", "priority: 1"];

#[test]
fn openai_bodies_arrive_whole_after_another_provider_failed() {
    let failing = Provider::openai().failing_with(503);
    arrive_whole_after(Dialect::OpenAi, &failing.yaml_with("first", &FIRST));
    assert_eq!(failing.asked().len(), 4 * SIZES.len(), "it was asked each time, and once more");
}

#[test]
fn openai_bodies_arrive_whole_after_a_refused_connection() {
    arrive_whole_after(Dialect::OpenAi, &nowhere(Dialect::OpenAi, "first", &FIRST));
}

#[test]
fn openai_bodies_arrive_whole_after_a_connection_was_closed_at_once() {
    let closing = Provider::openai().refusing();
    arrive_whole_after(Dialect::OpenAi, &closing.yaml_with("first", &FIRST));
}

#[test]
fn openai_bodies_arrive_whole_after_a_reset() {
    let resetting = Provider::openai().resetting();
    arrive_whole_after(Dialect::OpenAi, &resetting.yaml_with("first", &FIRST));
}

#[test]
fn anthropic_bodies_arrive_whole_after_another_provider_failed() {
    let failing = Provider::anthropic().failing_with(503);
    arrive_whole_after(Dialect::Anthropic, &failing.yaml_with("first", &FIRST));
}

#[test]
fn anthropic_bodies_arrive_whole_after_a_refused_connection() {
    arrive_whole_after(Dialect::Anthropic, &nowhere(Dialect::Anthropic, "first", &FIRST));
}

#[test]
fn anthropic_bodies_arrive_whole_after_a_reset() {
    let resetting = Provider::anthropic().resetting();
    arrive_whole_after(Dialect::Anthropic, &resetting.yaml_with("first", &FIRST));
}

#[test]
fn gemini_bodies_arrive_whole_after_another_provider_failed() {
    let failing = Provider::gemini().failing_with(503);
    arrive_whole_after(Dialect::Gemini, &failing.yaml_with("first", &FIRST));
}

#[test]
fn gemini_bodies_arrive_whole_after_a_refused_connection() {
    arrive_whole_after(Dialect::Gemini, &nowhere(Dialect::Gemini, "first", &FIRST));
}

#[test]
fn gemini_bodies_arrive_whole_after_a_reset() {
    let resetting = Provider::gemini().resetting();
    arrive_whole_after(Dialect::Gemini, &resetting.yaml_with("first", &FIRST));
}

#[test]
fn under_an_alias_only_the_models_name_differs() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::start(&format!(
            "providers:\n{}",
            provider.yaml_with("p", &["models: [{name: the-real-name, alias: nick}]"])
        ));
        let question = Question::new(dialect, "nick").of_size(MIB);
        let answer = question.to(&gateway.client()).send().expect(200);
        assert_eq!(answer.header("x-cliproxy-model"), Some("the-real-name"));
        assert_arrived(&provider, &question.body().to_string().replace("\"nick\"", "\"the-real-name\""));
        let path = &provider.asked()[0].path;
        assert_eq!(path.contains("the-real-name"), dialect == Dialect::Gemini, "{path}");
        assert!(!path.contains("nick"), "{path}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("to memory");
    encoder.finish().expect("to memory")
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).expect("to memory")
}

#[test]
fn an_encoded_body_arrives_decoded() {
    let provider = Provider::openai();
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml_with("p", &["models: [m]"])));
    let client = gateway.client();
    let question = Question::new(Dialect::OpenAi, "m").of_size(MIB);
    let text = question.body().to_string();
    for (name, encoded) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        for framing in Framing::BOTH {
            let request = question.unasked(&client).header("content-encoding", name).body(encoded.clone());
            framing.send(request).expect(200);
            assert_arrived(&provider, &text);
            let asked = provider.asked();
            let last = asked.last().expect("a request");
            assert_eq!(last.header("content-encoding"), None);
            assert_eq!(last.header("content-length"), Some(MIB.to_string().as_str()));
        }
    }
}

#[test]
fn a_body_of_exactly_the_default_limit_is_served_and_one_byte_more_is_not() {
    let provider = Provider::openai();
    let gateway = Gateway::start(&format!("providers:\n{}", provider.yaml_with("p", &["models: [m]"])));
    let largest = Question::new(Dialect::OpenAi, "m").of_size(DEFAULT_LIMIT);
    largest.to(&gateway.client()).send().expect(200);
    assert_arrived(&provider, &largest.body().to_string());
    let too_large = Question::new(Dialect::OpenAi, "m").of_size(DEFAULT_LIMIT + 1);
    for framing in Framing::BOTH {
        framing.send(too_large.to(&gateway.client())).expect(413);
    }
    assert_eq!(provider.asked().len(), 1, "what is too large is sent to nobody");
}

#[test]
fn the_configured_limit_holds_in_each_dialect_and_harms_no_later_request() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::start(&format!(
            "server: {{host: 127.0.0.1, port: {{port}}, limits: {{max_body_size: 1M}}}}\nproviders:\n{}",
            provider.yaml_with("p", &["models: [m]"])
        ));
        let question = Question::new(dialect, "m");
        for framing in Framing::BOTH {
            let client = gateway.client();
            framing.send(question.clone().of_size(MIB).to(&client)).expect(200);
            let refusal = framing.send(question.clone().of_size(MIB + 1).to(&client)).expect(413);
            assert_eq!(refusal.header("x-cliproxy-error"), Some("request_too_large"));
            let message = error_message(dialect, &refusal.json());
            assert!(message.contains(&MIB.to_string()), "{message}");
            question.to(&gateway.client()).send().expect(200);
        }
        assert_eq!(provider.asked().len(), 4, "what is too large is sent to nobody");
    }
}

#[test]
fn the_body_behind_an_open_stream_takes_no_room() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::start(&format!(
            "server: {{host: 127.0.0.1, port: {{port}}, limits: {{max_buffered_bytes: 1536K}}}}\nproviders:\n{}",
            provider.yaml_with("p", &["models: [m, fault-s09]"])
        ));
        let client = gateway.client();
        let mut open = Question::new(dialect, "fault-s09").streamed().of_size(MIB).to(&client).open();
        assert!(open.next_event().is_some());
        // The first is in the middle of its answer for half a minute.
        Question::new(dialect, "m").of_size(MIB).to(&gateway.client()).send().expect(200);
        open.vanish();
    }
}

#[test]
fn a_large_plain_answer_arrives_whole() {
    for dialect in Dialect::ALL {
        let provider = Provider::of(dialect);
        let gateway = Gateway::start(&format!(
            "providers:\n{}",
            provider.yaml_with("p", &["models: [large-4M, large-5M]"])
        ));
        for model in ["large-4M", "large-5M"] {
            let question = Question::new(dialect, model);
            let direct = question.words(&provider.sign(question.to(&provider.client())).send().expect(200));
            let answer = question.to(&gateway.client()).send().expect(200);
            assert!(answer.body.len() >= 4 * MIB);
            assert!(question.words(&answer) == direct, "{dialect}, {model}: {} bytes", answer.body.len());
        }
    }
}
