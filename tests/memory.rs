//! What a burst of large bodies took, requests and answers, is given back soon after it.

use crate::support::{Gateway, Provider, Question, eventually_within};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Latency, Options};
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
