//! AWS Signature Version 4: proof by a signature of the request, body and all, with a secret that is never sent.
//!
//! Written here and not taken from AWS's crate, which brings a dozen others for what are five hashes; the hashes are
//! `ring`'s, and AWS's published test suite is below. Paths are signed as all services but S3 want them, encoded once
//! more. They are not normalised: none of ours has dots. Source: AWS's "Signature Version 4 signing process".

use super::credential::{Credential, Outgoing, SetHeader};
use crate::domain::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};
use ring::digest::{SHA256, digest};
use ring::hmac;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;
use time::OffsetDateTime;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// All headers that begin so must be signed.
const AMAZON: &str = "x-amz-";

/// An AWS access key, of a user or of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeys {
    /// Its name, which is no secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Secret,
    /// What proves a session, for keys that are good for a while only.
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// Whether all of it can be sent in headers.
    pub fn can_be_sent(&self) -> bool {
        let can = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        can(&self.access_key_id) && self.session_token.as_ref().is_none_or(|token| can(token.expose()))
    }
}

/// Signs for one service in one region.
pub(super) struct Signer {
    keys: AwsKeys,
    region: String,
    service: &'static str,
    session_token: Option<HeaderValue>,
}

impl Signer {
    /// With these keys, which [can be sent](AwsKeys::can_be_sent).
    pub fn new(keys: AwsKeys, region: &str, service: &'static str) -> Signer {
        let header = |token: &Secret| {
            let mut value = HeaderValue::from_str(token.expose()).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let session_token = keys.session_token.as_ref().and_then(header);
        Signer { keys, region: region.to_owned(), service, session_token }
    }

    /// The time as it is signed, and the signature with all that belongs to it.
    fn sign(&self, request: &Outgoing<'_>, now: SystemTime) -> (String, String) {
        let time = timestamp(now);
        let day = time.get(..8).unwrap_or_default();
        let headers = self.headers_to_sign(request, &time);
        let names = headers.keys().copied().collect::<Vec<_>>().join(";");
        let (path, query) = request.path_and_query.split_once('?').unwrap_or((request.path_and_query, ""));
        let mut canonical =
            format!("{}\n{}\n{}\n", request.method, encoded(path, true), canonical_query(query));
        for (name, value) in &headers {
            // Writing to a text can't fail.
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let _ = write!(canonical, "\n{names}\n{}", hex(&(request.body_sha256)()));
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
        let signature = hex(hmac_sha256(self.key_of(day).as_ref(), &to_sign).as_ref());
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.keys.access_key_id
        );
        (time, authorization)
    }

    /// The key of a day.
    fn key_of(&self, day: &str) -> hmac::Tag {
        let secret = zeroize::Zeroizing::new(format!("AWS4{}", self.keys.secret_access_key.expose()));
        let steps = [day, &self.region, self.service, "aws4_request"];
        let mut key = hmac_sha256(secret.as_bytes(), steps[0]);
        for step in &steps[1..] {
            key = hmac_sha256(key.as_ref(), step);
        }
        key
    }

    /// The headers that must be signed, by name: the host, the type, and all of Amazon's own.
    fn headers_to_sign<'h>(
        &'h self,
        request: &'h Outgoing<'_>,
        time: &'h str,
    ) -> BTreeMap<&'h str, Cow<'h, str>> {
        let mut headers: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for (name, value) in request.headers {
            let value = value.to_str().unwrap_or_default();
            if name != CONTENT_TYPE && !name.as_str().starts_with(AMAZON) {
                continue;
            }
            let value = squeezed(value);
            headers
                .entry(name.as_str())
                .and_modify(|all| *all = format!("{all},{value}").into())
                .or_insert(value);
        }
        headers.insert(HOST.as_str(), request.authority.into());
        headers.insert("x-amz-date", time.into());
        if let Some(token) = &self.keys.session_token {
            headers.insert("x-amz-security-token", token.expose().into());
        }
        headers
    }
}

impl Credential for Signer {
    fn apply(&self, request: &Outgoing<'_>, set: SetHeader<'_>) {
        let (time, authorization) = self.sign(request, (request.now)());
        // Keys were checked for what a header can't carry, and the rest is letters and digits.
        let (Ok(time), Ok(mut authorization)) =
            (HeaderValue::try_from(time), HeaderValue::try_from(authorization))
        else {
            return;
        };
        authorization.set_sensitive(true);
        set(&DATE, &time);
        if let Some(token) = &self.session_token {
            set(&SECURITY_TOKEN, token);
        }
        set(&AUTHORIZATION, &authorization);
    }

    fn each_secret(&self, see: &mut dyn FnMut(&[u8])) {
        if let Some(token) = &self.session_token {
            see(token.as_bytes());
        }
    }

    fn covers_body(&self) -> bool {
        true
    }
}

fn hmac_sha256(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `20150830T123600Z`.
fn timestamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// A header's value without the white space that doesn't count.
fn squeezed(value: &str) -> Cow<'_, str> {
    let trimmed = value.trim();
    if trimmed.contains("  ") {
        trimmed.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into()
    } else {
        trimmed.into()
    }
}

/// Percent-encoded as AWS does: all but what is unreserved, and slashes if so wanted.
fn encoded(text: &str, keeps_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keeps_slashes => out.push('/'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// A query's parameters in order, each encoded once.
fn canonical_query(query: &str) -> String {
    let parameter = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (encoded_once(name), encoded_once(value))
    };
    let mut parameters: Vec<_> = query.split('&').filter(|text| !text.is_empty()).map(parameter).collect();
    parameters.sort();
    parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Part of a query, whose escapes stay.
fn encoded_once(text: &str) -> String {
    if text.is_empty() { String::new() } else { encoded(text, false).replace("%25", "%") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use sha2::{Digest, Sha256};
    use std::time::{Duration, UNIX_EPOCH};

    /// 2015-08-30, 12:36:00.
    const SUITES_TIME: Duration = Duration::from_secs(1_440_938_160);
    const SUITES_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn suites_keys(session_token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(Secret::new),
        }
    }

    struct Case<'c> {
        method: Method,
        path: &'c str,
        headers: &'c [(&'static str, &'static str)],
        body: &'c str,
    }

    const VANILLA: Case<'static> = Case { method: Method::GET, path: "/", headers: &[], body: "" };

    fn headers_of(case: &Case<'_>, signer: &Signer) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in case.headers {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let mut sent = HeaderMap::new();
        let request = Outgoing {
            method: &case.method,
            authority: "example.amazonaws.com",
            path_and_query: case.path,
            headers: &headers,
            body_sha256: &|| Sha256::digest(case.body).into(),
            now: &|| UNIX_EPOCH + SUITES_TIME,
        };
        signer.apply(&request, &mut |name, value| {
            sent.insert(name.clone(), value.clone());
        });
        sent
    }

    fn authorization(case: &Case<'_>, session_token: Option<&str>) -> String {
        let signer = Signer::new(suites_keys(session_token), "us-east-1", "service");
        headers_of(case, &signer)["authorization"].to_str().unwrap().to_owned()
    }

    fn expected(names: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, Signature={signature}"
        )
    }

    #[test]
    fn the_published_test_suite_is_signed_as_published() {
        let unreserved = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let get = |path| Case { path, ..VANILLA };
        let cases = [
            ("get-vanilla", get("/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "get-vanilla-query-order-key-case",
                get("/?Param2=value2&Param1=value1"),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-unreserved",
                get(unreserved),
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            ("get-utf8", get("/ሴ"), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
            (
                "get-vanilla-utf8-query",
                get("/?ሴ=bar"),
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "post-vanilla",
                Case { method: Method::POST, ..VANILLA },
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ];
        for (name, case, signature) in cases {
            assert_eq!(authorization(&case, None), expected("host;x-amz-date", signature), "{name}");
        }
    }

    #[test]
    fn body_and_type_are_signed() {
        let case = Case {
            method: Method::POST,
            headers: &[("content-type", "application/x-www-form-urlencoded"), ("user-agent", "x")],
            body: "Param1=value1",
            ..VANILLA
        };
        let signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        assert_eq!(authorization(&case, None), expected("content-type;host;x-amz-date", signature));
        let another = Case { body: "Param1=value2", ..case };
        assert!(!authorization(&another, None).contains(signature));
    }

    #[test]
    fn a_session_token_is_sent_and_signed() {
        let case = Case { method: Method::POST, ..VANILLA };
        let names = "host;x-amz-date;x-amz-security-token";
        let signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        assert_eq!(authorization(&case, Some(SUITES_TOKEN)), expected(names, signature));
        let signer = Signer::new(suites_keys(Some(SUITES_TOKEN)), "us-east-1", "service");
        let sent = headers_of(&case, &signer);
        assert_eq!(
            (&sent["x-amz-security-token"], &sent["x-amz-date"]),
            (&HeaderValue::from_static(SUITES_TOKEN), &HeaderValue::from_static("20150830T123600Z"))
        );
        assert!(sent["authorization"].is_sensitive() && sent["x-amz-security-token"].is_sensitive());
        let mut secrets = Vec::new();
        signer.each_secret(&mut |secret| secrets.push(secret.to_vec()));
        assert_eq!(secrets, [SUITES_TOKEN.as_bytes()]);
    }

    #[test]
    fn a_path_is_encoded_once_more_than_it_is_sent() {
        assert_eq!(
            encoded("/model/anthropic.claude-v1%3A0/invoke", true),
            "/model/anthropic.claude-v1%253A0/invoke"
        );
        assert_eq!(encoded("", true), "/");
    }

    #[test]
    fn amazons_own_headers_are_signed_with_their_white_space_squeezed() {
        let case =
            Case { headers: &[("x-amz-meta", "  a   b "), ("x-amz-meta", "c"), ("x-other", "d")], ..VANILLA };
        assert!(authorization(&case, None).contains("SignedHeaders=host;x-amz-date;x-amz-meta,"));
        let signer = Signer::new(suites_keys(None), "r", "s");
        let mut headers = HeaderMap::new();
        headers.append("x-amz-meta", HeaderValue::from_static("  a   b "));
        headers.append("x-amz-meta", HeaderValue::from_static("c"));
        let request = Outgoing {
            method: &Method::GET,
            authority: "h",
            path_and_query: "/",
            headers: &headers,
            body_sha256: &|| [0; 32],
            now: &|| UNIX_EPOCH,
        };
        assert_eq!(signer.headers_to_sign(&request, "t")["x-amz-meta"], "a b,c");
    }

    #[test]
    fn keys_that_no_header_can_carry_are_known() {
        assert!(suites_keys(Some(SUITES_TOKEN)).can_be_sent());
        assert!(!suites_keys(Some("a\nb")).can_be_sent());
        assert!(!AwsKeys { access_key_id: "A B".to_owned(), ..suites_keys(None) }.can_be_sent());
        assert!(!format!("{:?}", suites_keys(Some("hidden"))).contains("hidden"));
    }
}
