//! Rests, step by step and at random: what ends them, what makes them longer, and that none lasts for ever.

use super::*;
use proptest::prelude::*;

const MAX: Duration = secs(3_600);
const PAUSE: Duration = secs(600);
const ERROR: Duration = secs(120);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failing(announced: Option<Duration>) -> Found {
    Found::Failing { reason: Reason::ServerError, duration: ERROR, announced }
}

/// One that rests since `start` after errors.
fn tripped(start: Instant) -> Machine {
    let mut machine = Machine::default();
    assert!(matches!(machine.trip(Reason::ServerError, ERROR, MAX, start), Some(Transition::Cooled(_))));
    machine
}

fn until(machine: &Machine, now: Instant) -> Option<Instant> {
    match machine.phase(now) {
        Phase::Closed => None,
        Phase::Cooling(rest) | Phase::Probation(rest) => Some(rest.until),
    }
}

#[test]
fn a_rest_ends_in_probation_and_a_good_answer_ends_that() {
    let start = Instant::now();
    let mut machine = tripped(start);
    assert_eq!(machine.pass(start + secs(119)), None);
    let now = start + ERROR;
    assert_eq!(machine.pass(now), Some(Pass::Probation));
    assert_eq!(machine.settle(Pass::Probation, Found::Nothing, MAX, now), None, "nothing was learnt");
    assert_eq!(machine.pass(now), Some(Pass::Probation));
    assert_eq!(machine.settle(Pass::Probation, Found::Well, MAX, now), Some(Transition::Closed));
    assert_eq!(machine.pass(now), Some(Pass::Open));
}

#[test]
fn a_failed_probation_doubles_the_rest_up_to_the_longest() {
    let mut now = Instant::now();
    let mut machine = tripped(now);
    for expected in [240, 480, 960, 1_920, 3_600, 3_600] {
        now = until(&machine, now).expect("a rest");
        assert!(machine.settle(Pass::Probation, failing(None), MAX, now).is_some());
        assert_eq!(until(&machine, now), Some(now + secs(expected)));
    }
}

#[test]
fn what_older_attempts_say_changes_nothing() {
    let start = Instant::now();
    let mut machine = tripped(start);
    let now = start + secs(1);
    assert_eq!(machine.trip(Reason::Timeout, MAX, MAX, now), None);
    assert_eq!(machine.settle(Pass::Open, failing(None), MAX, now), None);
    assert_eq!(machine.settle(Pass::Open, Found::Well, MAX, now), None);
    let later = start + ERROR;
    assert_eq!(machine.announce(Reason::RateLimit, MAX, PAUSE, MAX, later), None, "on probation");
    assert_eq!(machine.pass(later), Some(Pass::Probation));
}

#[test]
fn an_announced_rest_is_believed_so_far_and_only_ever_longer() {
    let start = Instant::now();
    let mut machine = Machine::default();
    machine.announce(Reason::RateLimit, secs(86_400), PAUSE, MAX, start);
    assert_eq!(until(&machine, start), Some(start + MAX));
    let mut machine = Machine::default();
    machine.announce(Reason::RateLimit, secs(20), PAUSE, MAX, start);
    assert_eq!(machine.announce(Reason::RateLimit, secs(10), PAUSE, MAX, start), None);
    let longer = machine.announce(Reason::RateLimit, secs(15), PAUSE, MAX, start + secs(10));
    assert!(matches!(longer, Some(Transition::Extended(_))));
    assert_eq!(until(&machine, start), Some(start + secs(25)));
}

#[test]
fn a_provider_that_announces_a_day_and_is_back_after_a_minute_serves_within_two() {
    let start = Instant::now();
    let mut machine = Machine::default();
    machine.announce(Reason::RateLimit, secs(86_400), secs(30), MAX, start);
    let mut checks = Vec::new();
    for second in 0..=120 {
        let now = start + secs(second);
        let Some(pass) = machine.pass(now) else { continue };
        if pass == Pass::Open {
            break;
        }
        checks.push(second);
        let found = if second < 60 { failing(Some(secs(86_400) - secs(second))) } else { Found::Well };
        machine.settle(pass, found, MAX, now);
    }
    assert_eq!(checks, [30, 60]);
    assert_eq!(machine.pass(start + secs(61)), Some(Pass::Open));
}

#[test]
fn looks_before_the_time_come_ever_more_rarely_and_keep_the_deadline() {
    let start = Instant::now();
    let mut machine = Machine::default();
    machine.trip(Reason::Transport, secs(600), MAX, start);
    let mut looks = Vec::new();
    for second in 0..600 {
        let now = start + secs(second);
        assert_eq!(machine.pass(now), None, "no request is spent on it");
        if machine.wants_probe(now) {
            looks.push(second);
            machine.check_failed(now);
        }
    }
    assert_eq!(looks, [30, 60, 120, 240, 480]);
    assert_eq!(until(&machine, start), Some(start + secs(600)));
    machine.settle(Pass::Probation, failing(None), MAX, start + secs(600));
    assert_eq!(until(&machine, start), Some(start + secs(1_800)));
}

#[test]
fn a_pause_after_rate_limits_and_a_short_rest_are_kept_to_their_end() {
    let start = Instant::now();
    for (reason, length) in [(Reason::RateLimit, 600), (Reason::ServerError, 30)] {
        let mut machine = Machine::default();
        machine.trip(reason, secs(length), MAX, start);
        for second in 0..length {
            let now = start + secs(second);
            assert!(!machine.wants_probe(now) && machine.pass(now).is_none(), "{reason} at {second}");
        }
    }
}

#[test]
fn who_is_found_well_before_the_time_is_on_probation() {
    let start = Instant::now();
    let mut machine = tripped(start);
    let now = start + secs(30);
    assert!(machine.wants_probe(now));
    assert!(matches!(machine.heal(now), Some(Transition::Healed(_))));
    assert_eq!((machine.pass(now), machine.wants_probe(now)), (Some(Pass::Probation), false));
    machine.settle(Pass::Probation, failing(None), MAX, now);
    assert_eq!(until(&machine, now), Some(now + secs(240)));
    assert!(machine.settle(Pass::LastResort, Found::Well, MAX, now).is_some());
    assert_eq!(machine.pass(now), Some(Pass::Probation));
}

#[test]
fn an_operators_word_wins_over_everything() {
    let start = Instant::now();
    let mut machine = tripped(start);
    machine.cool_by_hand(secs(10), start);
    assert_eq!(until(&machine, start), Some(start + secs(10)), "shorter, if they say so");
    machine.cool_by_hand(secs(7_200), start);
    for second in [30, 60, 7_199] {
        let now = start + secs(second);
        assert_eq!((machine.pass(now), machine.wants_probe(now)), (None, false));
        assert_eq!(machine.heal(now), None);
        assert_eq!(machine.announce(Reason::RateLimit, MAX, PAUSE, MAX, now), None);
        assert_eq!(machine.settle(Pass::Check, Found::Well, MAX, now), None);
    }
    assert_eq!(machine.recover(), Some(Transition::Closed));
    assert_eq!((machine.recover(), machine.pass(start)), (None, Some(Pass::Open)));
    assert_eq!(machine.share(secs(30), start), 1_000, "at once with its full share");
}

#[test]
fn who_comes_back_gets_its_share_little_by_little() {
    let start = Instant::now();
    let mut machine = tripped(start);
    assert_eq!(Machine::default().share(secs(30), start), 1_000);
    let back = start + ERROR;
    machine.settle(Pass::Probation, Found::Well, MAX, back);
    for (after, share) in [(0, 100), (10, 400), (15, 550), (30, 1_000), (86_400, 1_000)] {
        assert_eq!(machine.share(secs(30), back + secs(after)), share, "after {after} s");
    }
    assert_eq!(machine.share(Duration::ZERO, back), 1_000, "0 is off");
}

#[test]
fn a_rest_goes_on_after_a_restart() {
    let start = Instant::now();
    let source = Source::Announced { pause: secs(30) };
    let rest = Rest::restored(start, start + secs(600), Reason::RateLimit, source);
    let now = start + secs(100);
    let machine = Machine::resting(rest);
    assert_eq!(until(&machine, now), Some(start + secs(600)));
    assert_eq!(machine.pass(now), Some(Pass::Check), "it was due meanwhile");
}

/// What may happen to one.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Trip(u64),
    Announce(u64),
    /// A request takes whatever terms there are, and finds this.
    Ask(Found),
    Straggle(Found),
    LastResort(Found),
    Probe(bool),
    Cool(u64),
    Recover,
}

fn found() -> impl Strategy<Value = Found> {
    prop_oneof![
        Just(Found::Well),
        Just(Found::Nothing),
        prop::option::of(0_u64..100_000).prop_map(|announced| failing(announced.map(secs))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..2_000).prop_map(Step::Wait),
        1 => (1_u64..10_000).prop_map(Step::Trip),
        1 => (0_u64..100_000).prop_map(Step::Announce),
        4 => found().prop_map(Step::Ask),
        1 => found().prop_map(Step::Straggle),
        1 => found().prop_map(Step::LastResort),
        1 => any::<bool>().prop_map(Step::Probe),
        1 => (1_u64..10_000).prop_map(Step::Cool),
        1 => Just(Step::Recover),
    ]
}

proptest! {
    /// Whatever happens: no rest of ours is longer than the longest, an operator's ends by time or an operator alone, a
    /// rest is never made shorter by what providers say, and whoever is left alone is asked again.
    #[test]
    fn nothing_latches(steps in prop::collection::vec(step(), 1..200)) {
        let (mut machine, mut now) = (Machine::default(), Instant::now());
        for step in steps {
            let before = machine.phase(now);
            match step {
                Step::Wait(seconds) => now += secs(seconds),
                Step::Trip(length) => { machine.trip(Reason::Timeout, secs(length), MAX, now); }
                Step::Announce(after) => { machine.announce(Reason::RateLimit, secs(after), PAUSE, MAX, now); }
                Step::Ask(found) => if let Some(pass) = machine.pass(now) {
                    machine.settle(pass, found, MAX, now);
                },
                Step::Straggle(found) => { machine.settle(Pass::Open, found, MAX, now); }
                Step::LastResort(found) => { machine.settle(Pass::LastResort, found, MAX, now); }
                Step::Probe(is_well) => if machine.wants_probe(now) {
                    if is_well { machine.heal(now); } else { machine.check_failed(now); }
                },
                Step::Cool(length) => { machine.cool_by_hand(secs(length), now); }
                Step::Recover => { machine.recover(); }
            }
            let after = machine.phase(now);
            if let Phase::Cooling(rest) = after {
                prop_assert!(rest.until > now);
                prop_assert!(rest.source == Source::Operator || rest.until <= now + MAX, "{rest:?}");
            }
            let is_by_hand = matches!(step, Step::Cool(_) | Step::Recover);
            if let (Phase::Cooling(old), false, false) = (before, is_by_hand, matches!(step, Step::Wait(_))) {
                match after {
                    Phase::Cooling(new) if new.since == old.since => prop_assert!(new.until >= old.until),
                    Phase::Cooling(_) => prop_assert!(false, "a new rest in a rest: {old:?}, {after:?}"),
                    _ => prop_assert!(old.source != Source::Operator, "{step:?}"),
                }
            }
            prop_assert_eq!(machine.pass(now) == Some(Pass::Open), after == Phase::Closed);
        }
        // Left alone, it is asked again once its rest is over.
        let rested = until(&machine, now).unwrap_or(now).max(now);
        prop_assert!(machine.pass(rested).is_some());
    }
}
