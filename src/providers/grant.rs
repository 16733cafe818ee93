//! The access tokens of a Google service account, each had for a claim that the account signs.
//!
//! The grant is RFC 7523's: a JWT, signed with the account's RSA key, is exchanged at the account's token endpoint for
//! an access token of an hour. The key never leaves this process. How the endpoint is reached is [`AskForToken`]'s.

use super::credential::{Credential, Outgoing, SetHeader};
use super::service_account::{BadKeyFile, ServiceAccount};
use super::token::{Given, NoToken, Readiness, Token};
use crate::domain::Secret;
use crate::settings::Url;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// What the token is for: all of the cloud that the account may use.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
/// How long a claim is good for; Google takes no more.
const CLAIM_LIFETIME: Duration = Duration::from_secs(3600);
/// The life of a token whose answer doesn't say.
const ASSUMED_LIFETIME: u64 = 3600;
/// How much of an endpoint's words is repeated.
const MAX_WORDS: usize = 200;

/// Sends the form to a token endpoint.
#[async_trait]
pub trait AskForToken: Send + Sync {
    /// Posts the form; gives the status and body of the answer.
    ///
    /// # Errors
    /// When there is no answer: why, without secrets.
    async fn post(&self, url: &Url, form: String) -> Result<(u16, Bytes), String>;
}

/// The credential of a service account.
pub(super) struct Bearer {
    account: ServiceAccount,
    key: KeyPair,
    token: Token<HeaderValue>,
}

impl Bearer {
    /// Of this account, without a token yet.
    ///
    /// # Errors
    /// When its key is none.
    pub fn new(account: ServiceAccount) -> Result<Bearer, BadKeyFile> {
        Ok(Bearer { key: account.key_pair()?, account, token: Token::none() })
    }

    /// The signed claim that a token is given for.
    fn claim(&self, now: SystemTime) -> Result<Secret, NoToken> {
        let issued = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.account.private_key_id});
        let claims = json!({
            "iss": self.account.client_email,
            "scope": SCOPE,
            "aud": self.account.token_uri,
            "iat": issued.as_secs(),
            "exp": (issued + CLAIM_LIFETIME).as_secs(),
        });
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.map_err(|_| NoToken::Refused("the claim could not be signed with its key".to_owned()))?;
        Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    async fn ask(&self, now: SystemTime, ask: &dyn AskForToken) -> Result<(Given, HeaderValue), NoToken> {
        let form = format!("grant_type={GRANT}&assertion={}", self.claim(now)?.expose());
        let (status, body) = ask.post(&self.account.token_url, form).await.map_err(NoToken::Unreachable)?;
        let given = understand(status, &body)?;
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", given.secret.expose()));
        let mut header = HeaderValue::from_str(&bearer)
            .map_err(|_| NoToken::Unreachable("its token can't be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        Ok((given, header))
    }
}

/// What a token endpoint answers (RFC 6749, sections 5.1 and 5.2).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    expires_in: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

fn understand(status: u16, body: &[u8]) -> Result<Given, NoToken> {
    let answer: Option<TokenAnswer> = serde_json::from_slice(body).ok();
    match (status, answer) {
        (200..300, Some(TokenAnswer { access_token: Some(token), expires_in, .. })) if !token.is_empty() => {
            let lifetime = Duration::from_secs(expires_in.unwrap_or(ASSUMED_LIFETIME));
            Ok(Given { secret: Secret::new(token), lifetime })
        }
        (400 | 401 | 403, answer) => {
            let said = answer.map(|it| [it.error, it.error_description]);
            let said: Vec<String> = said.into_iter().flatten().flatten().collect();
            Err(NoToken::Refused(if said.is_empty() { status.to_string() } else { words(&said.join(": ")) }))
        }
        (200..300, _) => Err(NoToken::Unreachable("an answer without a token".to_owned())),
        _ => Err(NoToken::Unreachable(format!("it answered {status}"))),
    }
}

/// Part of an endpoint's words, as far as they can stand in a line.
fn words(said: &str) -> String {
    said.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

#[async_trait]
impl Credential for Bearer {
    fn apply(&self, _: &Outgoing<'_>, set: SetHeader<'_>) {
        if let Some(held) = self.token.held() {
            set(&AUTHORIZATION, &held.prepared);
        }
    }

    fn each_secret(&self, see: &mut dyn FnMut(&[u8])) {
        if let Some(held) = self.token.held() {
            see(held.secret.expose().as_bytes());
        }
    }

    fn readiness(&self, now: SystemTime) -> Readiness {
        self.token.readiness(now)
    }

    async fn renew(&self, now: SystemTime, ask: &dyn AskForToken) -> Result<(), NoToken> {
        self.token.renew(now, fastrand::f64(), self.ask(now, ask)).await
    }

    fn refused(&self, now: SystemTime) {
        self.token.refused(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::credential::{Entry, EntryStatus, Terms};
    use crate::providers::credentials::Credentials;
    use crate::providers::service_account::tests::account;
    use http::{HeaderMap, Method};
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use std::sync::Mutex;
    use std::time::UNIX_EPOCH;

    /// Gives the scripted answers, and keeps the forms.
    #[derive(Default)]
    struct Endpoint {
        answers: Mutex<Vec<Result<(u16, &'static str), String>>>,
        forms: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl AskForToken for Endpoint {
        async fn post(&self, _: &Url, form: String) -> Result<(u16, Bytes), String> {
            self.forms.lock().unwrap().push(form);
            let answer = self.answers.lock().unwrap().remove(0);
            answer.map(|(status, body)| (status, Bytes::from_static(body.as_bytes())))
        }
    }

    fn answering(answers: &[Result<(u16, &'static str), String>]) -> Endpoint {
        Endpoint { answers: Mutex::new(answers.to_vec()), ..Endpoint::default() }
    }

    fn sent(entry: &Entry) -> HeaderMap {
        let mut sent = HeaderMap::new();
        let request = Outgoing {
            method: &Method::POST,
            authority: "h",
            path_and_query: "/",
            headers: &HeaderMap::new(),
            body_sha256: &|| unreachable!("a token needs no hash"),
            now: &|| UNIX_EPOCH,
        };
        entry.apply(&request, &mut |name, value| {
            sent.insert(name.clone(), value.clone());
        });
        sent
    }

    const NOW: SystemTime = UNIX_EPOCH;
    const GOOD: (u16, &str) =
        (200, r#"{"access_token":"ya29.token","expires_in":3599,"token_type":"Bearer"}"#);

    #[tokio::test]
    async fn a_claim_is_exchanged_for_a_token_which_is_sent() {
        let endpoint = answering(&[Ok(GOOD)]);
        let entry = Entry::service_account(&account(), Terms::default()).unwrap();
        assert!(entry.lacks_token(|| NOW) && sent(&entry).is_empty());
        assert_eq!(entry.status(NOW), EntryStatus::Active, "it may be had");
        entry.renew(NOW + Duration::from_secs(1_700_000_000), &endpoint).await.unwrap();
        let header = &sent(&entry)["authorization"];
        assert_eq!((header, header.is_sensitive()), (&HeaderValue::from_static("Bearer ya29.token"), true));

        let form = endpoint.forms.lock().unwrap().remove(0);
        let claim = form
            .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
            .unwrap();
        let (text, signature) = claim.rsplit_once('.').unwrap();
        let public = account().key_pair().unwrap().public().clone();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let part =
            |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
        let (header, claims) = text.split_once('.').unwrap();
        assert_eq!(part(header), json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
        let expected = json!({
            "iss": "gateway@acme-1.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://oauth2.example/token",
            "iat": 1_700_000_000,
            "exp": 1_700_003_600,
        });
        assert_eq!(part(claims), expected);
    }

    #[tokio::test]
    async fn what_is_refused_and_what_is_out_of_reach_are_told_apart() {
        let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
        let refused = |words: &str| NoToken::Refused(words.to_owned());
        let unreachable = |words: &str| NoToken::Unreachable(words.to_owned());
        let cases = [
            (Ok((400, refusal)), refused("invalid_grant: Invalid JWT Signature.")),
            (Ok((401, r#"{"error":"invalid_client\n"}"#)), refused("invalid_client")),
            (Ok((403, "<html>")), refused("403")),
            (Ok((503, "busy")), unreachable("it answered 503")),
            (Ok((429, refusal)), unreachable("it answered 429")),
            (Ok((200, "{}")), unreachable("an answer without a token")),
            (Ok((200, r#"{"access_token":"a\nb"}"#)), unreachable("its token can't be sent in a header")),
            (Err("refused".to_owned()), unreachable("refused")),
        ];
        for (answer, expected) in cases {
            let entry = Entry::service_account(&account(), Terms::default()).unwrap();
            let error = entry.renew(NOW, &answering(&[answer])).await.unwrap_err();
            assert_eq!(error, expected);
            assert_eq!(entry.status(NOW), EntryStatus::NoToken);
            assert!(!entry.wants_renewal(NOW) && entry.wants_renewal(NOW + Duration::from_secs(2)));
        }
    }

    #[tokio::test]
    async fn a_token_that_the_provider_refuses_is_had_anew() {
        let entry = Entry::service_account(&account(), Terms::default()).unwrap();
        entry.renew(NOW, &answering(&[Ok(GOOD)])).await.unwrap();
        let later = NOW + Duration::from_secs(120);
        entry.refused(later);
        assert!(entry.lacks_token(|| later) && entry.wants_renewal(later));
    }

    #[tokio::test]
    async fn a_token_stays_when_the_folder_of_credentials_is_read_anew() {
        let entry = |weight| {
            let terms = Terms { weight, ..Terms::default() };
            Entry::service_account(&account(), terms).unwrap()
        };
        let credentials = Credentials::new([entry(1)]);
        for entry in credentials.wanting_renewal(NOW) {
            entry.renew(NOW, &answering(&[Ok(GOOD)])).await.unwrap();
        }
        credentials.replace([entry(7)]);
        let kept = credentials.pick(NOW, |_| true).unwrap();
        assert_eq!((kept.terms().weight, kept.lacks_token(|| NOW)), (7, false));
        assert!(credentials.wanting_renewal(NOW).is_empty());
        credentials.replace([]);
        credentials.replace([entry(7)]);
        assert_eq!(credentials.wanting_renewal(NOW).len(), 1);
    }
}
