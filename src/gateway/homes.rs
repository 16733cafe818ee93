//! Whom a request has to go to, because it refers to what only its maker has.
//!
//! Of answers that OpenAI's Responses API keeps, and of their items, it is known who made them, for the client who got
//! them: a later request that names one goes there and nowhere else. Of conversations, files and cached prompts nobody
//! here saw the making. Of several accounts that may have them a client is always sent to the same one: who works with
//! that account's key itself finds there what it made, and who doesn't is told by the provider, each time. What is
//! known is this node's alone; which account is a client's, all nodes agree upon.
//!
//! Budget: nothing where one account serves the model and no earlier answer is named; else three searches at most, and a
//! lock for each id up to a known one.

use super::call::Call;
use super::choose;
use super::clients::Client;
use super::context::Context;
use super::routes::Subject;
use crate::domain::{ErrorCode, Failure, Quoted, wall_clock};
use crate::providers::provider::Provider;
use crate::providers::routes::{Route, Target};
use ring::digest::{SHA256, digest};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The most answers and items whose makers are known: some 15 MB. The oldest is forgotten first.
const MAX_KNOWN: usize = 1 << 16;

/// How long a maker is known. Source: OpenAI keeps responses for 30 days.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest id that is remembered. OpenAI's have 55 bytes.
const MAX_ID_BYTES: usize = 128;

/// Who has something: one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The provider, by its name.
    pub provider: Arc<str>,
    /// Its credential, by its label.
    pub credential: Arc<str>,
}

/// The makers of answers and of their items.
#[derive(Default)]
pub struct Homes(Mutex<Known>);

#[derive(Default)]
struct Known {
    homes: HashMap<Arc<str>, (Home, Instant)>,
    /// The same, oldest first.
    order: VecDeque<Arc<str>>,
}

impl Homes {
    /// Notes who made an answer for a client, or items of one, by their ids.
    pub fn note(&self, client: &str, made: &[impl AsRef<str>], home: &Home, now: Instant) {
        let fitting = made.iter().map(AsRef::as_ref).filter(|id| id.len() <= MAX_ID_BYTES);
        let keys: Vec<Arc<str>> = fitting.map(|id| key(client, id).into()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            known.insert(key, home.clone(), now);
        }
    }

    /// Who made an answer or an item for a client.
    pub fn of(&self, client: &str, id: &str, now: Instant) -> Option<Home> {
        let key = key(client, id);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (home, since) = known.homes.get(key.as_str())?;
        (now.saturating_duration_since(*since) < KEPT_FOR).then(|| home.clone())
    }
}

impl Known {
    fn insert(&mut self, key: Arc<str>, home: Home, now: Instant) {
        if self.homes.insert(Arc::clone(&key), (home, now)).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.homes.remove(&oldest);
        }
    }
}

/// Clients' names have no line breaks: they stand in headers and logs.
fn key(client: &str, id: &str) -> String {
    format!("{client}\n{id}")
}

/// Who alone can serve a request; `None` where anybody may, or only one could in any case.
///
/// # Errors
/// When it refers to what is known to be made by who doesn't serve the model any more.
pub fn of(context: &Context, route: &Route, client: &Client, call: &Call) -> Result<Option<Home>, Failure> {
    if !matches!(call.endpoint.subject, Some(Subject::Conversation | Subject::Count)) {
        return Ok(None);
    }
    let now = wall_clock::now();
    let makers = || makers(context, route, call);
    let accounts = makers().map(|(_, provider)| provider.credentials().in_use(now));
    let mut more_than_one = accounts.scan(0, |sum, more| {
        *sum += more;
        Some(*sum > 1)
    });
    // Where there is but one account now, another may still be known to have made it.
    let reference = if more_than_one.any(|is_so| is_so) { call.reference() } else { call.earlier_answer() };
    let Some(reference) = reference else { return Ok(None) };
    let homes = &context.snapshot.homes;
    let at = Instant::now();
    match reference.made.iter().find_map(|id| homes.of(&client.name, id, at)) {
        Some(home) if makers().any(|(_, provider)| has(provider, &home)) => Ok(Some(home)),
        Some(_) => Err(moved_away(call)),
        None => Ok(stable(&client.name, candidates(call, makers).as_slice(), now)),
    }
}

/// Whose account it may be that nobody here saw making something: the provider's that the model names, else of all that
/// serve the model itself, and no fallback.
fn candidates<'c, M: Iterator<Item = (u32, &'c Provider)>>(
    call: &Call,
    makers: impl Fn() -> M,
) -> Vec<&'c Provider> {
    let (named, _) = call.model.split_once('/').unwrap_or_default();
    let nearest = makers().map(|(rank, _)| rank).min();
    match makers().find(|(_, provider)| **provider.name() == *named) {
        Some((_, provider)) => vec![provider],
        None => makers().filter(|(rank, _)| Some(*rank) == nearest).map(|(_, provider)| provider).collect(),
    }
}

/// The account of these providers that is always a client's, whatever their order, and on every node. One more or less
/// moves those clients alone whose it becomes, or was.
fn stable(client: &str, providers: &[&Provider], now: SystemTime) -> Option<Home> {
    let accounts = providers.iter().flat_map(|provider| {
        let labels = provider.credentials().labels_in_use(now).into_iter();
        labels.map(|credential| Home { provider: Arc::clone(provider.name()), credential })
    });
    highest(client, accounts)
}

/// The account whose name has the highest hash together with the client's: rendezvous hashing.
fn highest(client: &str, accounts: impl Iterator<Item = Home>) -> Option<Home> {
    let hash = |home: &Home| {
        let name = format!("{client}\n{}\n{}", home.provider, home.credential);
        digest(&SHA256, name.as_bytes()).as_ref().to_vec()
    };
    accounts.map(|home| (hash(&home), home)).max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, home)| home)
}

/// The providers that may be asked in the client's own words, each once, with the rank at which it is asked.
fn makers<'c>(
    context: &'c Context,
    route: &'c Route,
    call: &'c Call,
) -> impl Iterator<Item = (u32, &'c Provider)> {
    let is_first = |at: usize| {
        let before = route.targets.iter().take(at);
        before.into_iter().all(|target| target.provider != route.targets[at].provider)
    };
    let targets = route.targets.iter().enumerate().filter(move |(at, _)| is_first(*at));
    let provider = |target: &Target| context.snapshot.registry.provider(target.provider);
    targets
        .filter_map(move |(_, target)| Some((target.rank, &**provider(target)?)))
        .filter(|(_, provider)| choose::speaks(&provider.definition, call.endpoint))
}

fn has(provider: &Provider, home: &Home) -> bool {
    *provider.name() == home.provider && provider.credentials().named(&home.credential).is_some()
}

fn moved_away(call: &Call) -> Failure {
    let message = format!(
        "the account that made what this request refers to doesn't serve model {} here any more; send the conversation \
         itself instead",
        Quoted(&call.model)
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
        homes.note("ann", &["resp_1"], &home("a"), start);
        homes.note("bob", &["resp_1"], &home("b"), start);
        assert_eq!(homes.of("ann", "resp_1", start), Some(home("a")));
        assert_eq!(homes.of("bob", "resp_1", start + KEPT_FOR - Duration::from_secs(1)), Some(home("b")));
        assert_eq!(homes.of("bob", "resp_1", start + KEPT_FOR), None);
        assert_eq!(homes.of("", "resp_1", start), None);
    }

    #[test]
    fn as_many_answers_as_fit_are_known_and_one_more_drives_out_the_oldest() {
        let (homes, now) = (Homes::default(), Instant::now());
        for number in 0..MAX_KNOWN {
            homes.note("", &[number.to_string()], &home("a"), now);
        }
        // One that is known already takes no further room.
        homes.note("", &["1"], &home("b"), now);
        assert_eq!(homes.of("", "0", now), Some(home("a")));
        homes.note("", &["more"], &home("c"), now);
        assert_eq!((homes.of("", "0", now), homes.of("", "1", now)), (None, Some(home("b"))));
        assert_eq!(homes.0.lock().expect("no panic").homes.len(), MAX_KNOWN);
    }

    #[test]
    fn the_account_of_a_client_is_the_same_in_any_order_and_others_joining_or_leaving_move_few() {
        let accounts: Vec<Home> = ["a", "b", "c", "d"].map(home).into();
        let of = |client: usize, accounts: &[Home]| {
            highest(&client.to_string(), accounts.iter().cloned()).expect("one")
        };
        let backwards: Vec<Home> = accounts.iter().rev().cloned().collect();
        let mut clients = [0; 4];
        for client in 0..400 {
            let chosen = of(client, &accounts);
            assert_eq!(chosen, of(client, &backwards));
            let place = accounts.iter().position(|it| *it == chosen).expect("one of them");
            clients[place] += 1;
            // Without the last one only its own clients have another.
            assert_eq!(chosen == of(client, &accounts[..3]), place < 3);
        }
        assert!(clients.iter().all(|count| (60..140).contains(count)), "{clients:?}");
        assert_eq!(highest("x", std::iter::empty()), None);
    }

    #[test]
    fn an_id_as_long_as_any_is_remembered_and_a_longer_one_is_not() {
        let (homes, now) = (Homes::default(), Instant::now());
        for (length, is_known) in [(MAX_ID_BYTES, true), (MAX_ID_BYTES + 1, false)] {
            let id = "x".repeat(length);
            homes.note("", &[&id], &home("a"), now);
            assert_eq!(homes.of("", &id, now).is_some(), is_known, "{length}");
        }
    }
}
