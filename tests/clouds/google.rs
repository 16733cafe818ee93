//! A simulated Google Vertex AI with its token endpoint, before simulated models of Google's and Anthropic's.

use super::server::{Answer, Seen, Server};
use crate::support::{Provider, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cliproxy::domain::Dialect;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KEY: &str = include_str!("../support/service_account_key.pem");
const BASE: &str = "/v1/projects/acme-1/locations/us-central1/publishers/";
const EMAIL: &str = "gateway@acme-1.example";

/// How its token endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// It answers after so long.
    Slow(Duration),
    /// It knows no such account.
    Refusing,
    /// It answers 503.
    Down,
}

pub struct Google {
    pub server: Server,
    state: Arc<State>,
    folder: TempDir,
}

struct State {
    scheme: &'static str,
    mood: Mutex<Mood>,
    lifetime: Duration,
    /// When each token ends; they are numbered from 1.
    tokens: Mutex<Vec<Instant>>,
    anthropic: Provider,
    gemini: Provider,
}

impl Google {
    pub fn start() -> Google {
        Google::with(Mood::Well, Duration::from_secs(3600))
    }

    pub fn with(mood: Mood, lifetime: Duration) -> Google {
        Google::over(None, mood, lifetime)
    }

    /// Over TLS, token endpoint and all.
    pub fn over_tls(tls: ServerConfig) -> Google {
        Google::over(Some(Arc::new(tls)), Mood::Well, Duration::from_secs(3600))
    }

    fn over(tls: Option<Arc<ServerConfig>>, mood: Mood, lifetime: Duration) -> Google {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Arc::new(State {
            scheme,
            mood: Mutex::new(mood),
            lifetime,
            tokens: Mutex::default(),
            anthropic: Provider::anthropic(),
            gemini: Provider::gemini(),
        });
        let kept = Arc::clone(&state);
        let server = Server::over(tls, move |seen| state.answer(seen));
        let folder = tempfile::tempdir().expect("a folder");
        let google = Google { server, state: kept, folder };
        std::fs::write(google.key_file(), google.key_json().to_string()).expect("a file");
        google
    }

    pub fn be(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// The key file of its only account.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("google.json")
    }

    pub fn key_json(&self) -> Value {
        json!({
            "type": "service_account",
            "project_id": "acme-1",
            "private_key_id": "kid-1",
            "private_key": KEY,
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": format!("{}/token", self.server.url()),
            "universe_domain": "googleapis.com",
        })
    }

    /// An entry under `providers:` that has the key.
    pub fn yaml(&self, name: &str, lines: &[&str]) -> String {
        let file = format!("service_account_file: {}", self.key_file().display());
        self.yaml_without_key(name, &[&[file.as_str()], lines].concat())
    }

    pub fn yaml_without_key(&self, name: &str, lines: &[&str]) -> String {
        let mut entry = format!("  {name}:\n    base_url: {}\n    region: us-central1\n", self.server.url());
        for line in lines {
            entry += &format!("    {line}\n");
        }
        entry
    }

    /// How often a token was asked for.
    pub fn asked_for_tokens(&self) -> usize {
        self.server.seen("/token").len()
    }
}

impl State {
    fn answer(&self, seen: &Seen) -> Answer {
        if seen.path == "/token" {
            return self.token(seen);
        }
        let bearer = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ya29.token-"));
        let number: Option<usize> = bearer.and_then(|number| number.parse().ok());
        let ends = number.and_then(|number| self.tokens.lock().unwrap().get(number - 1).copied());
        if ends.is_none_or(|ends| ends <= Instant::now()) {
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        }
        let rest = seen.path.strip_prefix(BASE).expect("the project's path");
        match rest.split_once('/').expect("a publisher") {
            ("google", rest) => {
                let client = self.gemini.client();
                let request = client.post(&format!("/v1beta/{rest}")).body(seen.body.clone());
                let request = request.header("content-type", "application/json");
                passed(self.gemini.sign(request).send())
            }
            ("anthropic", rest) => self.anthropic(rest, seen),
            (publisher, _) => panic!("no models of {publisher}"),
        }
    }

    fn anthropic(&self, rest: &str, seen: &Seen) -> Answer {
        let (model, verb) = rest.strip_prefix("models/").expect("models").rsplit_once(':').expect("a verb");
        let mut body = seen.json();
        let version = body.as_object_mut().expect("an object").remove("anthropic_version");
        assert_eq!(version, Some("vertex-2023-10-16".into()));
        let path = if model == "count-tokens" {
            assert!(body["model"].is_string());
            "/v1/messages/count_tokens"
        } else {
            assert_eq!(body.get("model"), None, "the path names it");
            assert_eq!(verb == "streamRawPredict", body["stream"] == true);
            body["model"] = model.into();
            "/v1/messages"
        };
        if model == "unknown" {
            return error(404, "NOT_FOUND", "Publisher Model `unknown` was not found.");
        }
        if model == "limited" {
            return error(429, "RESOURCE_EXHAUSTED", "Quota exceeded.");
        }
        let client = self.anthropic.client();
        let request = client.post(path).header("anthropic-version", "2023-06-01").json(&body);
        passed(self.anthropic.sign(request).send())
    }

    /// RFC 7523, section 3.
    fn token(&self, seen: &Seen) -> Answer {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Down => return Answer::json(503, &json!({"error": "backend_error"})),
            Mood::Refusing => {
                let body = json!({"error": "invalid_grant", "error_description": "Invalid grant: account not found"});
                return Answer::json(400, &body);
            }
            Mood::Slow(wait) => sleep(wait),
            Mood::Well => {}
        }
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let prefix = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
        let claim = form.strip_prefix(prefix).expect("the grant");
        let (text, signature) = claim.rsplit_once('.').expect("a signature");
        let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
        let public = KeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("a key").public().clone();
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        public.verify(text.as_bytes(), &signature).expect("a good signature");
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.').expect("two parts").1).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        let host = seen.header("host").expect("a host");
        assert_eq!(claims["aud"], format!("{}://{host}/token", self.scheme));
        assert_eq!(claims["iss"], EMAIL);
        let mut tokens = self.tokens.lock().unwrap();
        tokens.push(Instant::now() + self.lifetime);
        Answer::json(
            200,
            &json!({
                "access_token": format!("ya29.token-{}", tokens.len()),
                "expires_in": self.lifetime.as_secs(),
                "token_type": "Bearer",
            }),
        )
    }
}

fn error(code: u16, status: &str, message: &str) -> Answer {
    Answer::json(code, &json!({"error": {"code": code, "message": message, "status": status}}))
}

/// A simulated model's answer as it is.
pub fn passed(response: Response) -> Answer {
    let content_type = response.header("content-type").unwrap_or_default().to_owned();
    Answer {
        status: response.status,
        headers: vec![("content-type", content_type)],
        body: response.body,
        until_close: false,
    }
}

/// The dialects of the models that it has, with the preset for each.
pub const PRESETS: [(&str, Dialect); 2] =
    [("vertex", Dialect::Gemini), ("vertex-anthropic", Dialect::Anthropic)];
