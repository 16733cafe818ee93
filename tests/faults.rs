//! Every fault in every dialect, streamed and not, with small and large bodies, by length and in chunks: what the
//! client gets, who is asked for it how often, and what is counted and told.

mod budget;
mod case;
mod check;
mod crash_test;
mod matrix;
mod more;
mod recovery;
mod row;

use case::Mix;
use row::Row;

/// What the providers' times, and our timeouts of them, are multiplied by where nobody wants to wait.
const SCALE: f64 = 0.1;

#[test]
fn a_refusal_is_waited_out_or_made_good_by_another() {
    matrix::run(crash_test::REFUSED, Mix::Same, "off", SCALE);
}

#[test]
fn what_breaks_off_or_stalls_is_made_good_or_told() {
    matrix::run(crash_test::BROKEN, Mix::Same, "off", SCALE);
}

#[test]
fn a_requests_own_fault_is_told_at_once() {
    matrix::run(crash_test::OWN_FAULT, Mix::Same, "off", SCALE);
}

#[test]
fn errors_in_disguise_and_refusals_of_all_kinds_are_known() {
    matrix::run(more::REFUSED, Mix::Same, "off", SCALE);
}

#[test]
fn good_answers_in_odd_shapes_are_good() {
    matrix::run(more::ODD, Mix::Same, "off", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_by_who_says_the_same() {
    matrix::run(recovery::MATCH, Mix::Same, "match", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_from_where_it_stopped() {
    matrix::run(recovery::CONTINUE, Mix::Same, "continue", SCALE);
}

/// The crash test between dialects: whoever the client speaks like, whoever answers.
#[track_caller]
fn across(mix: Mix) {
    let tables = [crash_test::REFUSED, crash_test::BROKEN, crash_test::OWN_FAULT];
    let rows: Vec<Row> = tables.into_iter().flatten().copied().collect();
    matrix::run(&rows, mix, "off", SCALE);
}

#[test]
fn providers_of_the_next_dialect_are_as_good() {
    across(Mix::Foreign(1));
}

#[test]
fn providers_of_the_last_dialect_are_as_good() {
    across(Mix::Foreign(2));
}

#[test]
fn what_fails_in_the_clients_dialect_is_answered_in_another() {
    across(Mix::Onward);
}

#[test]
fn what_fails_in_another_dialect_is_answered_in_the_clients() {
    across(Mix::Home);
}

#[test]
#[ignore = "takes as long as the faults do: `.ci/long` runs it"]
fn faults_of_time_are_survived_on_their_full_scale() {
    let tables = [crash_test::REFUSED, crash_test::BROKEN];
    let is_timed = |row: &&Row| crash_test::TIMED.contains(&row.fault);
    let rows: Vec<Row> = tables.into_iter().flatten().filter(is_timed).copied().collect();
    matrix::run(&rows, Mix::Same, "off", 1.0);
}
