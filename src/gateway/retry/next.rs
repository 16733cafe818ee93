//! What is done after an attempt that failed: one decision, from the class of the failure and what is left.
//!
//! DECISIONS, section 4, as code. Who exactly is asked next is the strategy's business, and whether the extra
//! load is affordable the budget's.

use crate::domain::ErrorClass;
use std::time::Duration;

/// How many answers a model may fail at before the client is told. Mostly it is chance, and the second is a good one; where
/// the request itself makes models fail, each more costs tokens and time for nothing.
const MODEL_TRIES: usize = 2;

/// What is known when an attempt has failed.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// What it met.
    pub class: ErrorClass,
    /// Whether there are no words for the request at who was to be asked: a matter between the two.
    pub is_unsaid: bool,
    /// When the first of the tier wants to be asked again, from now, if any said so.
    pub hint: Option<Duration>,
    /// Whether the one that failed said so.
    pub says_when: bool,
    /// Attempts that the request may still make.
    pub attempts_left: u32,
    /// Time that the request still has.
    pub time_left: Duration,
    /// Whether the same target may be asked with another credential.
    pub has_credential: bool,
    /// Whether another candidate of the same tier is left.
    pub has_equal: bool,
    /// Whether any other candidate is left.
    pub has_other: bool,
    /// Whether there was but one candidate from the start.
    pub is_alone: bool,
    /// Whether this tier has had its one retry.
    pub has_retried: bool,
    /// How many of the request's attempts a model failed at, this one included.
    pub model_failures: usize,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same target is asked with another credential.
    Credential,
    /// Another candidate is asked.
    Candidate,
    /// The same provider is asked again.
    Again(Wait),
    /// Nothing: the client gets what there is.
    GiveUp,
}

/// How long before the same provider is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// As backoff has it.
    Backoff,
    /// As long as the provider said.
    Hinted(Duration),
}

/// Decides. A hint longer than `wait_max` is not waited for.
pub fn decide(standing: &Standing, wait_max: Duration) -> Next {
    use ErrorClass::{Auth, ContextLength, ModelFailed, RateLimit};
    if standing.attempts_left == 0 || standing.time_left.is_zero() {
        return Next::GiveUp;
    }
    let elsewhere = if standing.has_other { Next::Candidate } else { Next::GiveUp };
    match standing.class {
        Auth | RateLimit if standing.has_credential => Next::Credential,
        // Of the larger contexts that are left; the caller counts no others.
        ContextLength => elsewhere,
        _ if standing.is_unsaid => elsewhere,
        class if !class.moves_on() => Next::GiveUp,
        ModelFailed if standing.model_failures >= MODEL_TRIES => Next::GiveUp,
        _ if standing.has_equal => Next::Candidate,
        _ => again(standing, wait_max).map_or(elsewhere, Next::Again),
    }
}

/// How long until one of this tier is asked once more, if that is any use: once before a tier is left, as often as
/// attempts allow where there is nobody else.
fn again(standing: &Standing, wait_max: Duration) -> Option<Wait> {
    use ErrorClass::{ModelFailed, Overloaded, RateLimit, ServerError, Transport, Truncated};
    if standing.has_retried && !standing.is_alone {
        return None;
    }
    let is_short = |hint: &Duration| *hint <= wait_max && *hint < standing.time_left;
    if let Some(hint) = standing.hint.filter(is_short) {
        return Some(Wait::Hinted(hint));
    }
    match standing.class {
        _ if standing.says_when => None,
        Overloaded | ServerError => Some(Wait::Backoff),
        // A limit that names no end is better waited out elsewhere.
        RateLimit | Transport | Truncated if standing.is_alone => Some(Wait::Backoff),
        // What one model failed at another may not.
        ModelFailed if !standing.has_other => Some(Wait::Backoff),
        // One that was silent is not asked twice: who waited in vain once would wait again.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT_MAX: Duration = Duration::from_secs(3);
    const HINT: Duration = Duration::from_secs(2);

    /// Alone, with all attempts and time left.
    fn alone(class: ErrorClass) -> Standing {
        Standing {
            class,
            is_unsaid: false,
            hint: None,
            says_when: false,
            attempts_left: 3,
            time_left: Duration::from_secs(600),
            has_credential: false,
            has_equal: false,
            has_other: false,
            is_alone: true,
            has_retried: false,
            model_failures: usize::from(class == ErrorClass::ModelFailed),
        }
    }

    /// The last of its tier, with another tier below.
    fn above(class: ErrorClass) -> Standing {
        Standing { has_other: true, is_alone: false, ..alone(class) }
    }

    /// With another candidate of the same tier.
    fn beside(class: ErrorClass) -> Standing {
        Standing { has_equal: true, ..above(class) }
    }

    #[test]
    fn what_one_has_no_words_for_another_is_asked() {
        let unsaid = |standing| Standing { is_unsaid: true, ..standing };
        assert_eq!(decide(&above(ErrorClass::InvalidRequest), WAIT_MAX), Next::GiveUp);
        assert_eq!(decide(&unsaid(above(ErrorClass::InvalidRequest)), WAIT_MAX), Next::Candidate);
        assert_eq!(decide(&unsaid(alone(ErrorClass::InvalidRequest)), WAIT_MAX), Next::GiveUp);
    }

    #[test]
    fn each_class_has_its_answer() {
        use ErrorClass::*;
        const BACKOFF: Next = Next::Again(Wait::Backoff);
        for (class, beside_another, above_another, on_its_own) in [
            (RateLimit, Next::Candidate, Next::Candidate, BACKOFF),
            (Overloaded, Next::Candidate, BACKOFF, BACKOFF),
            (ServerError, Next::Candidate, BACKOFF, BACKOFF),
            (Timeout, Next::Candidate, Next::Candidate, Next::GiveUp),
            (Transport, Next::Candidate, Next::Candidate, BACKOFF),
            (Truncated, Next::Candidate, Next::Candidate, BACKOFF),
            (Auth, Next::Candidate, Next::Candidate, Next::GiveUp),
            (ModelNotFound, Next::Candidate, Next::Candidate, Next::GiveUp),
            (ContextLength, Next::Candidate, Next::Candidate, Next::GiveUp),
            (ContentFilter, Next::GiveUp, Next::GiveUp, Next::GiveUp),
            (InvalidRequest, Next::GiveUp, Next::GiveUp, Next::GiveUp),
            (ModelFailed, Next::Candidate, Next::Candidate, BACKOFF),
            (Cancelled, Next::GiveUp, Next::GiveUp, Next::GiveUp),
            (Gateway, Next::GiveUp, Next::GiveUp, Next::GiveUp),
        ] {
            assert_eq!(decide(&beside(class), WAIT_MAX), beside_another, "{class} beside another");
            assert_eq!(decide(&above(class), WAIT_MAX), above_another, "{class} above another");
            assert_eq!(decide(&alone(class), WAIT_MAX), on_its_own, "{class} alone");
        }
    }

    #[test]
    fn a_hint_is_waited_out_before_a_tier_is_left_and_only_up_to_the_limit() {
        for class in [ErrorClass::RateLimit, ErrorClass::Overloaded] {
            for standing in [above(class), alone(class)] {
                let hinted =
                    |hint| decide(&Standing { hint: Some(hint), says_when: true, ..standing }, WAIT_MAX);
                let elsewhere = if standing.has_other { Next::Candidate } else { Next::GiveUp };
                assert_eq!(hinted(HINT), Next::Again(Wait::Hinted(HINT)));
                assert_eq!(hinted(WAIT_MAX), Next::Again(Wait::Hinted(WAIT_MAX)));
                assert_eq!(hinted(WAIT_MAX + Duration::from_millis(1)), elsewhere);
            }
            let equal = Standing { hint: Some(HINT), ..beside(class) };
            assert_eq!(decide(&equal, WAIT_MAX), Next::Candidate, "nobody waits while an equal is free");
        }
    }

    #[test]
    fn whatever_failed_last_one_of_the_tier_that_will_be_back_is_waited_for() {
        use ErrorClass::*;
        let told = |class, hint| decide(&Standing { hint: Some(hint), ..above(class) }, WAIT_MAX);
        for class in [Timeout, Transport, Truncated, Auth, ModelNotFound, ServerError] {
            assert_eq!(told(class, HINT), Next::Again(Wait::Hinted(HINT)), "{class}");
            let too_long = if class == ServerError { Next::Again(Wait::Backoff) } else { Next::Candidate };
            assert_eq!(
                told(class, WAIT_MAX + HINT),
                too_long,
                "{class}: of another, which says nothing of it"
            );
        }
        assert_eq!(told(InvalidRequest, HINT), Next::GiveUp);
    }

    #[test]
    fn one_retry_before_a_tier_is_left_and_as_many_as_there_are_attempts_alone() {
        let retried = |standing| decide(&Standing { has_retried: true, ..standing }, WAIT_MAX);
        assert_eq!(retried(above(ErrorClass::ServerError)), Next::Candidate);
        assert_eq!(retried(alone(ErrorClass::ServerError)), Next::Again(Wait::Backoff));
        let last = Standing { has_other: false, ..above(ErrorClass::ServerError) };
        assert_eq!(decide(&last, WAIT_MAX), Next::Again(Wait::Backoff), "the last tier has one, too");
        assert_eq!(retried(last), Next::GiveUp);
    }

    #[test]
    fn a_model_that_failed_has_one_more_try_wherever_that_is() {
        for standing in [alone, above, beside].map(|with| with(ErrorClass::ModelFailed)) {
            let second = Standing { model_failures: MODEL_TRIES, ..standing };
            assert_ne!(decide(&standing, WAIT_MAX), Next::GiveUp);
            assert_eq!(decide(&second, WAIT_MAX), Next::GiveUp);
        }
        let last = Standing { is_alone: false, ..alone(ErrorClass::ModelFailed) };
        assert_eq!(decide(&last, WAIT_MAX), Next::Again(Wait::Backoff), "the others failed otherwise");
    }

    #[test]
    fn another_credential_comes_first() {
        for class in [ErrorClass::Auth, ErrorClass::RateLimit] {
            let standing = Standing { has_credential: true, ..beside(class) };
            assert_eq!(decide(&standing, WAIT_MAX), Next::Credential);
        }
        let standing = Standing { has_credential: true, ..alone(ErrorClass::ServerError) };
        assert_eq!(decide(&standing, WAIT_MAX), Next::Again(Wait::Backoff), "no key mends a server");
    }

    #[test]
    fn nothing_is_done_without_attempts_or_time() {
        for class in ErrorClass::ALL {
            let spent = Standing { attempts_left: 0, ..beside(class) };
            let late = Standing { time_left: Duration::ZERO, ..beside(class) };
            assert_eq!(decide(&spent, WAIT_MAX), Next::GiveUp);
            assert_eq!(decide(&late, WAIT_MAX), Next::GiveUp);
            let hint = Some(HINT);
            let short = Standing { time_left: HINT, hint, says_when: true, ..alone(class) };
            assert!(!matches!(decide(&short, WAIT_MAX), Next::Again(_)), "{class}: no time for the wait");
        }
    }
}
