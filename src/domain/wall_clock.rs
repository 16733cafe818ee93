//! Wall time, for stamps only. Durations are measured with `Instant`, which never jumps.

use std::time::SystemTime;
use time::OffsetDateTime;

/// The wall clock. The only place that reads it.
#[allow(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Whole seconds since 1970.
pub fn unix_seconds() -> u64 {
    now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// RFC 3339 in UTC with whole seconds, as the guide prints times: `2026-02-19T23:00:00Z`.
pub fn rfc3339(at: SystemTime) -> String {
    rfc3339_bytes(at).map(char::from).iter().collect()
}

/// The same in ASCII, for where it is written often: `time` reads a format anew with every time.
pub fn rfc3339_bytes(at: SystemTime) -> [u8; 20] {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    // Years of four digits: a clock that shows others is wrong anyway.
    let year = (year.unsigned_abs() % 10_000) as u16;
    let ([a, b], [c, d]) = (digits((year / 100) as u8), digits((year % 100) as u8));
    let ([e, f], [g, h]) = (digits(month.into()), digits(day));
    let ([i, j], [k, l], [m, n]) = (digits(hour), digits(minute), digits(second));
    [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'Z']
}

/// Of a number below 100.
const fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};
    use time::format_description::well_known::Rfc3339;

    #[test]
    fn times_are_printed_as_in_the_guide() {
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(1_771_542_000_900)), "2026-02-19T23:00:00Z");
    }

    #[test]
    fn a_time_reads_back_as_it_was() {
        // A prime number of seconds, so that every field takes all its values; until the year 2255.
        for seconds in (0..9_000_000_000).step_by(2_999_999) {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            let read = OffsetDateTime::parse(&rfc3339(at), &Rfc3339).unwrap();
            assert_eq!(SystemTime::from(read), at);
        }
    }
}
