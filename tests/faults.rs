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

use row::Row;

/// What the providers' times, and our timeouts of them, are multiplied by where nobody wants to wait.
const SCALE: f64 = 0.1;

#[test]
fn a_refusal_is_waited_out_or_made_good_by_another() {
    matrix::run(crash_test::REFUSED, "off", SCALE);
}

#[test]
fn what_breaks_off_or_stalls_is_made_good_or_told() {
    matrix::run(crash_test::BROKEN, "off", SCALE);
}

#[test]
fn a_requests_own_fault_is_told_at_once() {
    matrix::run(crash_test::OWN_FAULT, "off", SCALE);
}

#[test]
fn errors_in_disguise_and_refusals_of_all_kinds_are_known() {
    matrix::run(more::REFUSED, "off", SCALE);
}

#[test]
fn good_answers_in_odd_shapes_are_good() {
    matrix::run(more::ODD, "off", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_by_who_says_the_same() {
    matrix::run(recovery::MATCH, "match", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_from_where_it_stopped() {
    matrix::run(recovery::CONTINUE, "continue", SCALE);
}

#[test]
#[ignore = "takes as long as the faults do: `.ci/long` runs it"]
fn faults_of_time_are_survived_on_their_full_scale() {
    let tables = [crash_test::REFUSED, crash_test::BROKEN];
    let is_timed = |row: &&Row| crash_test::TIMED.contains(&row.fault);
    let rows: Vec<Row> = tables.into_iter().flatten().filter(is_timed).copied().collect();
    matrix::run(&rows, "off", 1.0);
}
