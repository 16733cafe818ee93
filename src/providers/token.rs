//! A token that expires: held, renewed ahead of its end, and asked for once however many want it.
//!
//! Requests only read it: one load, no lock, as long as a valid one is there. It is renewed in the background from
//! three quarters of its life on; who finds none waits for the one asking that is under way. What could not be had is
//! left alone for a while that doubles, and meanwhile the old one serves until its end. Where tokens come from is the
//! caller's to know; time is an argument.

use crate::domain::Secret;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// The part of its life after which a token is renewed, and the most that chance adds, so that many gateways don't ask
/// at one moment.
const RENEW_AFTER: f64 = 0.75;
const RENEW_SPREAD: f64 = 0.1;
/// How long before its end a token isn't used any more: clocks differ, and requests travel. At most, and at most this
/// part of its life.
const MARGIN: Duration = Duration::from_secs(30);
const MARGIN_SHARE: u32 = 10;
/// How long is waited after the first failure, and after many.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A token that is refused although it is younger than this would be refused again.
const YOUNG: Duration = Duration::from_secs(60);
/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Why there is no token. Both name no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The endpoint said no.
    #[error("the token endpoint refused the credential: {0}")]
    Refused(String),
    /// The endpoint could not be asked, or was in no state to answer.
    #[error("the token endpoint gave no answer: {0}")]
    Unreachable(String),
}

/// What the token is good for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can be used.
    Ready,
    /// It can be used, and should be renewed.
    Due,
    /// There is none, and it should be asked for.
    Wanted,
    /// There is none, and it could not be had a moment ago.
    Barred,
    /// The same, and it should be tried once more, by nobody who has a request waiting.
    Overdue,
}

impl Readiness {
    /// Whether it can be put on a request as things are.
    pub const fn is_usable(self) -> bool {
        matches!(self, Readiness::Ready | Readiness::Due)
    }

    /// Whether a request may count on it, perhaps after a wait.
    pub const fn is_promising(self) -> bool {
        matches!(self, Readiness::Ready | Readiness::Due | Readiness::Wanted)
    }

    /// Whether the background should see to it.
    pub const fn wants_renewal(self) -> bool {
        matches!(self, Readiness::Due | Readiness::Wanted | Readiness::Overdue)
    }
}

/// A token as it was given.
pub struct Given {
    /// It.
    pub secret: Secret,
    /// How long it lives.
    pub lifetime: Duration,
}

/// A token that is held, as `T` is made of it.
pub struct Held<T> {
    /// What requests get.
    pub prepared: T,
    /// The token itself.
    pub secret: Secret,
    given_at: SystemTime,
    renew_at: SystemTime,
    usable_until: SystemTime,
}

/// What went wrong lately.
struct Trouble {
    error: NoToken,
    times: u32,
    again_at: SystemTime,
}

/// The place of a token.
pub struct Token<T> {
    held: ArcSwapOption<Held<T>>,
    trouble: ArcSwapOption<Trouble>,
    /// Whoever asks has it.
    turn: Mutex<()>,
}

impl<T> Token<T> {
    /// Empty.
    pub fn none() -> Token<T> {
        Token { held: ArcSwapOption::empty(), trouble: ArcSwapOption::empty(), turn: Mutex::new(()) }
    }

    /// What there is, valid or not.
    pub fn held(&self) -> Option<Arc<Held<T>>> {
        self.held.load_full()
    }

    /// What it is good for.
    pub fn readiness(&self, now: SystemTime) -> Readiness {
        let held = self.held.load();
        let valid = held.as_ref().filter(|held| now < held.usable_until);
        let is_fresh = valid.is_some_and(|held| now < held.renew_at);
        if is_fresh {
            return Readiness::Ready;
        }
        let trouble = self.trouble.load();
        match (valid, trouble.as_ref().map(|trouble| now < trouble.again_at)) {
            (Some(_), Some(true)) => Readiness::Ready,
            (Some(_), _) => Readiness::Due,
            (None, None) => Readiness::Wanted,
            (None, Some(true)) => Readiness::Barred,
            (None, Some(false)) => Readiness::Overdue,
        }
    }

    /// Asks for a new one by `ask`, unless somebody has meanwhile. `chance` is between 0 and 1.
    ///
    /// # Errors
    /// When none could be had; the old one, if there is one, stays.
    pub async fn renew(
        &self,
        now: SystemTime,
        chance: f64,
        ask: impl Future<Output = Result<(Given, T), NoToken>>,
    ) -> Result<(), NoToken> {
        let _turn = self.turn.lock().await;
        let readiness = self.readiness(now);
        if !readiness.wants_renewal() {
            let trouble = self.trouble.load_full().filter(|_| !readiness.is_usable());
            return trouble.map_or(Ok(()), |trouble| Err(trouble.error.clone()));
        }
        match ask.await {
            Ok((given, prepared)) => {
                self.held.store(Some(Arc::new(Held::new(given, prepared, now, chance))));
                self.trouble.store(None);
                Ok(())
            }
            Err(error) => {
                let times = self.trouble.load().as_ref().map_or(0, |trouble| trouble.times).saturating_add(1);
                let again_at = now + pause(times, chance);
                self.trouble.store(Some(Arc::new(Trouble { error: error.clone(), times, again_at })));
                Err(error)
            }
        }
    }

    /// It was refused by whom it is for: one that isn't quite new is thrown away.
    pub fn refused(&self, now: SystemTime) {
        let is_young = |held: &Held<T>| now.duration_since(held.given_at).is_ok_and(|age| age < YOUNG);
        if self.held.load().as_ref().is_some_and(|held| !is_young(held)) {
            self.held.store(None);
        }
    }
}

impl<T> Held<T> {
    fn new(given: Given, prepared: T, now: SystemTime, chance: f64) -> Held<T> {
        let lifetime = given.lifetime.min(LONGEST_LIFE);
        let margin = MARGIN.min(lifetime / MARGIN_SHARE);
        Held {
            prepared,
            secret: given.secret,
            given_at: now,
            renew_at: now + lifetime.mul_f64(RENEW_AFTER + RENEW_SPREAD * chance.clamp(0.0, 1.0)),
            usable_until: now + (lifetime - margin),
        }
    }
}

/// How long is waited after so many failures in a row: twice as long each time, give or take a fifth.
fn pause(times: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << times.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::UNIX_EPOCH;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn given(text: &'static str) -> Result<(Given, &'static str), NoToken> {
        Ok((Given { secret: Secret::new(text), lifetime: HOUR }, text))
    }

    fn down() -> Result<(Given, &'static str), NoToken> {
        Err(NoToken::Unreachable("down".to_owned()))
    }

    fn text(token: &Token<&'static str>) -> Option<&'static str> {
        token.held().map(|held| held.prepared)
    }

    #[tokio::test]
    async fn a_token_lives_through_its_states() {
        let token = Token::none();
        assert_eq!(token.readiness(at(0)), Readiness::Wanted);
        token.renew(at(0), 0.0, async { given("a") }).await.unwrap();
        for (seconds, expected) in [
            (0, Readiness::Ready),
            (2699, Readiness::Ready),
            (2700, Readiness::Due),
            (3569, Readiness::Due),
            (3570, Readiness::Wanted),
        ] {
            assert_eq!(token.readiness(at(seconds)), expected, "after {seconds} s");
        }
        token.renew(at(2700), 1.0, async { given("b") }).await.unwrap();
        assert_eq!((text(&token), token.readiness(at(2700 + 3059))), (Some("b"), Readiness::Ready));
        assert_eq!(token.readiness(at(2700 + 3061)), Readiness::Due, "chance moves the renewal");
    }

    #[tokio::test]
    async fn whoever_comes_second_does_not_ask() {
        let token = Token::none();
        let asked = Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            given("a")
        };
        let all = futures_util::future::join_all((0..100).map(|_| token.renew(at(0), 0.5, ask()))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn who_waited_for_a_failure_fails_without_asking() {
        let token: Token<&'static str> = Token::none();
        let asked = Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            down()
        };
        let all = futures_util::future::join_all((0..100).map(|_| token.renew(at(0), 0.5, ask()))).await;
        assert!(all.iter().all(|it| it == &Err(NoToken::Unreachable("down".to_owned()))));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn the_old_token_serves_until_its_end_while_no_new_one_is_to_be_had() {
        let token = Token::none();
        token.renew(at(0), 0.0, async { given("a") }).await.unwrap();
        assert!(token.renew(at(2700), 0.5, async { down() }).await.is_err());
        assert_eq!((token.readiness(at(2700)), text(&token)), (Readiness::Ready, Some("a")));
        assert_eq!(token.readiness(at(2701)), Readiness::Due, "tried once more after a second");
        assert!(token.renew(at(3569), 0.5, async { down() }).await.is_err());
        assert_eq!(token.readiness(at(3570)), Readiness::Barred);
        assert_eq!(token.readiness(at(3571)), Readiness::Overdue);
        assert!(!Readiness::Overdue.is_promising(), "no request waits for what is sick");
        token.renew(at(3571), 0.5, async { given("b") }).await.unwrap();
        assert_eq!(token.readiness(at(3571)), Readiness::Ready);
    }

    #[tokio::test]
    async fn a_token_that_is_refused_is_thrown_away_unless_it_is_new() {
        let token = Token::none();
        token.renew(at(0), 0.0, async { given("a") }).await.unwrap();
        token.refused(at(59));
        assert!(token.readiness(at(59)).is_usable());
        token.refused(at(60));
        assert_eq!(token.readiness(at(60)), Readiness::Wanted);
    }

    #[tokio::test]
    async fn who_leaves_while_asking_makes_room_for_the_next() {
        let token = Token::none();
        let left =
            tokio::time::timeout(Duration::ZERO, token.renew(at(0), 0.5, std::future::pending())).await;
        assert!(left.is_err());
        token.renew(at(0), 0.5, async { given("a") }).await.unwrap();
        assert_eq!(text(&token), Some("a"));
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        let seconds: Vec<u64> = (1..=11).map(|times| pause(times, 0.5).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(pause(u32::MAX, 1.0) <= LONGEST_PAUSE.mul_f64(1.2));
    }
}
