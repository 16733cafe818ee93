//! Whether a case went as its row says: what the client saw, and what everybody says of it.

use super::case::{Case, Seen, Way};
use super::matrix::Account;
use super::row::{Outcome, Sees, Usage, Who};
use crate::support::{BodyEnd, Event, Response, is_error};
use cliproxy::domain::{Dialect, ErrorClass};
use cliproxy::simulator::{ANSWER, ANSWER_WORDS};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the streams of the three dialects say at their end.
const END_MARKS: [&str; 3] = ["[DONE]", "message_stop", "finishReason"];

/// Frames without a word that may count as a token each, where nothing better is known.
const MORE_FRAMES: u64 = 5;

/// Collects what is not as it should be.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    fn unless_equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: &T, should: &T) {
        self.unless(is == should, || format!("{what}: {is:?}, not {should:?}"));
    }
}

/// What was not as it should be.
pub fn case(case: &Case, seen: &[Seen], account: &Account, scale: f64) -> Vec<String> {
    let mut problems = Problems::default();
    for seen in seen {
        let before = problems.0.len();
        client(case, seen, &mut problems);
        if problems.0.len() > before {
            let text = seen.answer.text();
            let end = text.ceil_char_boundary(text.len().saturating_sub(300));
            problems.0.push(format!(
                "  it saw {} {:?} …{}",
                seen.answer.status,
                seen.answer.end,
                &text[end..]
            ));
        }
    }
    log(case, account, &mut problems);
    counters(case, account, &mut problems);
    requests(case, account, scale, &mut problems);
    problems.0
}

/// What the client saw.
fn client(case: &Case, seen: &Seen, problems: &mut Problems) {
    let (outcome, answer) = (case.outcome(), &seen.answer);
    match outcome.sees {
        Sees::Answer => {
            problems.unless_equal("words", &seen.words.as_str(), &ANSWER);
            whole(case, answer, problems);
        }
        Sees::AllButOneWord => {
            problems.unless(lacks_one_word(&seen.words), || format!("words: {}", seen.words));
            whole(case, answer, problems);
        }
        Sees::BrokenAfter(words) => {
            let expected = ANSWER.split(' ').take(words).collect::<Vec<_>>().join(" ");
            problems.unless_equal("words", &seen.words, &expected);
            broken(case, answer, problems);
        }
        Sees::Refusal(statuses, code) => refused(case, answer, statuses, code, problems),
    }
    problems.unless(seen.took <= outcome.within, || format!("took {:.1?}", seen.took));
}

fn column(dialect: Dialect) -> usize {
    Dialect::ALL.into_iter().position(|other| other == dialect).expect("one of all")
}

/// An answer that is all there, and says who gave it.
fn whole(case: &Case, answer: &Response, problems: &mut Problems) {
    problems.unless_equal("status", &answer.status, &200);
    problems.unless_equal("end", &answer.end, &BodyEnd::Clean);
    let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
    problems.unless(is_json == (case.way != Way::Stream), || "not what an answer looks like".to_owned());
    provenance(case, answer, problems);
}

/// The header speaks of what was known when it went out: of who began.
fn provenance(case: &Case, answer: &Response, problems: &mut Problems) {
    let outcome = case.outcome();
    let began = outcome.recovered_from.unwrap_or(outcome.by);
    let is_committed_first = outcome.recovered_from.is_some() || matches!(outcome.sees, Sees::BrokenAfter(_));
    let attempts = if is_committed_first { 1 } else { attempts(outcome) };
    let (provider, attempts) = (case.provider(began), attempts.to_string());
    for (name, value) in [
        ("x-cliproxy-provider", provider.as_str()),
        ("x-cliproxy-model", case.model(began)),
        ("x-cliproxy-attempts", &attempts),
        ("x-request-id", &case.name),
    ] {
        problems.unless_equal(name, &answer.header(name), &Some(value));
    }
}

/// An end that nobody takes for a good one.
fn broken(case: &Case, answer: &Response, problems: &mut Problems) {
    problems.unless_equal("status", &answer.status, &200);
    problems.unless_equal("end", &answer.end, &BodyEnd::Aborted);
    provenance(case, answer, problems);
    // In an array there is no place for an error; its end is missing.
    let last = Event::all(&answer.body).pop();
    let is_told = last.as_ref().is_some_and(|event| {
        let name = if case.dialect == Dialect::Anthropic { "error" } else { "" };
        event.name == name
            && serde_json::from_str(&event.data).is_ok_and(|error| is_error(case.dialect, &error))
    });
    let is_array = case.way == Way::Array;
    problems.unless(is_told != is_array, || "no error event at the end".to_owned());
    let text = answer.text();
    problems.unless(END_MARKS.iter().all(|mark| !text.contains(mark)), || "an end mark".to_owned());
}

/// An error in the dialect of the client, which knows when to come back.
fn refused(case: &Case, answer: &Response, statuses: [u16; 3], code: Option<&str>, problems: &mut Problems) {
    // Theirs where it is theirs.
    let status = statuses[column(if code.is_none() { case.providers[0] } else { case.dialect })];
    problems.unless_equal("status", &answer.status, &status);
    problems.unless_equal("x-cliproxy-error", &answer.header("x-cliproxy-error"), &code);
    problems.unless_equal("end", &answer.end, &BodyEnd::Clean);
    let error = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    // Gemini tells of a blocked prompt in a good answer, streamed or not.
    let is_told = if status == 200 {
        let filtered = ["content_filter", "refusal", "blockReason"];
        answer.text().contains(filtered[column(case.dialect)])
    } else {
        is_error(case.dialect, &error)
    };
    problems.unless(is_told, || "no error in the shape of the dialect".to_owned());
    let waits = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
    let knows_when = waits.is_some_and(|seconds| seconds >= 1);
    problems.unless(knows_when || ![429, 503].contains(&status), || format!("retry-after: {waits:?}"));
}

fn lacks_one_word(words: &str) -> bool {
    let all: Vec<&str> = ANSWER.split(' ').collect();
    (0..all.len()).any(|lost| {
        let left: String = all
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != lost)
            .map(|(at, word)| if at == 0 { (*word).to_owned() } else { format!(" {word}") })
            .collect();
        left == words
    })
}

/// Attempts that one request makes.
fn attempts(outcome: &Outcome) -> usize {
    outcome.first.len() + outcome.other.len() + usize::from(outcome.is_success())
}

/// What the log says: one line for each request.
fn log(case: &Case, account: &Account, problems: &mut Problems) {
    let outcome = case.outcome();
    let lines = account.log.get(&case.name).map_or(&[][..], Vec::as_slice);
    problems.unless_equal("lines of the log", &lines.len(), &(case.row.times as usize));
    let last_error = outcome.other.last().filter(|_| outcome.by == Who::Other).or(outcome.first.last());
    let error = last_error.filter(|_| !outcome.is_success()).map(|class| class.name());
    for line in lines {
        let message = if outcome.is_success() { "request_success" } else { "request_error" };
        problems.unless_equal("message", &line["msg"].as_str(), &Some(message));
        problems.unless_equal("provider", &line["provider"].as_str(), &Some(&*case.provider(outcome.by)));
        problems.unless_equal("model", &line["model"].as_str(), &Some(case.model(outcome.by)));
        problems.unless_equal("attempts", &line["attempts"].as_u64(), &Some(attempts(outcome) as u64));
        problems.unless_equal("error_type", &line["error_type"].as_str(), &error);
        let from = outcome.recovered_from.map(|who| case.provider(who));
        problems.unless_equal("recovered_from", &line["recovered_from"].as_str(), &from.as_deref());
        let output = line["tokens"]["output"].as_u64().unwrap_or_default();
        let is_estimated = line["usage_estimated"].as_bool().unwrap_or_default();
        let (tokens, is_good) = match (outcome.usage, outcome.sees) {
            (Usage::Reported, _) => ("60", output == ANSWER_WORDS as u64 && !is_estimated),
            (Usage::Estimated, Sees::BrokenAfter(words)) => ("what came", output >= words as u64),
            (Usage::Estimated, _) => ("an estimate", output >= ANSWER_WORDS as u64 && is_estimated),
            (Usage::Sum(words), _) => ("both parts", (words..=words + MORE_FRAMES).contains(&output)),
            (Usage::Nothing, _) => ("none", output == 0),
        };
        problems.unless(is_good, || format!("tokens: {output} (estimated: {is_estimated}), not {tokens}"));
    }
}

/// What was counted of the case's providers, and nothing besides.
fn counters(case: &Case, account: &Account, problems: &mut Problems) {
    let outcome = case.outcome();
    let times = f64::from(case.row.times);
    let mut expected = BTreeMap::new();
    for who in Who::BOTH {
        let provider = case.provider(who);
        let failures = outcome.failures(who);
        for class in ErrorClass::ALL {
            let count = failures.iter().filter(|met| **met == class).count();
            let series = format!(r#"errors_total{{provider="{provider}",error_type="{}"}}"#, class.name());
            expected.insert(series, count as f64 * times);
        }
        let answers = outcome.is_success() && outcome.by == who;
        let attempts =
            |outcome: &str| format!(r#"attempts_total{{provider="{provider}",outcome="{outcome}"}}"#);
        expected.insert(attempts("error"), failures.len() as f64 * times);
        expected.insert(attempts("success"), if answers { times } else { 0.0 });
        for status in ["success", "error"] {
            let is_it = outcome.by == who && outcome.is_success() == (status == "success");
            let labels = format!(r#"provider="{provider}",model="{}",status="{status}""#, case.model(who));
            expected.insert(format!("requests_total{{{labels}}}"), if is_it { times } else { 0.0 });
        }
        let labels = format!(r#"provider="{provider}",model="{}",type="output""#, case.model(who));
        let logged = account.log.get(&case.name).into_iter().flatten();
        let tokens: u64 = logged.filter_map(|line| line["tokens"]["output"].as_u64()).sum();
        expected
            .insert(format!("tokens_total{{{labels}}}"), if outcome.by == who { tokens as f64 } else { 0.0 });
    }
    for (series, count) in &expected {
        problems.unless_equal(series, &account.metrics.of(&format!("cliproxy_{series}")), count);
    }
}

/// What the providers say: how often each was asked, and when.
fn requests(case: &Case, account: &Account, scale: f64, problems: &mut Problems) {
    let outcome = case.outcome();
    for who in Who::BOTH {
        let answers = usize::from(outcome.is_success() && outcome.by == who);
        let expected = (outcome.failures(who).len() + answers) * case.row.times as usize;
        let what = format!("requests to the {} provider", who.suffix());
        let asked = account.asked(case, who);
        problems.unless_equal(&what, &asked.len(), &expected);
        if outcome.is_success() && outcome.by == who {
            let length = asked.last().map_or(0, |asked| asked.length);
            problems.unless(case.is_whole(length), || format!("a request of {length} bytes arrived"));
        }
    }
    if let [first, second, ..] = account.asked(case, Who::First)
        && outcome.pause > Duration::ZERO
    {
        let pause = second.at.saturating_duration_since(first.at);
        problems.unless(pause >= outcome.pause.mul_f64(scale), || format!("asked again after {pause:?}"));
    }
}
