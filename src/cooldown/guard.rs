//! A [`Machine`] that many requests ask at once, and its one permit.
//!
//! Readers never wait: a word says that all is well, which it nearly always is, and behind it stands a copy of the machine
//! that is swapped whole. Writers, which are as rare as errors, take turns on [`Guard::machine`]. Budget of a look: one load
//! as long as nobody rests or has come back lately.

use super::machine::{Found, Machine, Pass, Phase, Transition};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One who may rest, as requests meet it.
#[derive(Debug, Default)]
pub struct Guard {
    /// The truth; whoever changes it holds this, and shows what became of it before letting go.
    machine: Mutex<Machine>,
    /// A copy for readers.
    shown: ArcSwap<Machine>,
    /// Whether the copy has anything to say.
    is_eventful: AtomicBool,
    /// Whether the one request is under way that may end a rest.
    is_taken: AtomicBool,
}

/// What a request holds that was let through. Dropping it gives the permit back, if it has one.
#[derive(Debug)]
pub struct Ticket {
    pass: Pass,
    permit: Option<Permit>,
}

#[derive(Debug)]
struct Permit {
    guard: Arc<Guard>,
    /// When the rest began that it was given for.
    since: Instant,
}

impl Ticket {
    /// One for whoever cools and is asked all the same.
    pub const LAST_RESORT: Ticket = Ticket { pass: Pass::LastResort, permit: None };

    /// On what terms the request was let through.
    pub fn pass(&self) -> Pass {
        self.pass
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.guard.is_taken.store(false, Ordering::Release);
    }
}

impl Guard {
    /// One in this state, as after a restart.
    pub fn of(machine: Machine) -> Guard {
        let guard = Guard::default();
        guard.change(|state| *state = machine);
        guard
    }

    /// The state.
    pub fn machine(&self) -> Machine {
        if self.is_eventful.load(Ordering::Acquire) { **self.shown.load() } else { Machine::default() }
    }

    /// Whether a request would be let through.
    pub fn admits(&self, now: Instant) -> bool {
        if !self.is_eventful.load(Ordering::Acquire) {
            return true;
        }
        match self.shown.load().pass(now) {
            Some(Pass::Open) => true,
            Some(_) => !self.is_taken.load(Ordering::Acquire),
            None => false,
        }
    }

    /// Lets a request through, if it may pass.
    pub fn take(self: &Arc<Guard>, now: Instant) -> Option<Ticket> {
        const OPEN: Ticket = Ticket { pass: Pass::Open, permit: None };
        if !self.is_eventful.load(Ordering::Acquire) {
            return Some(OPEN);
        }
        if self.shown.load().pass(now)? == Pass::Open {
            return Some(OPEN);
        }
        let taken = self.is_taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        taken.ok()?;
        // From here on it is given back on every path.
        let mut permit = Permit { guard: Arc::clone(self), since: now };
        // Looked at again: whoever had it before may have ended the rest.
        let machine = *self.lock();
        let pass = machine.pass(now)?;
        match machine.phase(now) {
            Phase::Closed => Some(OPEN),
            Phase::Cooling(rest) | Phase::Probation(rest) => {
                permit.since = rest.since;
                Some(Ticket { pass, permit: Some(permit) })
            }
        }
    }

    /// A request that was let through has ended. A permit says nothing of a rest that began after it was given.
    pub fn settle(&self, ticket: &Ticket, found: Found, max: Duration, now: Instant) -> Option<Transition> {
        if ticket.pass == Pass::Open {
            return None;
        }
        self.change(|machine| {
            let is_of_it = ticket.permit.as_ref().is_none_or(|permit| match machine.phase(now) {
                Phase::Closed => false,
                Phase::Cooling(rest) | Phase::Probation(rest) => rest.since == permit.since,
            });
            if is_of_it { machine.settle(ticket.pass, found, max, now) } else { None }
        })
    }

    /// Changes the state, one after the other.
    pub fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let result = change(&mut machine);
        self.shown.store(Arc::new(*machine));
        self.is_eventful.store(!machine.is_fresh(), Ordering::Release);
        result
    }

    /// A thread that panicked inside has changed nothing by halves: the state is one word of truth, written whole.
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reason::Reason;
    use super::*;
    use std::sync::atomic::AtomicUsize;

    const MAX: Duration = Duration::from_secs(3_600);
    const REST: Duration = Duration::from_secs(120);
    const FAILING: Found = Found::Failing { reason: Reason::Timeout, duration: REST, announced: None };

    fn tripped(now: Instant) -> Arc<Guard> {
        let guard = Arc::new(Guard::default());
        guard.change(|machine| machine.trip(Reason::Timeout, REST, MAX, now));
        guard
    }

    #[test]
    fn all_pass_until_it_rests_and_then_none() {
        let now = Instant::now();
        let guard = Arc::new(Guard::default());
        let (first, second) = (guard.take(now), guard.take(now));
        assert!(first.is_some() && second.is_some() && guard.admits(now));
        guard.change(|machine| machine.trip(Reason::Timeout, REST, MAX, now));
        assert!(guard.take(now).is_none() && !guard.admits(now));
    }

    #[test]
    fn one_at_a_time_is_let_through_on_probation_and_a_dropped_ticket_makes_room() {
        let start = Instant::now();
        let guard = tripped(start);
        let now = start + REST;
        let ticket = guard.take(now).expect("the permit");
        assert_eq!(ticket.pass(), Pass::Probation);
        assert!(guard.take(now).is_none() && !guard.admits(now));
        drop(ticket);
        let ticket = guard.take(now).expect("the permit again");
        assert_eq!(guard.settle(&ticket, Found::Well, MAX, now), Some(Transition::Closed));
        assert!(guard.admits(now) && guard.take(now).is_some_and(|ticket| ticket.pass() == Pass::Open));
    }

    #[test]
    fn a_permit_says_nothing_of_a_later_rest() {
        let start = Instant::now();
        let guard = tripped(start);
        let old = guard.take(start + REST).expect("the permit");
        guard.change(Machine::recover);
        let later = start + REST + REST;
        guard.change(|machine| machine.trip(Reason::Timeout, REST, MAX, later));
        assert_eq!(guard.settle(&old, Found::Well, MAX, later), None);
        assert!(guard.take(later).is_none());
    }

    #[test]
    fn of_many_threads_one_has_the_permit() {
        let start = Instant::now();
        let guard = tripped(start);
        let (now, inside, most) = (start + REST, AtomicUsize::new(0), AtomicUsize::new(0));
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let Some(ticket) = guard.take(now) else { continue };
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        taken.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(guard.settle(&ticket, Found::Nothing, MAX, now), None);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert!(taken.load(Ordering::SeqCst) > 0 && guard.admits(now));
    }

    #[test]
    fn whoever_was_let_through_before_the_rest_ended_waits_for_the_next() {
        // Failing again, it rests at once: nobody slips through between the permit's end and the next rest.
        let start = Instant::now();
        let guard = tripped(start);
        let now = start + REST;
        let ticket = guard.take(now).expect("the permit");
        assert!(matches!(guard.settle(&ticket, FAILING, MAX, now), Some(Transition::Cooled(_))));
        drop(ticket);
        assert!(guard.take(now).is_none());
        assert!(guard.take(now + 2 * REST).is_some());
    }
}
