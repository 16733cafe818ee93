//! What the parts cost that every request or every streamed event passes: `cargo bench --bench parts`.
//!
//! Reading what a body says about itself, copying headers, reading usage, cutting a stream into frames, reading
//! their signs, choosing a provider, and telling log and metrics how it ended. A part whose module doc states a
//! budget is measured here; whole requests are another bench's business.

#![allow(missing_docs, reason = "criterion_group makes a public function without one")]
#![allow(clippy::expect_used, reason = "a bench that can't begin has nothing to measure")]

use bytes::Bytes;
use cliproxy::balance::{Candidate, Facts, RoundRobin, Tickets};
use cliproxy::domain::{Dialect, TokenUsage};
use cliproxy::gateway::headers::{copy_upstream, downstream};
use cliproxy::observe::config::Logging;
use cliproxy::observe::events::RequestSettled;
use cliproxy::observe::{Metrics, Status, logging};
use cliproxy::providers::selector::Pool;
use cliproxy::translate::frames::{Frames, Framing};
use cliproxy::translate::peek::Peek;
use cliproxy::translate::sides::Target;
use cliproxy::translate::signs::{Api, Signs};
use cliproxy::translate::translation::{self, Question, Translation};
use cliproxy::translate::usage::Meter;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use pingora::http::ResponseHeader;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// As the gateway has it where nothing is configured: `streaming.max_event_size`.
const MAX_FRAME: usize = 16 << 20;

/// A short chat, and one with a long document in it.
const BODY_SIZES: [(&str, usize); 2] = [("2 KB", 2 << 10), ("1 MB", 1 << 20)];

const PROVIDER_COUNTS: [u32; 2] = [10, 1_000];

/// A chat request of about that size, its `model` last: the whole of it has to be read.
fn chat_request(size: usize) -> Vec<u8> {
    let text = r#"The \"quick\" brown fox jumps over the lazy dog.\n"#.repeat(size / 50);
    let messages = format!(r#"[{{"role":"user","content":"{text}"}}]"#);
    format!(r#"{{"stream":true,"messages":{messages},"model":"gpt-4o-mini"}}"#).into_bytes()
}

/// A chat request with that many tools: all names and braces, hardly any text.
fn tools_request(count: usize) -> Vec<u8> {
    let tool = concat!(
        r#"{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":"#,
        r#"{"city":{"type":"string"},"days":{"type":"integer","maximum":14}},"required":["city"]}}}"#
    );
    let tools = vec![tool; count].join(",");
    format!(r#"{{"stream":true,"messages":[],"tools":[{tools}],"model":"gpt-4o-mini"}}"#).into_bytes()
}

fn peek(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("peek");
    let bodies = BODY_SIZES.map(|(name, size)| (name, chat_request(size)));
    for (name, body) in bodies.into_iter().chain([("2 KB of tools", tools_request(12))]) {
        assert!(Peek::read(&body).is_ok_and(|peek| peek.stream), "the body is what we mean to measure");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bench| bench.iter(|| Peek::read(black_box(&body))));
    }
    group.finish();
}

fn headers_of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// What of an SDK's request goes on to a provider, and what of its answer to the client.
fn headers(bench: &mut Criterion) {
    let client = headers_of(&[
        ("host", "127.0.0.1:8317"),
        ("authorization", "Bearer sk-client"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "OpenAI/Python 1.0"),
        ("x-stainless-lang", "python"),
        ("content-length", "2048"),
    ]);
    let (mut answer, ()) = Response::new(()).into_parts();
    answer.headers = headers_of(&[
        ("content-type", "application/json"),
        ("content-length", "300"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("openai-organization", "org"),
        ("openai-processing-ms", "300"),
        ("x-ratelimit-remaining-tokens", "1000"),
    ]);
    let answer = ResponseHeader::from(answer);
    let mut group = bench.benchmark_group("headers");
    group.bench_function("upstream", |bench| {
        bench.iter(|| {
            let mut request = HeaderMap::with_capacity(16);
            copy_upstream(Dialect::OpenAi, black_box(&client), &mut request);
            request
        });
    });
    group.bench_function("downstream", |bench| bench.iter(|| downstream(black_box(&answer), 10)));
    group.finish();
}

/// What a plain answer used, and what an event says that has no usage in it.
fn usage(bench: &mut Criterion) {
    let answer = concat!(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":"#,
        r#"[{"index":0,"message":{"role":"assistant","content":"Hello. How can I help?"},"finish_reason":"stop"}],"#,
        r#""usage":{"prompt_tokens":10,"completion_tokens":7,"total_tokens":17}}"#
    );
    let mut group = bench.benchmark_group("usage");
    group.throughput(Throughput::Elements(1));
    group.bench_function("of a plain answer", |bench| {
        bench.iter(|| {
            let mut meter = Meter::plain(Dialect::OpenAi);
            meter.see(black_box(answer.as_bytes()));
            meter.reported()
        });
    });
    group.bench_function("of an event without", |bench| {
        let mut meter = Meter::stream(Dialect::OpenAi, Framing::Events);
        bench.iter(|| meter.see(black_box(EVENT.as_bytes())));
        assert_eq!(meter.reported(), None, "the event is what we mean to measure");
    });
    group.finish();
}

/// A frame as OpenAI streams it, about 160 bytes.
const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","#,
    r#""choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#,
    "\n\n"
);

fn frames(bench: &mut Criterion) {
    let whole = Bytes::from_static(EVENT.as_bytes());
    let (head, tail) = (whole.slice(..80), whole.slice(80..));
    let mut group = bench.benchmark_group("frames");
    group.throughput(Throughput::Elements(1));
    group.bench_function("an event in one read", |bench| {
        let mut frames = Frames::new(Framing::Events, MAX_FRAME);
        bench.iter(|| frames.push(black_box(&whole), |frame| !frame.is_empty()));
    });
    group.bench_function("an event in two reads", |bench| {
        let mut frames = Frames::new(Framing::Events, MAX_FRAME);
        bench.iter(|| {
            let first = frames.push(black_box(&head), |frame| !frame.is_empty());
            (first, frames.push(black_box(&tail), |frame| !frame.is_empty()))
        });
    });
    group.finish();
}

/// What a frame in the middle of a stream costs, in each API: the same text, as each has it.
fn signs(bench: &mut Criterion) {
    let responses = concat!(
        "event: response.output_text.delta\n",
        r#"data: {"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_0123456789abcdef","#,
        r#""output_index":0,"content_index":0,"delta":" word","logprobs":[]}"#,
        "\n\n"
    );
    let messages = concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}"#,
        "\n\n"
    );
    let generate = concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"text":" word"}],"role":"model"},"index":0}],"#,
        r#""usageMetadata":{"promptTokenCount":9,"totalTokenCount":9},"modelVersion":"gemini-2.5-flash"}"#,
        "\n\n"
    );
    let mut group = bench.benchmark_group("signs");
    group.throughput(Throughput::Elements(1));
    for (api, frame) in [
        (Api::Completions, EVENT),
        (Api::Responses, responses),
        (Api::Messages, messages),
        (Api::Generate, generate),
    ] {
        group.bench_function(BenchmarkId::from_parameter(format!("{api:?}")), |bench| {
            let mut signs = Signs::new(api);
            bench.iter(|| signs.see(black_box(frame.as_bytes())));
            assert!(signs.has_content() && !signs.is_finished(), "the frame is what we mean to measure");
        });
    }
    group.finish();
}

/// Client and provider of each translation that is measured, as the golden files call them.
const PAIRS: [(Api, &str, Dialect, &str); 4] = [
    (Api::Completions, "chat", Dialect::Anthropic, "messages"),
    (Api::Messages, "messages", Dialect::OpenAi, "chat"),
    (Api::Generate, "generate", Dialect::Anthropic, "messages"),
    (Api::Responses, "responses", Dialect::Gemini, "generate"),
];

/// What the tests of translation go by.
fn golden(name: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/translation/");
    std::fs::read(format!("{folder}{name}")).expect("a golden file").into()
}

fn translated(api: Api, body: &Bytes, provider: Dialect) -> (Bytes, Translation) {
    let client = translation::Client {
        api,
        request_id: "req-1".to_owned(),
        created: 1_700_000_000,
        body: body.clone(),
        longest: 0..0,
        framing: Framing::Events,
        include_usage: true,
    };
    let target = Target { model: "provider-model", max_output_tokens: None };
    let question = Question::read(api, client.body.clone(), true).expect("a request");
    Translation::of_request(&question, client, provider, &target).expect("a request")
}

/// A request of 2 KB with tools and pictures, a stream of some 15 events in one read, and a chat of 1 MB.
fn translation(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("translation");
    for (api, client, dialect, provider) in PAIRS {
        let pair = format!("{client} to {provider}");
        let body = golden(&format!("request.{client}.json"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("request", &pair), |bench| {
            bench.iter(|| translated(api, black_box(&body), dialect).0);
        });
        let stream = golden(&format!("stream.{provider}.txt"));
        let events = stream.windows(2).filter(|ends| ends == b"\n\n" || ends == b"\n\r").count();
        group.throughput(Throughput::Elements(events as u64));
        group.bench_function(BenchmarkId::new("events", &pair), |bench| {
            bench.iter_batched(
                || translated(api, &body, dialect).1.stream(MAX_FRAME),
                |mut translation| (translation.push(black_box(&stream)).expect("short events"), translation),
                BatchSize::SmallInput,
            );
        });
    }
    let large = Bytes::from(chat_request(1 << 20));
    group.throughput(Throughput::Bytes(large.len() as u64));
    group.bench_function("request/1 MB of chat to messages", |bench| {
        bench.iter(|| translated(Api::Completions, black_box(&large), Dialect::Anthropic).0);
    });
    group.finish();
}

fn pick(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("pick");
    for count in PROVIDER_COUNTS {
        let pool = Pool::new(count as usize, Arc::new(RoundRobin));
        let candidates: Vec<_> = (0..count).map(|provider| Candidate { provider, weight: 1 }).collect();
        let tickets = Tickets::new(Tickets::PROVIDER_SETS);
        group.bench_function(BenchmarkId::new("of", count), |bench| {
            bench.iter(|| {
                let facts = Facts { ticket: tickets.next(&candidates), session: None };
                pool.pick(black_box(&candidates), &facts)
            });
        });
    }
    group.finish();
}

/// Lines after which the log's writer is waited for, so that none is dropped, which would cost less.
const LINES_AT_ONCE: usize = 1_000;

/// A request that went well, to its metrics and its line, and that line out of the process.
fn settled(bench: &mut Criterion) {
    assert!(logging::init_to(&Logging::default(), io::sink()).is_ok(), "nobody else logs here");
    let Ok(metrics) = Metrics::new("bench") else { unreachable!("the catalogue contradicts itself") };
    let meters = metrics.provider("openai", ["gpt-4o", "gpt-4o-mini"]);
    let event = RequestSettled {
        provider: "openai",
        model: "gpt-4o-mini",
        request_id: "0190f3a2b4c5d6e7f8091a2b3c4d5e6f",
        client: "team-a",
        status: Status::Success,
        http_status: 200,
        error: None,
        code: None,
        internal: "",
        duration: Duration::from_millis(450),
        ttft: Some(Duration::from_millis(123)),
        tokens: TokenUsage { input: 1_000, output: 50, ..TokenUsage::default() },
        usage_estimated: false,
        attempts: 1,
        cache: "bypass",
        stream: false,
        recovered_from: "",
    };
    let mut lines = 0;
    bench.bench_function("settled", |bench| {
        bench.iter(|| {
            black_box(&event).emit(&meters);
            lines += 1;
            if lines % LINES_AT_ONCE == 0 {
                logging::flush();
            }
        });
    });
}

/// Short, so that a look at the numbers costs half a minute.
fn quick() -> Criterion {
    Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = parts; config = quick(); targets = peek, headers, usage, frames, signs, translation, pick, settled }
criterion_main!(parts);
