//! Money as integers. A float never holds money here.

use std::fmt;

const NANOS_PER_DOLLAR: i128 = 1_000_000_000;
const DECIMALS: usize = 9;

/// An amount of US dollars, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// An amount given in nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Money {
        Money(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads a decimal such as `0.003`, `12` or `.5`: not negative, at most nine decimals, no exponent.
    pub fn parse(text: &str) -> Option<Money> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let empty = whole.is_empty() && fraction.is_empty();
        if empty || fraction.len() > DECIMALS || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let nanos: i128 = format!("{fraction:0<DECIMALS$}").parse().ok()?;
        i64::try_from(whole.checked_mul(NANOS_PER_DOLLAR)?.checked_add(nanos)?).ok().map(Money)
    }
}

impl fmt::Display for Money {
    /// Dollars, without trailing zeros: `0.003`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0);
        let sign = if nanos < 0 { "-" } else { "" };
        let (whole, rest) = (nanos.abs() / NANOS_PER_DOLLAR, nanos.abs() % NANOS_PER_DOLLAR);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// What a thousand tokens of each kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Uncached input.
    pub input: Money,
    /// Output, reasoning included.
    pub output: Money,
    /// Input from the prompt cache; the price of input where it isn't given.
    pub cache_read: Option<Money>,
    /// Input written to the prompt cache; the price of input where it isn't given.
    pub cache_write: Option<Money>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(Money::parse("0.003"), Some(Money::from_nanos(3_000_000)));
        assert_eq!(Money::parse("12"), Some(Money::from_nanos(12_000_000_000)));
        assert_eq!(Money::parse(".5").map(|money| money.to_string()), Some("0.5".to_owned()));
        assert_eq!(Money::parse("0.000000001").map(Money::nanos), Some(1));
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", ".", "-1", "1e3", "1.0000000001", "1,5", "99999999999999999999", "1.2.3"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }
}
