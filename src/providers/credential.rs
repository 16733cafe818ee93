//! What proves to a provider who is asking: one credential.
//!
//! A [`Credential`] says how a request is signed; an [`Entry`] is one in its provider's rotation, with
//! label, weight and the times it may be used. An entry is known by its label or by a short hash of its
//! secret, never by the secret. This module must not know providers or files.
//!
//! Budget: a key's header is made once, at load; applying it neither formats nor allocates. What is signed or renewed
//! costs its own requests, and no other's.

use super::grant::{AskForToken, Bearer};
use super::presets::KeyHeader;
use super::service_account::{BadKeyFile, ServiceAccount};
use super::sigv4::{AwsKeys, Signer};
use super::token::{NoToken, Readiness};
use crate::domain::Secret;
use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;

/// The request that a credential is put on, as it will be sent. Keys ignore it, signatures cover it.
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// The `Host`.
    pub authority: &'a str,
    /// Path and query.
    pub path_and_query: &'a str,
    /// The other headers.
    pub headers: &'a HeaderMap,
    /// SHA-256 of the body; only computed when asked for.
    pub body_sha256: &'a dyn Fn() -> [u8; 32],
    /// The time of sending; only read when asked for.
    pub now: &'a dyn Fn() -> SystemTime,
}

/// Takes the headers that a credential puts on the request. Both can be cloned without copying bytes.
pub type SetHeader<'a> = &'a mut dyn FnMut(&HeaderName, &HeaderValue);

/// A way to prove who is asking. Keys are one type for all headers; signed and
/// refreshed ones are a type each.
#[async_trait]
pub trait Credential: Send + Sync {
    /// Puts the proof on the request.
    fn apply(&self, request: &Outgoing<'_>, set: SetHeader<'_>);

    /// Shows each secret that is sent as it is, so that it can be masked where a provider repeats it.
    fn each_secret(&self, _see: &mut dyn FnMut(&[u8])) {}

    /// Whether the proof depends on the body, which must be known then before any of it is sent.
    fn covers_body(&self) -> bool {
        false
    }

    /// Whether there is something to put on a request. Keys are always ready.
    fn readiness(&self, _now: SystemTime) -> Readiness {
        Readiness::Ready
    }

    /// Renews what expires, unless somebody has meanwhile. Keys have nothing to renew.
    async fn renew(&self, _now: SystemTime, _ask: &dyn AskForToken) -> Result<(), NoToken> {
        Ok(())
    }

    /// The provider refused it with 401.
    fn refused(&self, _now: SystemTime) {}
}

/// The header that carries a key, and what stands before the key in it: one row for each kind.
fn header(kind: KeyHeader) -> (HeaderName, &'static str) {
    match kind {
        KeyHeader::Bearer => (http::header::AUTHORIZATION, "Bearer "),
        KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), ""),
        KeyHeader::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), ""),
        KeyHeader::ApiKey => (HeaderName::from_static("api-key"), ""),
    }
}

/// A key in a header, made once.
struct PreparedKey {
    name: HeaderName,
    value: HeaderValue,
    /// How long what stands before the key is.
    prefix: usize,
}

impl Credential for PreparedKey {
    fn apply(&self, _: &Outgoing<'_>, set: SetHeader<'_>) {
        set(&self.name, &self.value);
    }

    fn each_secret(&self, see: &mut dyn FnMut(&[u8])) {
        if let Some(key) = self.value.as_bytes().get(self.prefix..) {
            see(key);
        }
    }
}

/// For providers that ask for no proof, such as a local Ollama.
struct Anonymous;

impl Credential for Anonymous {
    fn apply(&self, _: &Outgoing<'_>, _: SetHeader<'_>) {}
}

/// A key that can't be sent in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contains characters that an HTTP header can't carry")]
pub struct UnsendableKey;

/// How an entry is used, beside its secret.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The name in status, logs and metrics; a short hash of the secret if there is none.
    pub label: Option<String>,
    /// Its share of the provider's requests, relative to the others'.
    pub weight: u32,
    /// Lower numbers first; higher ones only when no lower one is usable.
    pub priority: u32,
    /// Set aside by the operator.
    pub disabled: bool,
    /// From when on it is not used any more.
    pub expires_at: Option<SystemTime>,
    /// Headers that go with it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Terms {
    /// The priority where none is given.
    pub const DEFAULT_PRIORITY: u32 = 100;
    /// The weight where none is given.
    pub const DEFAULT_WEIGHT: u32 = 1;
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            label: None,
            weight: Terms::DEFAULT_WEIGHT,
            priority: Terms::DEFAULT_PRIORITY,
            disabled: false,
            expires_at: None,
            headers: Vec::new(),
        }
    }
}

/// Whether an entry may be used, as status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    /// It may.
    Active,
    /// The operator set it aside.
    Disabled,
    /// Its time is over.
    Expired,
    /// The token that it needs could not be had; it is asked for again in the background.
    NoToken,
}

impl EntryStatus {
    /// The word in status.
    pub const fn name(self) -> &'static str {
        match self {
            EntryStatus::Active => "active",
            EntryStatus::Disabled => "disabled",
            EntryStatus::Expired => "expired",
            EntryStatus::NoToken => "no_token",
        }
    }
}

/// One credential in its provider's rotation.
pub struct Entry {
    label: Arc<str>,
    /// SHA-256 of the secret: tells entries apart without keeping the secret.
    fingerprint: [u8; 32],
    credential: Arc<dyn Credential>,
    /// Whether it has a token that expires: others are not asked.
    is_renewed: bool,
    terms: Terms,
}

impl Entry {
    /// An API key that travels in this kind of header.
    pub fn key(kind: KeyHeader, secret: &Secret, terms: Terms) -> Result<Entry, UnsendableKey> {
        let (name, prefix) = header(kind);
        let text = zeroize::Zeroizing::new(format!("{prefix}{}", secret.expose()));
        let mut value = HeaderValue::from_str(&text).map_err(|_| UnsendableKey)?;
        value.set_sensitive(true);
        let credential = Arc::new(PreparedKey { name, value, prefix: prefix.len() });
        Ok(Entry::new(credential, Sha256::digest(secret.expose()).into(), terms))
    }

    /// A Google service account, which gets itself tokens.
    ///
    /// # Errors
    /// When its key is none.
    pub fn service_account(account: &ServiceAccount, terms: Terms) -> Result<Entry, BadKeyFile> {
        let parts = [account.private_key.expose(), &account.client_email, &account.token_uri];
        let entry = Entry::new(Arc::new(Bearer::new(account.clone())?), fingerprint(&parts), terms);
        Ok(Entry { is_renewed: true, ..entry })
    }

    /// AWS keys, which sign for a service in a region. What of them can't be sent in a header was refused before.
    pub fn aws(keys: &AwsKeys, region: &str, service: &'static str, terms: Terms) -> Entry {
        let session = keys.session_token.as_ref().map_or("", Secret::expose);
        let parts = [keys.secret_access_key.expose(), &keys.access_key_id, session];
        Entry::new(Arc::new(Signer::new(keys.clone(), region, service)), fingerprint(&parts), terms)
    }

    /// The entry of a provider that needs no credential.
    pub fn anonymous() -> Entry {
        let terms = Terms { label: Some("none".to_owned()), ..Terms::default() };
        Entry::new(Arc::new(Anonymous), [0; 32], terms)
    }

    fn new(credential: Arc<dyn Credential>, fingerprint: [u8; 32], terms: Terms) -> Entry {
        let label = terms.label.clone().unwrap_or_else(|| short_hash(&fingerprint)).into();
        Entry { label, fingerprint, credential, is_renewed: false, terms }
    }

    /// The same under a label that tells it from another of its name.
    pub(super) fn renamed(mut self) -> Entry {
        self.label = format!("{}-{}", self.label, short_hash(&self.fingerprint)).into();
        self
    }

    /// The same with the token that an entry of the same secret has already.
    pub(super) fn keeping_token_of(mut self, others: &[Arc<Entry>]) -> Entry {
        if self.is_renewed
            && let Some(other) = others.iter().find(|other| other.is_same_secret(&self))
        {
            self.credential = Arc::clone(&other.credential);
        }
        self
    }

    /// What it is called: its label, or the first 8 hexadecimal digits of its secret's SHA-256.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Whether both hold the same secret.
    pub fn is_same_secret(&self, other: &Entry) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// How it is used.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether it may be used at this time.
    pub fn status(&self, now: SystemTime) -> EntryStatus {
        if self.terms.disabled {
            EntryStatus::Disabled
        } else if self.terms.expires_at.is_some_and(|end| end <= now) {
            EntryStatus::Expired
        } else if self.is_renewed && !self.credential.readiness(now).is_promising() {
            EntryStatus::NoToken
        } else {
            EntryStatus::Active
        }
    }

    /// Puts the proof and the entry's own headers on the request; the proof last, so that no header of
    /// the configuration can replace it.
    pub fn apply(&self, request: &Outgoing<'_>, set: SetHeader<'_>) {
        for (name, value) in &self.terms.headers {
            set(name, value);
        }
        self.credential.apply(request, set);
    }

    /// Shows each secret that a provider was sent and may repeat.
    pub fn each_secret(&self, see: &mut dyn FnMut(&[u8])) {
        self.credential.each_secret(see);
    }

    /// Whether the proof depends on the body.
    pub fn covers_body(&self) -> bool {
        self.credential.covers_body()
    }

    /// Whether it lacks the token that it needs, which has to be asked for before it is used.
    pub fn lacks_token(&self, now: impl FnOnce() -> SystemTime) -> bool {
        self.is_renewed && !self.credential.readiness(now()).is_usable()
    }

    /// Whether its token should be renewed in the background.
    pub fn wants_renewal(&self, now: SystemTime) -> bool {
        self.is_renewed && self.credential.readiness(now).wants_renewal()
    }

    /// Renews its token, unless somebody has meanwhile.
    ///
    /// # Errors
    /// When none could be had.
    pub async fn renew(&self, now: SystemTime, ask: &dyn AskForToken) -> Result<(), NoToken> {
        self.credential.renew(now, ask).await
    }

    /// The provider refused it with 401: a token may have been withdrawn.
    pub fn refused(&self, now: SystemTime) {
        self.credential.refused(now);
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("label", &self.label).finish_non_exhaustive()
    }
}

/// SHA-256 of several parts, none of which can run into the next.
fn fingerprint(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first 8 hexadecimal digits.
fn short_hash(fingerprint: &[u8; 32]) -> String {
    fingerprint.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::{Duration, UNIX_EPOCH};

    fn headers(entry: &Entry) -> HeaderMap {
        let mut sent = HeaderMap::new();
        let hashed = Cell::new(false);
        let request = Outgoing {
            method: &Method::POST,
            authority: "api.example",
            path_and_query: "/v1/messages",
            headers: &HeaderMap::new(),
            body_sha256: &|| {
                hashed.set(true);
                [0; 32]
            },
            now: &|| unreachable!("a key needs no time"),
        };
        entry.apply(&request, &mut |name, value| {
            sent.insert(name.clone(), value.clone());
        });
        assert!(!hashed.get(), "a key needs no hash of the body");
        sent
    }

    #[test]
    fn each_kind_sends_the_key_in_its_header() {
        let cases = [
            (KeyHeader::Bearer, "authorization", "Bearer sk-1"),
            (KeyHeader::XApiKey, "x-api-key", "sk-1"),
            (KeyHeader::XGoogApiKey, "x-goog-api-key", "sk-1"),
            (KeyHeader::ApiKey, "api-key", "sk-1"),
        ];
        for (kind, name, value) in cases {
            let entry = Entry::key(kind, &Secret::new("sk-1"), Terms::default()).unwrap();
            let sent = headers(&entry);
            assert_eq!((sent.len(), &sent[name]), (1, &HeaderValue::from_static(value)));
            assert!(sent[name].is_sensitive());
        }
    }

    #[test]
    fn a_provider_without_keys_gets_no_header() {
        assert!(headers(&Entry::anonymous()).is_empty());
    }

    #[test]
    fn headers_of_an_entry_go_along_but_never_replace_the_proof() {
        let value = HeaderValue::from_static;
        let terms = Terms {
            headers: vec![
                (HeaderName::from_static("x-team"), value("a")),
                (HeaderName::from_static("x-api-key"), value("other")),
            ],
            ..Terms::default()
        };
        let sent = headers(&Entry::key(KeyHeader::XApiKey, &Secret::new("sk-1"), terms).unwrap());
        assert_eq!((&sent["x-team"], &sent["x-api-key"]), (&value("a"), &value("sk-1")));
    }

    #[test]
    fn an_entry_is_known_by_label_or_hash_and_never_by_key() {
        let key = |label: Option<&str>| {
            let terms = Terms { label: label.map(str::to_owned), ..Terms::default() };
            Entry::key(KeyHeader::Bearer, &Secret::new("sk-secret"), terms).unwrap()
        };
        assert_eq!(&**key(Some("team-a")).label(), "team-a");
        assert_eq!(&**key(None).label(), "746b4ad1");
        assert!(!format!("{:?}", key(None)).contains("secret"));
        assert!(key(None).is_same_secret(&key(Some("team-a"))));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused() {
        for text in ["sk\n1", "sk\0", "sk\r\nx-evil: 1"] {
            assert!(Entry::key(KeyHeader::Bearer, &Secret::new(text), Terms::default()).is_err());
        }
    }

    #[test]
    fn an_entry_expires_at_its_time_and_not_before() {
        let end = UNIX_EPOCH + Duration::from_secs(100);
        let terms = Terms { expires_at: Some(end), ..Terms::default() };
        let entry = Entry::key(KeyHeader::Bearer, &Secret::new("k"), terms).unwrap();
        assert_eq!(entry.status(end - Duration::from_secs(1)), EntryStatus::Active);
        assert_eq!(entry.status(end), EntryStatus::Expired);
    }
}
