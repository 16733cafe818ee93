//! How one provider, credential, or model of a credential rests and comes back: closed → cooling → probation → closed.
//!
//! Its words are those of circuit breakers: who is *closed* is asked like any other, who is *cooling* is not asked, and who is
//! on *probation* is asked by one request at a time. Nothing latches: what cools for long is looked at before its time is up,
//! ever more rarely, and who does well then is back.
//!
//! Pure: `now` is an argument, outcomes come in and transitions go out. Only a permit's holder may end a probation
//! ([`Pass`]); what attempts say that were begun before is old news.

use super::reason::Reason;
use std::time::{Duration, Instant};

/// After so long a rest is looked at for the first time, and then each time after twice as long.
pub const FIRST_CHECK: Duration = Duration::from_secs(30);
/// The share of requests with which somebody who has come back begins, in thousandths.
const FIRST_SHARE: u64 = 100;
const FULL_SHARE: u64 = 1_000;

/// Where a rest comes from, which says what may end it before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Too many errors, or an error on probation.
    Errors,
    /// The provider said when to come back; one real request may ask again once this long has passed.
    Announced {
        /// The pause after rate limits that the operator has set.
        pause: Duration,
    },
    /// An operator. Nothing but time and an operator ends it.
    Operator,
}

/// A rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Since when.
    pub since: Instant,
    /// Until when; probation follows.
    pub until: Instant,
    /// Why.
    pub reason: Reason,
    /// By whose word.
    pub source: Source,
    /// What a failed probation doubles.
    length: Duration,
    /// When it is looked at before its time.
    next_check: Option<Instant>,
    /// Whether it was found well before its time.
    is_healed: bool,
}

impl Rest {
    fn new(reason: Reason, source: Source, length: Duration, now: Instant) -> Rest {
        let until = now.checked_add(length).unwrap_or(now);
        let mut rest = Rest { since: now, until, reason, source, length, next_check: None, is_healed: false };
        rest.next_check = rest.first_check().and_then(|first| now.checked_add(first));
        rest
    }

    /// The rest of a process that ended, in the time of this one.
    pub fn restored(since: Instant, until: Instant, reason: Reason, source: Source) -> Rest {
        let length = until.saturating_duration_since(since);
        Rest { until, ..Rest::new(reason, source, length, since) }
    }

    /// How long after its beginning it is looked at, if at all. The pause after rate limits protects the operator's address
    /// and is kept; what neither errors nor a provider's own word began is not for us to end.
    fn first_check(&self) -> Option<Duration> {
        match self.source {
            Source::Errors if self.reason.is_failure() => Some(FIRST_CHECK),
            Source::Announced { pause } => Some(FIRST_CHECK.max(pause)),
            Source::Errors | Source::Operator => None,
        }
    }

    /// The next look, after one that found nothing better.
    fn put_off(&mut self, now: Instant) {
        let Some(mut after) = self.first_check() else { return };
        while self.since + after <= now {
            after = after.saturating_mul(2);
        }
        self.next_check = self.since.checked_add(after);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next_check.is_some_and(|at| at <= now && at < self.until)
    }
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Asked like any other.
    Closed,
    /// Not asked.
    Cooling(Rest),
    /// Asked by one request at a time, after this rest.
    Probation(Rest),
}

/// On what terms a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Like any other.
    Open,
    /// As the only one, to see whether the rest is over.
    Probation,
    /// As the only one, to see whether an announced rest may end before its time.
    Check,
    /// Though it cools, since nobody else is left.
    LastResort,
}

/// What a request that was let through found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was answered.
    Well,
    /// It failed for this reason, for which the operator has set this rest; the provider may have said when to come back.
    Failing {
        /// Why.
        reason: Reason,
        /// How long such an error makes one rest.
        duration: Duration,
        /// After how long the provider wants to be asked again.
        announced: Option<Duration>,
    },
    /// Nothing: the client left, or asked for what nobody could answer.
    Nothing,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A rest begins, or begins anew.
    Cooled(Rest),
    /// A rest was made longer.
    Extended(Rest),
    /// A rest is over before its time, and probation follows.
    Healed(Rest),
    /// It is back.
    Closed,
}

/// The state of one who may rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    rest: Option<Rest>,
    closed_at: Option<Instant>,
}

impl Machine {
    /// One that goes on with a rest.
    pub fn resting(rest: Rest) -> Machine {
        Machine { rest: Some(rest), closed_at: None }
    }

    /// Whether it has never rested, or nothing is left of it.
    pub fn is_fresh(&self) -> bool {
        self.rest.is_none() && self.closed_at.is_none()
    }

    /// Where it stands.
    pub fn phase(&self, now: Instant) -> Phase {
        match self.rest {
            None => Phase::Closed,
            Some(rest) if rest.is_healed || rest.until <= now => Phase::Probation(rest),
            Some(rest) => Phase::Cooling(rest),
        }
    }

    /// On what terms a request may be sent; `None` where it may not. All but [`Pass::Open`] are for one at a time.
    pub fn pass(&self, now: Instant) -> Option<Pass> {
        match self.phase(now) {
            Phase::Closed => Some(Pass::Open),
            Phase::Probation(_) => Some(Pass::Probation),
            Phase::Cooling(rest) => {
                let may_ask = matches!(rest.source, Source::Announced { .. }) && rest.is_due(now);
                may_ask.then_some(Pass::Check)
            }
        }
    }

    /// Whether a probe without a token is to see if a rest may end before its time.
    pub fn wants_probe(&self, now: Instant) -> bool {
        matches!(self.phase(now), Phase::Cooling(rest) if rest.source == Source::Errors && rest.is_due(now))
    }

    /// The share of its requests that it may have, in thousandths: for a while after its return it is less than all.
    pub fn share(&self, slow_start: Duration, now: Instant) -> u32 {
        let Some(closed_at) = self.closed_at.filter(|_| self.rest.is_none()) else {
            return FULL_SHARE as u32;
        };
        let passed = now.saturating_duration_since(closed_at).as_millis();
        let grown = (u128::from(FULL_SHARE - FIRST_SHARE) * passed).checked_div(slow_start.as_millis());
        let share =
            grown.map_or(FULL_SHARE, |grown| FIRST_SHARE + u64::try_from(grown).unwrap_or(FULL_SHARE));
        share.min(FULL_SHARE) as u32
    }

    /// There were too many errors among those who are asked like any other.
    pub fn trip(
        &mut self,
        reason: Reason,
        length: Duration,
        max: Duration,
        now: Instant,
    ) -> Option<Transition> {
        if self.rest.is_some() {
            return None;
        }
        Some(self.cool(Rest::new(reason, Source::Errors, length.min(max), now)))
    }

    /// The provider said when to come back. It is believed up to `max`; a new word makes a rest longer, never shorter.
    pub fn announce(
        &mut self,
        reason: Reason,
        after: Duration,
        pause: Duration,
        max: Duration,
        now: Instant,
    ) -> Option<Transition> {
        let new = Rest::new(reason, Source::Announced { pause }, after.min(max), now);
        match self.phase(now) {
            Phase::Closed => Some(self.cool(new)),
            // Only the permit's holder knows how it stands there.
            Phase::Probation(_) => None,
            Phase::Cooling(rest) if rest.source == Source::Operator || rest.until >= new.until => None,
            Phase::Cooling(rest) => {
                let longer = Rest { until: new.until, length: new.until - rest.since, ..rest };
                self.rest = Some(longer);
                Some(Transition::Extended(longer))
            }
        }
    }

    /// A request that was let through on these terms has ended. What one says that was like any other does not count here:
    /// that is for [`super::trigger`] to judge.
    pub fn settle(&mut self, pass: Pass, found: Found, max: Duration, now: Instant) -> Option<Transition> {
        let rest = self.rest?;
        if rest.source == Source::Operator && now < rest.until {
            return None;
        }
        match (pass, found) {
            (Pass::Open, _) | (_, Found::Nothing) => None,
            (Pass::LastResort, Found::Well) => self.heal(now),
            (Pass::LastResort, Found::Failing { .. }) => None,
            (Pass::Probation | Pass::Check, Found::Well) => Some(self.close(now)),
            (Pass::Probation, Found::Failing { reason, duration, announced }) => {
                let doubled = match rest.source {
                    Source::Operator => duration,
                    Source::Errors | Source::Announced { .. } => rest.length.saturating_mul(2),
                };
                let source = match announced {
                    Some(_) => Source::Announced { pause: duration },
                    None => Source::Errors,
                };
                let length = announced.map_or(doubled, |announced| doubled.max(announced)).min(max);
                Some(self.cool(Rest::new(reason, source, length, now)))
            }
            // Whatever it announces now: its time is up when it was.
            (Pass::Check, Found::Failing { .. }) => {
                self.check_failed(now);
                None
            }
        }
    }

    /// A probe found it well: probation follows.
    pub fn heal(&mut self, now: Instant) -> Option<Transition> {
        let Phase::Cooling(rest) = self.phase(now) else { return None };
        if rest.source == Source::Operator {
            return None;
        }
        let rest = Rest { is_healed: true, ..rest };
        self.rest = Some(rest);
        Some(Transition::Healed(rest))
    }

    /// A look before its time found nothing better: the rest stays as it is, and the next look comes later.
    pub fn check_failed(&mut self, now: Instant) {
        if let Some(rest) = &mut self.rest {
            rest.put_off(now);
        }
    }

    /// An operator wants it to rest so long.
    pub fn cool_by_hand(&mut self, length: Duration, now: Instant) -> Transition {
        self.cool(Rest::new(Reason::Manual, Source::Operator, length, now))
    }

    /// An operator wants it back, at once and with its full share.
    pub fn recover(&mut self) -> Option<Transition> {
        self.closed_at = None;
        self.rest.take().map(|_| Transition::Closed)
    }

    fn cool(&mut self, rest: Rest) -> Transition {
        self.rest = Some(rest);
        Transition::Cooled(rest)
    }

    fn close(&mut self, now: Instant) -> Transition {
        *self = Machine { rest: None, closed_at: Some(now) };
        Transition::Closed
    }
}

#[cfg(test)]
mod tests;
