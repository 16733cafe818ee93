//! Every fault in every dialect, streamed and not, with small and large bodies, by length and in chunks: what the
//! client gets, who is asked for it how often, and what is counted and told.

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

fn all(tables: &[&'static [Row]]) -> Vec<&'static Row> {
    tables.iter().copied().flatten().collect()
}

#[test]
fn every_fault_is_survived_or_told() {
    matrix::run(&all(&[crash_test::ROWS, more::ROWS]), "off", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_by_who_says_the_same() {
    matrix::run(&all(&[recovery::MATCH]), "match", SCALE);
}

#[test]
fn a_broken_stream_is_gone_on_with_from_where_it_stopped() {
    matrix::run(&all(&[recovery::CONTINUE]), "continue", SCALE);
}

#[test]
#[ignore = "takes as long as the faults do: `.ci/long` runs it"]
fn faults_of_time_are_survived_on_their_full_scale() {
    let is_timed = |row: &&Row| crash_test::TIMED.contains(&row.fault);
    matrix::run(&all(&[crash_test::ROWS]).into_iter().filter(is_timed).collect::<Vec<_>>(), "off", 1.0);
}
