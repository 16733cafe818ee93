//! The key file of a Google service account: what is needed of it, and whether it can be used.
//!
//! What it is exchanged for is [`super::grant`]'s.

use crate::domain::Secret;
use crate::settings::{Scalar, Url};
use ring::rsa::KeyPair;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;

/// What the `type` of such a file is.
pub const KIND: &str = "service_account";
/// The members of a key file as Google issues it.
pub const MEMBERS: [&str; 11] = [
    "type",
    "project_id",
    "private_key_id",
    "private_key",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
];
/// The largest file that is read, in bytes.
const MAX_FILE_SIZE: u64 = 64 << 10;
/// Where tokens are asked for unless the file says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Why a key file can't be used: the end of a sentence about it, which repeats nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyFile {
    /// There is none, or none that can be read.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// It isn't JSON.
    #[error("is not JSON")]
    NoJson,
    /// It is something else.
    #[error("is not the key file of a Google service account: its `type` is not `service_account`")]
    OtherKind,
    /// A member is missing.
    #[error("lacks `{0}`")]
    Missing(&'static str),
    /// A member makes no sense.
    #[error("has a `{0}` that can't be used: {1}")]
    Unusable(&'static str, &'static str),
}

/// The key of a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    pub(super) client_email: String,
    pub(super) private_key: Secret,
    pub(super) private_key_id: Option<String>,
    /// The token endpoint as the file has it, which claims repeat letter by letter.
    pub(super) token_uri: String,
    pub(super) token_url: Url,
    /// The project that the account belongs to.
    pub project_id: Option<String>,
}

impl ServiceAccount {
    /// Reads a key file.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn read(file: &Path) -> Result<ServiceAccount, BadKeyFile> {
        let unreadable = |error: std::io::Error| BadKeyFile::Unreadable(error.to_string());
        if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE_SIZE {
            return Err(BadKeyFile::Unreadable(format!("it is larger than {} KiB", MAX_FILE_SIZE >> 10)));
        }
        let text = zeroize::Zeroizing::new(std::fs::read(file).map_err(unreadable)?);
        let json: Value = serde_json::from_slice(&text).map_err(|_| BadKeyFile::NoJson)?;
        ServiceAccount::from_members(|name| json.get(name)?.as_str())
    }

    /// From the members of a key file.
    ///
    /// # Errors
    /// When one is missing or can't be used.
    pub fn from_members<'m>(
        member: impl Fn(&'static str) -> Option<&'m str>,
    ) -> Result<ServiceAccount, BadKeyFile> {
        if member("type") != Some(KIND) {
            return Err(BadKeyFile::OtherKind);
        }
        let given = |name| member(name).filter(|text| !text.is_empty());
        let required = |name| given(name).ok_or(BadKeyFile::Missing(name));
        let token_uri = given("token_uri").unwrap_or(TOKEN_URI);
        let unusable = |why| BadKeyFile::Unusable("token_uri", why);
        let token_url = Url::parse(token_uri).ok_or(unusable("it is no http or https address"))?;
        if !token_url.is_tls() && !is_this_machine(&token_url.host) {
            return Err(unusable("claims go over TLS only, unless to this machine"));
        }
        let account = ServiceAccount {
            client_email: required("client_email")?.to_owned(),
            private_key: Secret::new(required("private_key")?),
            private_key_id: given("private_key_id").map(str::to_owned),
            token_uri: token_uri.to_owned(),
            token_url,
            project_id: given("project_id").map(str::to_owned),
        };
        account.key_pair().map(|_| account)
    }

    /// Its key, ready to sign.
    ///
    /// # Errors
    /// When it is none, which was found out when the file was read.
    pub(super) fn key_pair(&self) -> Result<KeyPair, BadKeyFile> {
        // The parsers' own words could repeat the key's.
        let unusable = |why| BadKeyFile::Unusable("private_key", why);
        let key = PrivateKeyDer::from_pem_slice(self.private_key.expose().as_bytes());
        let pair = match key.map_err(|_| unusable("it is no private key in PEM form"))? {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(unusable("it is no RSA key")),
        };
        pair.map_err(|_| unusable("it is no RSA key of at least 2048 bits"))
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = include_str!("../../tests/support/service_account_key.pem");

    /// A key file as Google issues it, for this token endpoint.
    pub fn key_file(token_uri: &str) -> String {
        json!({
            "type": "service_account",
            "project_id": "acme-1",
            "private_key_id": "kid-1",
            "private_key": KEY,
            "client_email": "gateway@acme-1.iam.gserviceaccount.com",
            "client_id": "1",
            "auth_uri": "https://accounts.example/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        })
        .to_string()
    }

    /// Reads one.
    pub fn read(json: &str) -> Result<ServiceAccount, BadKeyFile> {
        let json: Value = serde_json::from_str(json).unwrap();
        ServiceAccount::from_members(|name| json.get(name)?.as_str())
    }

    /// The account of such a file.
    pub fn account() -> ServiceAccount {
        read(&key_file("https://oauth2.example/token")).unwrap()
    }

    #[test]
    fn a_bad_file_is_named_by_what_is_wrong_with_it_and_not_repeated() {
        let changed = |name: &str, value: Value| {
            let mut json: Value = serde_json::from_str(&key_file("https://h.example/token")).unwrap();
            json[name] = value;
            read(&json.to_string())
        };
        assert_eq!(changed("type", "authorized_user".into()).unwrap_err(), BadKeyFile::OtherKind);
        for name in ["client_email", "private_key"] {
            assert_eq!(changed(name, Value::Null).unwrap_err(), BadKeyFile::Missing(name));
        }
        for (name, value) in [
            ("private_key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"),
            ("private_key", "topsecret"),
            ("token_uri", "ftp://h"),
            ("token_uri", "http://oauth2.example/token"),
        ] {
            let error = changed(name, value.into()).unwrap_err();
            assert!(matches!(error, BadKeyFile::Unusable(member, _) if member == name), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(changed("token_uri", "http://127.0.0.1:1/token".into()).is_ok());
        assert!(changed("private_key_id", Value::Null).is_ok());
        let shown = format!("{:?}", account());
        assert!(!shown.contains("PRIVATE KEY") && shown.contains("***"), "{shown}");
    }

    #[test]
    fn a_file_is_read_up_to_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        let text = key_file("https://h.example/token");
        let room = usize::try_from(MAX_FILE_SIZE).unwrap() - text.len();
        std::fs::write(&file, text.clone() + &" ".repeat(room)).unwrap();
        assert_eq!(ServiceAccount::read(&file).unwrap().project_id.as_deref(), Some("acme-1"));
        std::fs::write(&file, text + &" ".repeat(room + 1)).unwrap();
        assert!(matches!(ServiceAccount::read(&file), Err(BadKeyFile::Unreadable(_))));
        std::fs::write(&file, "no json").unwrap();
        assert_eq!(ServiceAccount::read(&file), Err(BadKeyFile::NoJson));
    }
}
