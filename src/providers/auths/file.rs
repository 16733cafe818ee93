//! What a file says of its credential: what proves a provider, and how it is used.
//!
//! Kinds of files that other tools keep in such a folder, and that we can't use, are named as what they are. The key file
//! of a Google service account is taken as Google issues it, and AWS keys by their usual names; neither has to say which
//! provider it is for. Knows no folder and no file, only the nodes that were read of one.

use crate::domain::Secret;
use crate::providers::credential::{Entry, Terms, UnsendableKey};
use crate::providers::definition::Definition;
use crate::providers::platform::Identity;
use crate::providers::service_account::{self, ServiceAccount};
use crate::providers::sigv4::AwsKeys;
use crate::settings::{Node, Problems, Setting, Timestamp, Value, settings};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;

/// Files of other kinds, known by a key of theirs and perhaps its value.
const UNSUPPORTED: &[(&str, Option<&str>, &str)] = &[
    ("type", Some("authorized_user"), "a Google user credential"),
    ("type", Some("external_account"), "a Google workload identity"),
    ("refresh_token", None, "an OAuth token"),
    ("access_token", None, "an OAuth token"),
    ("private_key", None, "a private key"),
];

settings! {
    /// How a credential in a file of its own is used.
    pub struct Usage {
        /// The provider that it is for; default, for cloud credentials: all that take such a one.
        provider: Option<String>,
        /// Its name in status, logs and metrics; default: a short hash of the key.
        label: Option<String>,
        /// Its share of the provider's requests; default 1.
        weight: u32 = Terms::DEFAULT_WEIGHT,
        /// Lower numbers first; default 100.
        priority: u32 = Terms::DEFAULT_PRIORITY,
        /// Whether it is set aside; default false.
        disabled: bool = false,
        /// Headers that go with it; default: none.
        headers: BTreeMap<String, Secret>,
        /// From when on it is not used, RFC 3339; default: never.
        expires_at: Option<Timestamp>,
    }
    check Self::check;
}

impl Usage {
    fn check(&self, node: &Node, problems: &mut Problems) {
        for (name, value) in &self.headers {
            if sendable(name, value).is_none() {
                problems.at_key("headers", |at| at.error_at(node.at("headers"), name, "can't be sent"));
            }
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            label: self.label.clone(),
            weight: self.weight,
            priority: self.priority,
            disabled: self.disabled,
            expires_at: self.expires_at.map(|end| end.0),
            headers: self.headers.iter().filter_map(|(name, value)| sendable(name, value)).collect(),
        }
    }
}

settings! {
    /// A file's own key.
    pub struct KeyPart {
        required {
            /// The key.
            api_key: Secret,
        }
    }
    check Self::check;
}

impl KeyPart {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if HeaderValue::from_str(self.api_key.expose()).is_err() {
            problems.error_at(node, "api_key", UnsendableKey.to_string());
        }
    }
}

settings! {
    /// A file's AWS keys.
    pub struct AwsPart {
        required {
            /// The name of the access key.
            aws_access_key_id: String,
            /// Its secret.
            aws_secret_access_key: Secret
        }
        /// What proves a session; default: none.
        aws_session_token: Option<Secret>,
    }
    check Self::check;
}

impl AwsPart {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.keys().can_be_sent() {
            problems.error(node, UnsendableKey.to_string());
        }
    }

    fn keys(&self) -> AwsKeys {
        AwsKeys {
            access_key_id: self.aws_access_key_id.clone(),
            secret_access_key: self.aws_secret_access_key.clone(),
            session_token: self.aws_session_token.clone(),
        }
    }
}

/// What a file proves its provider with.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// A key.
    Key(Secret),
    /// A Google service account.
    ServiceAccount(ServiceAccount),
    /// AWS keys.
    Aws(AwsKeys),
}

impl Proof {
    /// What it is called.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Proof::Key(_) => "a key",
            Proof::ServiceAccount(_) => "a Google service account",
            Proof::Aws(_) => "an AWS access key",
        }
    }

    /// Whether a provider takes it.
    fn fits(&self, provider: &Definition) -> bool {
        match self {
            Proof::Key(_) => true,
            Proof::ServiceAccount(_) => provider.platform.identity() == Identity::ServiceAccount,
            Proof::Aws(_) => provider.platform.identity() == Identity::Aws,
        }
    }
}

/// A credential in a file of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthFile {
    /// How it is used.
    pub usage: Usage,
    /// What it is.
    pub proof: Proof,
}

impl AuthFile {
    /// Reads a file's node: what is the proof's by its own reader, all else as its usage.
    pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<AuthFile> {
        if node.get("type").and_then(Node::as_text) == Some(service_account::KIND) {
            return AuthFile::read_service_account(node, problems);
        }
        if node.get("aws_access_key_id").is_some() {
            let (own, rest) = split(node, |key| AwsPart::KEYS.iter().any(|known| known.name == key));
            let proof = AwsPart::read(&own, problems).map(|part| Proof::Aws(part.keys()));
            return Some(AuthFile { usage: Usage::read(&rest, problems)?, proof: proof? });
        }
        if let Some((at, kind)) = unsupported(node) {
            let message = format!("is {kind}, which is not supported; a file needs `provider` and `api_key`");
            problems.error(at, message);
            return None;
        }
        let (own, rest) = split(node, |key| KeyPart::KEYS.iter().any(|known| known.name == key));
        let proof = KeyPart::read(&own, problems).map(|part| Proof::Key(part.api_key));
        let usage = Usage::read(&rest, problems)?;
        if usage.provider.is_none() {
            problems.error_at(node, "provider", "is required: a text");
        }
        Some(AuthFile { usage, proof: proof? })
    }

    /// Google may add to its files what we need not know; a slip of the operator's is told all the same.
    fn read_service_account(node: &Node, problems: &mut Problems) -> Option<AuthFile> {
        let is_usage = |key: &str| Usage::KEYS.iter().any(|known| known.name == key);
        let (usage, rest) = split(node, is_usage);
        for entry in rest.entries().iter().filter(|it| !service_account::MEMBERS.contains(&it.key.as_str())) {
            problems.warning(&entry.value, "has a key that is not known, and not used");
        }
        let usage = Usage::read(&usage, problems);
        match ServiceAccount::from_members(|name| node.get(name).and_then(Node::as_text)) {
            Ok(account) => Some(AuthFile { usage: usage?, proof: Proof::ServiceAccount(account) }),
            Err(why) => {
                problems.error(node, format!("is the key file of a Google service account, and {why}"));
                None
            }
        }
    }

    /// Whether it is for this provider.
    pub(super) fn is_for(&self, provider: &Definition) -> bool {
        let is_named = self.usage.provider.as_deref().is_none_or(|name| name == &*provider.name);
        is_named && self.proof.fits(provider)
    }

    /// The entry of the rotation, for a provider; `None` if it isn't for it, or can't be sent.
    pub fn entry(&self, provider: &Definition) -> Option<Entry> {
        if !self.is_for(provider) {
            return None;
        }
        let terms = self.usage.terms();
        match &self.proof {
            Proof::Key(key) => Entry::key(provider.key_header, key, terms).ok(),
            Proof::ServiceAccount(account) => Entry::service_account(account, terms).ok(),
            Proof::Aws(keys) => Some(provider.aws_entry(keys, terms)),
        }
    }
}

/// A map's entries whose key is so, and the others.
fn split(node: &Node, is_so: impl Fn(&str) -> bool) -> (Node, Node) {
    let part = |wanted: bool| {
        let Value::Map(entries) = &node.value else { return node.clone() };
        let entries = entries.iter().filter(|entry| is_so(&entry.key) == wanted).cloned().collect();
        Node { value: Value::Map(entries), ..*node }
    };
    (part(true), part(false))
}

fn sendable(name: &str, value: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}

/// Which other kind of file it is, if it is a known one.
fn unsupported(node: &Node) -> Option<(&Node, &'static str)> {
    let has = |key: &str, wanted: Option<&str>| {
        node.get(key).filter(|node| match (&node.value, wanted) {
            (Value::Scalar { text, .. }, Some(wanted)) => text == wanted,
            (_, wanted) => wanted.is_none(),
        })
    };
    UNSUPPORTED.iter().find_map(|(key, value, kind)| has(key, *value).map(|at| (at, *kind)))
}
