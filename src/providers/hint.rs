//! When a provider says to come back.
//!
//! In order of trust: `retry-after-ms`, `retry-after`, Gemini's `RetryInfo`, and the reset of the
//! rate-limit dimension that is used up. Never simply the largest reset: a day's budget that is half full
//! says nothing about the minute that is over. Pure: wall time is an argument, since some of these are
//! dates. The caller caps what it believes.

use crate::settings::{Scalar, Timestamp};
use http::HeaderMap;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Plain numbers from here on are times since 1970 in seconds, not durations.
const EPOCH_SECONDS: f64 = 1e9;
/// From here on, in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;
/// Numbers of seconds beyond this (some 300 years) are nonsense, and would overflow a date.
const LONGEST_SECONDS: u64 = 10_000_000_000;

/// How long to wait, if the answer says so.
pub fn retry_hint(headers: &HeaderMap, body: Option<&[u8]>, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    text("retry-after-ms")
        .and_then(|millis| seconds(millis, 1e-3))
        .or_else(|| retry_after(text("retry-after")?, now))
        .or_else(|| retry_info(body?))
        .or_else(|| exhausted_reset(headers, now))
}

/// `retry-after`: seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    seconds(text, 1.0).or_else(|| Some(until(httpdate::parse_http_date(text).ok()?, now)))
}

/// `google.rpc.RetryInfo` among the details of an error: `"retryDelay": "34.07s"`.
fn retry_info(body: &[u8]) -> Option<Duration> {
    if body.len() > super::classify::MAX_ERROR_BODY {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.as_array().and_then(|list| list.first()).unwrap_or(&body);
    let details = body.pointer("/error/details")?.as_array()?;
    let delay = details.iter().find_map(|detail| detail.get("retryDelay"))?.as_str()?;
    seconds(delay.strip_suffix('s')?, 1.0)
}

/// The reset of the dimension of which nothing remains; of several such, the last to come, since all are
/// needed. Covers `x-ratelimit-remaining-requests`, `anthropic-ratelimit-input-tokens-remaining`,
/// `ratelimit-remaining` and their kin: the reset is called like the remainder.
fn exhausted_reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let is_exhausted = |name: &str, value: &http::HeaderValue| {
        name.contains("ratelimit")
            && name.contains("remaining")
            && value.to_str().is_ok_and(|v| v.trim() == "0")
    };
    headers
        .iter()
        .filter(|(name, value)| is_exhausted(name.as_str(), value))
        .filter_map(|(name, _)| headers.get(name.as_str().replace("remaining", "reset")))
        .filter_map(|reset| reset_time(reset.to_str().ok()?.trim(), now))
        .max()
}

/// A reset as the vendors write it: a duration (`6m0s`), a date, a time since 1970, or seconds.
fn reset_time(text: &str, now: SystemTime) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(millis) if millis >= EPOCH_MILLIS => Some(until(UNIX_EPOCH + seconds(text, 1e-3)?, now)),
        Ok(at) if at >= EPOCH_SECONDS => Some(until(UNIX_EPOCH + seconds(text, 1.0)?, now)),
        Ok(_) => seconds(text, 1.0),
        Err(_) => written_duration(text).or_else(|| Some(until(Timestamp::parse(text)?.0, now))),
    }
}

/// `1h2m3.5s`, `20ms`: OpenAI's form, which is Go's.
fn written_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let (unit, scale) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        total = total.checked_add(seconds(number, *scale)?)?;
        rest = tail.get(unit.len()..)?;
    }
    (!text.is_empty()).then_some(total)
}

/// A number of units of `scale` seconds; nothing negative, endless or beyond what a `Duration` holds.
fn seconds(text: &str, scale: f64) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = is_number.then(|| text.parse().ok())??;
    Duration::try_from_secs_f64(number * scale).ok().filter(|wait| wait.as_secs() <= LONGEST_SECONDS)
}

/// The time from now to then; none if it has passed.
fn until(then: SystemTime, now: SystemTime) -> Duration {
    then.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    /// 2026-02-19T23:00:00Z.
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_771_542_000)
    }

    type Headers<'a> = &'a [(&'static str, &'a str)];

    fn hint(headers: Headers<'_>, body: Option<&str>) -> Option<f64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        retry_hint(&headers, body.map(str::as_bytes), now()).map(|wait| wait.as_secs_f64())
    }

    const RETRY_INFO: &str = r#"{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;

    #[test]
    fn each_form_is_understood() {
        let cases: &[(Headers<'_>, Option<f64>)] = &[
            (&[("retry-after-ms", "1500")], Some(1.5)),
            (&[("retry-after", "20")], Some(20.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "Thu, 19 Feb 2026 23:01:30 GMT")], Some(90.0)),
            (&[("retry-after", "Thu, 19 Feb 2026 22:00:00 GMT")], Some(0.0)),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")], Some(360.0)),
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "20ms")], Some(0.02)),
            (
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1h1m1.5s")],
                Some(3_661.5),
            ),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1771542030")], Some(30.0)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1771542030500")], Some(30.5)),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "12")], Some(12.0)),
            (
                &[
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-02-19T23:00:45Z"),
                ],
                Some(45.0),
            ),
        ];
        for (headers, wait) in cases {
            assert_eq!(hint(headers, None), *wait, "{headers:?}");
        }
        assert_eq!(hint(&[], Some(RETRY_INFO)), Some(34.5));
        assert_eq!(hint(&[], Some(&format!("[{RETRY_INFO}]"))), Some(34.5));
    }

    #[test]
    fn what_is_more_trusted_goes_first() {
        let exhausted = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "4s")];
        let headers = [("retry-after-ms", "1000"), ("retry-after", "2"), exhausted[0], exhausted[1]];
        assert_eq!(hint(&headers, Some(RETRY_INFO)), Some(1.0));
        assert_eq!(hint(&headers[1..], Some(RETRY_INFO)), Some(2.0));
        assert_eq!(hint(&headers[2..], Some(RETRY_INFO)), Some(34.5));
        assert_eq!(hint(&headers[2..], None), Some(4.0));
    }

    #[test]
    fn only_what_is_used_up_counts() {
        let headers = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "2s"),
            ("x-ratelimit-remaining-tokens", "5000"),
            ("x-ratelimit-reset-tokens", "6h"),
        ];
        assert_eq!(hint(&headers, None), Some(2.0));
        assert_eq!(hint(&headers[2..], None), None);
        let both = [headers[0], headers[1], ("x-ratelimit-remaining-tokens", "0"), headers[3]];
        assert_eq!(hint(&both, None), Some(21_600.0), "both are needed");
    }

    #[test]
    fn nonsense_is_no_hint() {
        for value in ["", "soon", "-1", "NaN", "inf", "1e3", "1.2.3", "99999999999999999999999"] {
            assert_eq!(hint(&[("retry-after", value)], None), None, "{value}");
            let reset = [("ratelimit-remaining", "0"), ("ratelimit-reset", value)];
            assert_eq!(hint(&reset, None), None, "{value}");
        }
        assert_eq!(hint(&[("retry-after-ms", "x"), ("retry-after", "3")], None), Some(3.0));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(value in "[0-9a-zA-Z.:+ -]{0,30}", body in ".{0,60}") {
            hint(&[("retry-after-ms", &value), ("retry-after", &value)], Some(&body));
            hint(&[("ratelimit-remaining", "0"), ("ratelimit-reset", &value)], Some(&body));
        }
    }
}
