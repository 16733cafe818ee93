//! How long an input may take: so long as its length, whatever is in it.
//!
//! What grows faster than its input is found long before it would take seconds. The bounds are some ten times what the
//! slowest honest input takes in a build that counts its own steps. Time is the thread's own, so that other work on the
//! machine is not held against an input; with `FUZZ_UNTIMED` set, nothing is, as where no figure of time may decide.

use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Whatever the length.
const BASE: Duration = Duration::from_millis(8);

/// For each byte.
const PER_BYTE: Duration = Duration::from_nanos(1_500);

/// Whether time is looked at.
static IS_TIMED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_UNTIMED").is_none());

/// Runs a check, and panics if it takes longer than its length allows, three times in a row.
pub fn within(length: usize, check: impl Fn()) {
    let most = BASE + PER_BYTE * u32::try_from(length).unwrap_or(u32::MAX);
    let begun = Instant::now();
    check();
    if begun.elapsed() <= most || !*IS_TIMED {
        return;
    }
    let mut spent = Duration::MAX;
    for _ in 0..3 {
        let before = on_cpu();
        check();
        spent = spent.min(on_cpu().saturating_sub(before));
    }
    assert!(spent <= most, "{length} bytes take {spent:?}, at most {most:?}");
}

/// What this thread has had of a processor. Source: the kernel's documentation of `/proc/<pid>/schedstat`.
fn on_cpu() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default();
    Duration::from_nanos(nanos)
}
