//! How much load an outage makes: at 300 requests per second, attempts at a provider that fails them all stay
//! inside the retry budget, and no client notices as long as another provider is well.

use crate::support::{Client, Gateway, Provider, Question, Response};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Requests per second, whether or not the earlier ones are answered.
const RATE: u32 = 300;

/// Requests of one test: four seconds of them.
const REQUESTS: u32 = 4 * RATE;

/// Clients, each with a connection of its own.
const CLIENTS: usize = 64;

/// What came of all requests.
struct Load {
    answers: Vec<Response>,
    took: Duration,
}

impl Load {
    /// Asks a gateway all the time.
    fn on(gateway: &Gateway) -> Load {
        let (next, answers, start) = (AtomicU32::new(0), Mutex::new(Vec::new()), Instant::now());
        let ask = |client: &Client, number: u32| {
            let due = start + Duration::from_secs(1) * number / RATE;
            sleep(due.saturating_duration_since(Instant::now()));
            let question = Question::new(Dialect::OpenAi, "m");
            answers.lock().unwrap().push(question.to(client).send());
        };
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                let client = gateway.client();
                let (next, ask) = (&next, &ask);
                scope.spawn(move || {
                    let take =
                        || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < REQUESTS);
                    while let Some(number) = take() {
                        ask(&client, number);
                    }
                });
            }
        });
        Load { answers: answers.into_inner().unwrap(), took: start.elapsed() }
    }

    /// Attempts beyond the first that a provider may get for that many requests, by the defaults of the
    /// configuration: a fifth of them, ten per second, and ten saved up.
    fn budget(&self, requests: usize) -> usize {
        requests / 5 + (10.0 * self.took.as_secs_f64()).ceil() as usize + 10
    }

    /// No client noticed anything.
    #[track_caller]
    fn expect_answers(&self) {
        let question = Question::new(Dialect::OpenAi, "m");
        for answer in &self.answers {
            assert_eq!((answer.status, &*question.words(answer)), (200, ANSWER), "{}", answer.text());
            assert_eq!(answer.header("x-cliproxy-provider"), Some("well"));
        }
    }
}

fn attempts(answer: &Response) -> usize {
    answer.header("x-cliproxy-attempts").and_then(|attempts| attempts.parse().ok()).unwrap_or_default()
}

/// A provider that fails beside, or above, one that doesn't: no client notices.
#[track_caller]
fn survive(sick_priority: &str) {
    let (sick, well) = (Provider::openai().failing_with(500), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        sick.yaml_with("sick", &["models: [m]", sick_priority]),
        well.yaml_with("well", &["models: [m]", "priority: 2"])
    ));
    let load = Load::on(&gateway);
    load.expect_answers();
    // Each request was answered by the last attempt, and only by that; what came before was the sick one's.
    assert_eq!(well.asked().len(), REQUESTS as usize);
    let at_sick: usize = load.answers.iter().map(|answer| attempts(answer) - 1).sum();
    let first = load.answers.iter().filter(|answer| attempts(answer) > 1).count();
    assert_eq!(sick.asked().len(), at_sick);
    let (further, budget) = (at_sick - first, load.budget(first));
    println!(
        "{sick_priority}: {first} first attempts, {further} further ones of {budget}, in {:.1?}",
        load.took
    );
    assert!(first > 0 && further <= budget, "{further} attempts beyond {first} first ones, not {budget}");
}

#[test]
fn a_sick_provider_beside_a_good_one_gets_no_more_than_its_budget() {
    survive("priority: 2");
}

#[test]
fn a_sick_provider_above_a_good_one_gets_no_more_than_its_budget() {
    survive("priority: 1");
}

#[test]
fn when_all_are_sick_none_gets_more_than_its_budget() {
    let sick = [Provider::openai().failing_with(500), Provider::openai().failing_with(503)];
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        sick[0].yaml_with("one", &["models: [m]", "priority: 1"]),
        sick[1].yaml_with("two", &["models: [m]", "priority: 2"])
    ));
    let load = Load::on(&gateway);
    assert!(load.answers.iter().all(|answer| answer.status == 503));
    let asked = sick.each_ref().map(|provider| provider.asked().len());
    println!("all sick: {asked:?} attempts for {REQUESTS} requests in {:.1?}", load.took);
    // The second is nobody's first; what it gets for nothing is what fails over before its failures are known.
    let budgets = [REQUESTS as usize + load.budget(REQUESTS as usize), CLIENTS + load.budget(0)];
    assert!(asked[0] <= budgets[0] && asked[1] <= budgets[1], "{asked:?} attempts, at most {budgets:?}");
}
