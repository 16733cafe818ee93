//! Durations, sizes and ratios as an operator writes them: `500ms`, `30d`, `100M`, `0.5`.

use std::fmt;
use std::time::Duration;

/// Milliseconds in each unit that a [`Period`] may be written in.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes in each unit that a [`Size`] may be written in; powers of 1024.
const SIZES: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("", 1)];

/// A span of time, written `500ms 10s 1m 2h 30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    /// The form that error messages ask for.
    pub const FORM: &'static str = "a whole number and a unit, such as 500ms, 10s, 5m, 2h or 30d";

    /// A period of that many milliseconds.
    pub const fn from_millis(millis: u64) -> Period {
        Period(Duration::from_millis(millis))
    }

    /// A period of that many seconds.
    pub const fn from_secs(seconds: u64) -> Period {
        Period(Duration::from_secs(seconds))
    }

    /// A period of that many minutes.
    pub const fn from_mins(minutes: u64) -> Period {
        Period::from_secs(minutes * 60)
    }

    /// A period of that many hours.
    pub const fn from_hours(hours: u64) -> Period {
        Period::from_mins(hours * 60)
    }

    /// A period of that many days.
    pub const fn from_days(days: u64) -> Period {
        Period::from_hours(days * 24)
    }

    /// Reads the written form. Zero is read too; whether it is allowed is the key's own matter.
    pub fn parse(text: &str) -> Option<Period> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        Some(Period::from_millis(count.parse::<u64>().ok()?.checked_mul(*millis)?))
    }

    /// The period as the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for Period {
    /// The largest unit that divides it: `90s` is `90s`, `120s` is `2m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        match UNITS.iter().rev().find(|(_, unit)| millis.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", millis / unit),
            None => write!(f, "{millis}ms"),
        }
    }
}

/// A number of bytes, written `64K 100M 2G`, powers of 1024, with an optional `B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// The form that error messages ask for.
    pub const FORM: &'static str = "a whole number of bytes with K, M or G, such as 64K or 32M";

    /// A size of that many bytes.
    pub const fn from_bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// A size of that many kibibytes.
    pub const fn from_kib(kib: u64) -> Size {
        Size(kib << 10)
    }

    /// A size of that many mebibytes.
    pub const fn from_mib(mib: u64) -> Size {
        Size(mib << 20)
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Size> {
        let text = text.strip_suffix('B').unwrap_or(text);
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, unit) = text.split_at(digits);
        let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
        count.parse::<u64>().ok()?.checked_mul(*bytes).map(Size)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as an index.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [SIZES[2], SIZES[1], SIZES[0]]
            .into_iter()
            .find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match unit {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A share between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// The form that error messages ask for.
    pub const FORM: &'static str = "a number from 0 to 1";

    /// A ratio, if it is one.
    pub fn new(value: f64) -> Option<Ratio> {
        (0.0..=1.0).contains(&value).then_some(Ratio(value))
    }

    /// A ratio in thousandths, for defaults.
    pub const fn from_thousandths(value: u16) -> Ratio {
        Ratio(if value > 1_000 { 1.0 } else { value as f64 / 1_000.0 })
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_and_print() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("1m", 60_000), ("2h", 7_200_000)] {
            assert_eq!(Period::parse(text), Some(Period::from_millis(millis)));
            assert_eq!(Period::from_millis(millis).to_string(), text);
        }
        assert_eq!(Period::parse("30d").map(|p| p.get().as_secs()), Some(30 * 86_400));
        assert_eq!(Period::from_secs(90).to_string(), "90s");
    }

    #[test]
    fn what_is_not_a_period_is_refused() {
        for text in ["", "s", "10", "1.5s", "-1s", "10 s", "10S", "1m30s", "99999999999999999999d"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(Size::parse("64K"), Some(Size::from_bytes(65_536)));
        assert_eq!(Size::parse("100MB"), Some(Size::from_bytes(104_857_600)));
        assert_eq!(Size::parse("123").map(Size::bytes), Some(123));
        assert_eq!(Size::from_bytes(32 << 20).to_string(), "32M");
        for text in ["", "M", "1.5M", "-1K", "1T", "1 M"] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }
}
