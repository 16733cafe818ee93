//! Who is calling, and what they may ask for.
//!
//! Keys are kept and compared as SHA-256, in constant time. Decides nothing about rates or budgets, and
//! never sees a provider's key.

use super::config::{Auth, ClientKey};
use crate::domain::{ErrorCode, Failure, origin};
use foldhash::HashMap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;
use subtle::ConstantTimeEq;

type Hash = [u8; 32];

/// A caller: the holder of a key, or anybody where no key is asked for.
#[derive(Debug)]
pub struct Client {
    /// What log, metrics and status call it; empty for an anonymous caller.
    pub name: Arc<str>,
    models: Option<Vec<String>>,
    passthrough: Vec<String>,
    expires_at: Option<SystemTime>,
}

impl Client {
    /// Whether this client may ask for the model, by its client-facing name.
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// Whether this client may call the provider directly.
    pub fn may_pass_through(&self, provider: &str) -> bool {
        self.passthrough.iter().any(|name| name == provider)
    }
}

/// What callers without a key get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anonymous {
    /// A refusal: keys are configured.
    Refused,
    /// A refusal that says how to configure one: none is, and the address isn't loopback.
    Unconfigured,
    /// Service, for programs on this machine.
    Local,
    /// Service, for everybody.
    Everyone,
}

/// All callers that are known.
#[derive(Debug)]
pub struct Clients {
    by_hash: HashMap<Hash, Arc<Client>>,
    anonymous: Anonymous,
    nobody: Arc<Client>,
}

impl Clients {
    /// The clients of a configuration; `is_loopback` says whether the gateway listens on loopback only.
    pub fn new(auth: &Auth, is_loopback: bool) -> Clients {
        let anonymous = match (auth.api_keys.is_empty(), is_loopback, auth.allow_anonymous) {
            (false, ..) => Anonymous::Refused,
            (true, true, _) => Anonymous::Local,
            (true, false, true) => Anonymous::Everyone,
            (true, false, false) => Anonymous::Unconfigured,
        };
        let by_hash = auth.api_keys.iter().filter_map(entry).collect();
        let nobody = Client { name: "".into(), models: None, passthrough: Vec::new(), expires_at: None };
        Clients { by_hash, anonymous, nobody: Arc::new(nobody) }
    }

    /// Finds out who sent a request.
    ///
    /// # Errors
    /// `unauthorized`, saying what to do.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        uri: &http::Uri,
        now: SystemTime,
    ) -> Result<Arc<Client>, Failure> {
        if self.anonymous != Anonymous::Refused {
            return self.anonymous(headers, uri);
        }
        let Some(key) = presented(headers, uri.query()) else {
            return Err(unauthorized("no API key was sent; send one as `Authorization: Bearer <key>`"));
        };
        let hash: Hash = Sha256::digest(key.as_bytes()).into();
        let found = self.by_hash.get_key_value(&hash).filter(|(known, _)| known.ct_eq(&hash).into());
        let Some((_, client)) = found else {
            return Err(unauthorized("this API key is not known here; check it, or ask for another"));
        };
        if client.expires_at.is_some_and(|end| end <= now) {
            return Err(unauthorized("this API key has expired; ask for another"));
        }
        Ok(Arc::clone(client))
    }

    fn anonymous(&self, headers: &HeaderMap, uri: &http::Uri) -> Result<Arc<Client>, Failure> {
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let is_allowed = match self.anonymous {
            Anonymous::Refused | Anonymous::Unconfigured => {
                return Err(unauthorized(
                    "this gateway has no client keys yet: set `server.auth.api_keys` in its configuration \
                     and send one as `Authorization: Bearer <key>`",
                ));
            }
            Anonymous::Local => {
                origin::is_addressed_to(headers, authority, origin::is_loopback)
                    && !origin::is_foreign_page(headers, authority)
            }
            Anonymous::Everyone => !origin::is_foreign_page(headers, authority),
        };
        if is_allowed {
            return Ok(Arc::clone(&self.nobody));
        }
        Err(unauthorized(
            "without a key, only programs are served, and a loopback gateway only under a loopback name: \
             set `server.auth.api_keys` to call it from web pages or under another name",
        ))
    }
}

fn entry(key: &ClientKey) -> Option<(Hash, Arc<Client>)> {
    let hash = match (&key.key, &key.key_hash) {
        (Some(key), _) => Sha256::digest(key.expose().as_bytes()).into(),
        (None, Some(hash)) => hash.0,
        (None, None) => return None,
    };
    let name = key.name.clone().unwrap_or_else(|| hash_prefix(&hash));
    let client = Client {
        name: name.into(),
        models: key.models.clone(),
        passthrough: key.passthrough.clone(),
        expires_at: key.expires_at.map(|at| at.0),
    };
    Some((hash, Arc::new(client)))
}

/// The name of a key that has none: the first 8 hexadecimal digits of its SHA-256.
fn hash_prefix(hash: &Hash) -> String {
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The key that a request carries, wherever the dialects put it.
fn presented<'r>(headers: &'r HeaderMap, query: Option<&'r str>) -> Option<&'r str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim());
    let in_query = || query?.split('&').find_map(|pair| pair.strip_prefix("key="));
    bearer.or_else(|| header("x-api-key")).or_else(|| header("x-goog-api-key")).or_else(in_query)
}

fn unauthorized(message: &str) -> Failure {
    Failure::new(ErrorCode::Unauthorized, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;
    use http::{HeaderName, HeaderValue, Uri};
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: SystemTime = UNIX_EPOCH;

    fn key(text: &str) -> ClientKey {
        ClientKey { key: Some(Secret::new(text)), ..ClientKey::default() }
    }

    fn clients(keys: Vec<ClientKey>, is_loopback: bool, allow_anonymous: bool) -> Clients {
        Clients::new(&Auth { api_keys: keys, allow_anonymous }, is_loopback)
    }

    fn call(
        clients: &Clients,
        pairs: &[(&'static str, &'static str)],
        path: &'static str,
    ) -> Result<String, String> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let found = clients.identify(&headers, &Uri::from_static(path), NOW);
        found.map(|client| client.name.to_string()).map_err(|failure| failure.public)
    }

    #[test]
    fn a_key_is_taken_from_wherever_the_sdks_put_it() {
        let named = ClientKey { name: Some("team".to_owned()), ..key("k1") };
        let clients = clients(vec![named], false, false);
        for (headers, path) in [
            (&[("authorization", "Bearer k1")][..], "/"),
            (&[("authorization", "bearer k1")], "/"),
            (&[("x-api-key", "k1")], "/"),
            (&[("x-goog-api-key", "k1")], "/"),
            (&[], "/?alt=sse&key=k1"),
        ] {
            assert_eq!(call(&clients, headers, path).as_deref(), Ok("team"), "{headers:?} {path}");
        }
        assert!(
            call(&clients, &[("authorization", "Bearer k2")], "/")
                .is_err_and(|why| why.contains("not known"))
        );
        assert!(call(&clients, &[], "/").is_err_and(|why| why.contains("no API key was sent")));
    }

    #[test]
    fn a_plain_key_is_named_by_its_hash_and_a_hash_is_as_good_as_the_key() {
        let hashed = ClientKey {
            key_hash: Some(super::super::config::KeyHash(Sha256::digest(b"k1").into())),
            ..ClientKey::default()
        };
        for key in [key("k1"), hashed] {
            let clients = clients(vec![key], true, false);
            // printf k1 | sha256sum
            assert_eq!(call(&clients, &[("x-api-key", "k1")], "/").as_deref(), Ok("6ab9f1eb"));
        }
    }

    #[test]
    fn an_expired_key_is_refused_from_its_moment_on() {
        let ends = |at: u64| {
            let expires_at = Some(crate::settings::Timestamp(UNIX_EPOCH + Duration::from_secs(at)));
            clients(vec![ClientKey { expires_at, ..key("k") }], true, false)
        };
        assert!(call(&ends(1), &[("x-api-key", "k")], "/").is_ok());
        assert!(call(&ends(0), &[("x-api-key", "k")], "/").is_err_and(|why| why.contains("expired")));
    }

    #[test]
    fn without_keys_only_local_programs_are_served() {
        let local = clients(vec![], true, false);
        assert!(call(&local, &[("host", "127.0.0.1:8317"), ("authorization", "Bearer any")], "/").is_ok());
        assert!(call(&local, &[("host", "evil.example")], "/").is_err());
        assert!(call(&local, &[("host", "localhost"), ("origin", "https://evil.example")], "/").is_err());
        let open = clients(vec![], false, false);
        assert!(
            call(&open, &[("host", "localhost")], "/").is_err_and(|why| why.contains("server.auth.api_keys"))
        );
        let everyone = clients(vec![], false, true);
        assert!(call(&everyone, &[("host", "gateway.example")], "/").is_ok());
        assert!(
            call(&everyone, &[("host", "gateway.example"), ("origin", "https://evil.example")], "/").is_err()
        );
    }
}
