//! Whom a request has to go to, because it refers to what only its maker has.
//!
//! Of answers that OpenAI's Responses API keeps it is known who made them, for the client who got them: a later request
//! that names one goes there and nowhere else. Of conversations, files and cached prompts nobody here saw the making: who
//! has them is known where there is but one account, or where the client names the provider, and a guess otherwise,
//! which the client is told instead of being sent to a stranger at random. What is known is this node's alone.
//!
//! Budget: nothing where one account serves the model; else two searches, and a lock for a request that names an answer.

use super::call::Call;
use super::choose;
use super::clients::Client;
use super::context::Context;
use super::routes::Subject;
use crate::domain::{ErrorCode, Failure, wall_clock};
use crate::providers::provider::Provider;
use crate::providers::routes::Route;
use crate::translate::kept::Reference;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most answers whose makers are known: some 15 MB. The oldest is forgotten first.
const MAX_ANSWERS: usize = 1 << 16;

/// How long a maker is known. Source: OpenAI keeps responses for 30 days.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest id of an answer that is remembered. OpenAI's have 55 bytes.
const MAX_ID_BYTES: usize = 128;

/// Who has something: one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The provider, by its name.
    pub provider: Arc<str>,
    /// Its credential, by its label.
    pub credential: Arc<str>,
}

/// The makers of answers.
#[derive(Default)]
pub struct Homes(Mutex<Known>);

#[derive(Default)]
struct Known {
    homes: HashMap<Arc<str>, (Home, Instant)>,
    /// The same, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Homes {
    /// Notes who made an answer for a client.
    pub fn note(&self, client: &str, answer: &str, home: Home, now: Instant) {
        if answer.len() > MAX_ID_BYTES {
            return;
        }
        let key: Arc<str> = key(client, answer).into();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.homes.insert(Arc::clone(&key), (home, now)).is_some() {
            return;
        }
        known.order.push_back(key);
        if known.order.len() > MAX_ANSWERS
            && let Some(oldest) = known.order.pop_front()
        {
            known.homes.remove(&oldest);
        }
    }

    /// Who made an answer for a client.
    pub fn of(&self, client: &str, answer: &str, now: Instant) -> Option<Home> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (home, since) = known.homes.get(key(client, answer).as_str())?;
        (now.saturating_duration_since(*since) < KEPT_FOR).then(|| home.clone())
    }
}

/// Clients' names have no line breaks: they stand in headers and logs.
fn key(client: &str, answer: &str) -> String {
    format!("{client}\n{answer}")
}

/// Who alone can serve a request; `None` where anybody may, or only one could in any case.
///
/// # Errors
/// When it refers to something, and it isn't known who has it, or nobody has it any more.
pub fn of(context: &Context, route: &Route, client: &Client, call: &Call) -> Result<Option<Home>, Failure> {
    if !matches!(call.endpoint.subject, Some(Subject::Conversation | Subject::Count)) {
        return Ok(None);
    }
    let now = wall_clock::now();
    let makers = || makers(context, route, call);
    let accounts = || makers().map(|provider| provider.credentials().in_use(now));
    let mut more_than_one = accounts().scan(0, |sum, more| {
        *sum += more;
        Some(*sum > 1)
    });
    if !more_than_one.any(|is_so| is_so) {
        return Ok(None);
    }
    let Some(reference) = call.reference() else { return Ok(None) };
    let what = match &reference {
        Reference::Other(what) => what,
        Reference::Answer(id) => match context.snapshot.homes.of(&client.name, id, Instant::now()) {
            Some(home) if makers().any(|provider| has(provider, &home)) => return Ok(Some(home)),
            Some(_) => return Err(moved_away(call)),
            None => "an answer that this gateway doesn't know",
        },
    };
    let (named, _) = call.model.split_once('/').unwrap_or_default();
    let Some(provider) = makers().find(|provider| **provider.name() == *named) else {
        return Err(unknown(call, what, accounts().sum(), makers().next()));
    };
    // Of several of one provider a client always gets the same.
    let number =
        client.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let credential = provider.credentials().stable(number, now);
    Ok(credential
        .map(|it| Home { provider: Arc::clone(provider.name()), credential: Arc::clone(it.label()) }))
}

/// The providers that may be asked in the client's own words, each once.
fn makers<'c>(context: &'c Context, route: &'c Route, call: &'c Call) -> impl Iterator<Item = &'c Provider> {
    let is_first = |at: usize| {
        let before = route.targets.iter().take(at);
        before.into_iter().all(|target| target.provider != route.targets[at].provider)
    };
    let targets = route.targets.iter().enumerate().filter(move |(at, _)| is_first(*at));
    let providers = targets.filter_map(|(_, target)| context.snapshot.registry.provider(target.provider));
    providers
        .map(|provider| &**provider)
        .filter(|provider| choose::speaks(&provider.definition, call.endpoint))
}

fn has(provider: &Provider, home: &Home) -> bool {
    *provider.name() == home.provider && provider.credentials().named(&home.credential).is_some()
}

fn moved_away(call: &Call) -> Failure {
    let message = format!(
        "the account that made the answer which `previous_response_id` names doesn't serve model `{}` here any more; \
         send the conversation itself instead",
        call.model
    );
    Failure::new(ErrorCode::UnsupportedFeature, message)
}

fn unknown(call: &Call, what: &str, accounts: usize, first: Option<&Provider>) -> Failure {
    let model = &call.model;
    let example = first.map_or("", |provider| provider.name());
    let message = format!(
        "the request refers to {what}, which only the account that made it has; {accounts} serve model `{model}`, and \
         which of them did isn't known here; name the provider in the model, as in `{example}/{model}`, or send what is \
         referred to itself"
    );
    Failure::new(ErrorCode::UnsupportedFeature, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(provider: &str) -> Home {
        Home { provider: provider.into(), credential: "key".into() }
    }

    #[test]
    fn an_answer_is_its_clients_own_and_known_for_its_time() {
        let (homes, start) = (Homes::default(), Instant::now());
        homes.note("ann", "resp_1", home("a"), start);
        homes.note("bob", "resp_1", home("b"), start);
        assert_eq!(homes.of("ann", "resp_1", start), Some(home("a")));
        assert_eq!(homes.of("bob", "resp_1", start + KEPT_FOR - Duration::from_secs(1)), Some(home("b")));
        assert_eq!(homes.of("bob", "resp_1", start + KEPT_FOR), None);
        assert_eq!(homes.of("", "resp_1", start), None);
    }

    #[test]
    fn as_many_answers_as_fit_are_known_and_one_more_drives_out_the_oldest() {
        let (homes, now) = (Homes::default(), Instant::now());
        for number in 0..MAX_ANSWERS {
            homes.note("", &number.to_string(), home("a"), now);
        }
        // One that is known already takes no further room.
        homes.note("", "1", home("b"), now);
        assert_eq!(homes.of("", "0", now), Some(home("a")));
        homes.note("", "more", home("c"), now);
        assert_eq!((homes.of("", "0", now), homes.of("", "1", now)), (None, Some(home("b"))));
        assert_eq!(homes.0.lock().expect("no panic").homes.len(), MAX_ANSWERS);
    }

    #[test]
    fn an_id_as_long_as_any_is_remembered_and_a_longer_one_is_not() {
        let (homes, now) = (Homes::default(), Instant::now());
        for (length, is_known) in [(MAX_ID_BYTES, true), (MAX_ID_BYTES + 1, false)] {
            let id = "x".repeat(length);
            homes.note("", &id, home("a"), now);
            assert_eq!(homes.of("", &id, now).is_some(), is_known, "{length}");
        }
    }
}
