//! Wall time, for stamps only. Durations are measured with `Instant`, which never jumps.

use std::io;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const WHOLE_SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// The wall clock. The only place that reads it.
#[allow(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// RFC 3339 in UTC with whole seconds, as the guide prints times: `2026-02-19T23:00:00Z`.
pub fn rfc3339(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&WHOLE_SECONDS).unwrap_or_default()
}

/// The same, written where it is needed.
///
/// # Errors
/// If `out` fails.
pub fn write_rfc3339(out: &mut impl io::Write, at: SystemTime) -> io::Result<()> {
    OffsetDateTime::from(at).format_into(out, &WHOLE_SECONDS).map(drop).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_printed_as_in_the_guide() {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_771_542_000_900)), "2026-02-19T23:00:00Z");
    }
}
