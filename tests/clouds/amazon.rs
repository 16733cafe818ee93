//! A simulated Amazon Bedrock, before a simulated model of Anthropic's. It verifies signatures for itself.

use super::server::{Answer, Seen, Server};
use crate::support::{Event, Provider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::json;

pub const REGION: &str = "eu-west-1";
pub const KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET: &str = "bedrock-secret-51ca7e";
pub const TOKEN: &str = "bedrock-session-77f0";

pub struct Amazon {
    pub server: Server,
}

impl Amazon {
    pub fn start() -> Amazon {
        let anthropic = Provider::anthropic();
        Amazon { server: Server::start(move |seen| answer(&anthropic, seen)) }
    }

    /// An entry under `providers:` with its keys.
    pub fn yaml(&self, name: &str, lines: &[&str]) -> String {
        self.yaml_with_secret(name, SECRET, lines)
    }

    pub fn yaml_with_secret(&self, name: &str, secret: &str, lines: &[&str]) -> String {
        let keys = [
            format!("aws_access_key_id: {KEY_ID}"),
            format!("aws_secret_access_key: {secret}"),
            format!("aws_session_token: {TOKEN}"),
        ];
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.yaml_without_keys(name, &[&keys, lines].concat())
    }

    pub fn yaml_without_keys(&self, name: &str, lines: &[&str]) -> String {
        let mut entry = format!(
            "  {name}:\n    preset: bedrock\n    base_url: {}\n    region: {REGION}\n",
            self.server.url()
        );
        for line in lines {
            entry += &format!("    {line}\n");
        }
        entry
    }
}

fn answer(anthropic: &Provider, seen: &Seen) -> Answer {
    if !is_signed(seen) {
        let message = "The request signature we calculated does not match the signature you provided.";
        return refusal(403, "InvalidSignatureException", message);
    }
    let Some(rest) = seen.path.strip_prefix("/model/") else {
        return Answer::json(200, &json!({"path": seen.path}));
    };
    let (model, verb) = rest.split_once('/').expect("a verb");
    let model = model.replace("%3A", ":").replace("%2F", "/");
    let mut body = seen.json();
    let object = body.as_object_mut().expect("an object");
    assert_eq!(object.remove("anthropic_version"), Some("bedrock-2023-05-31".into()));
    assert!(!object.contains_key("model") && !object.contains_key("stream"), "{object:?}");
    object.remove("anthropic_beta");
    let streams = verb == "invoke-with-response-stream";
    assert!(streams || verb == "invoke", "{verb}");
    match &*model {
        "throttled" => return refusal(429, "ThrottlingException", "Too many tokens, please wait."),
        "broken" => return refusal(424, "ModelErrorException", "The model failed."),
        "invalid" => {
            return refusal(400, "ValidationException", "messages: at least one message is required");
        }
        "absent" => return refusal(400, "ValidationException", "The provided model identifier is invalid."),
        "denied" => return refusal(403, "AccessDeniedException", "You don't have access to the model."),
        _ => {}
    }
    body["model"] = model.as_str().into();
    body["stream"] = streams.into();
    let client = anthropic.client();
    let request = client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&body);
    let response = anthropic.sign(request).send();
    assert_eq!(response.status, 200, "{}", response.text());
    if !streams {
        return super::google::passed(response);
    }
    let mut events: Vec<Vec<u8>> =
        Event::all(&response.body).iter().map(|event| chunk(&event.data)).collect();
    let middle = events.len() / 2;
    match &*model {
        "torn" => {
            events.truncate(middle);
            events[middle - 1].pop();
        }
        "corrupt" => *events[middle].last_mut().expect("a byte") ^= 1,
        "throttled-later" => events.splice(middle.., [exception("throttlingException")]).for_each(drop),
        "throttled-first" => events = vec![exception("throttlingException")],
        "corrupt-first" => events[0][20] ^= 1,
        _ => {}
    }
    Answer {
        status: 200,
        headers: vec![("content-type", "application/vnd.amazon.eventstream".to_owned())],
        body: events.concat(),
        until_close: true,
    }
}

fn refusal(status: u16, name: &str, message: &str) -> Answer {
    let mut answer = Answer::json(status, &json!({"message": message}));
    answer.headers.push(("x-amzn-errortype", format!("{name}:http://internal.example/coral/")));
    answer
}

fn chunk(json: &str) -> Vec<u8> {
    let payload = json!({"bytes": STANDARD.encode(json), "p": "abc"}).to_string();
    message(&[(":event-type", "chunk"), (":message-type", "event")], payload.as_bytes())
}

fn exception(name: &str) -> Vec<u8> {
    message(
        &[(":exception-type", name), (":message-type", "exception")],
        br#"{"message":"Too many requests"}"#,
    )
}

fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("a short name"));
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let number = |number: usize| u32::try_from(number).expect("a small number").to_be_bytes();
    let mut out = number(16 + head.len() + payload.len()).to_vec();
    out.extend_from_slice(&number(head.len()));
    out.extend_from_slice(&crc(&out).to_be_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc(&out).to_be_bytes());
    out
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What AWS does with a signature: takes it apart, and signs what came for itself.
fn is_signed(seen: &Seen) -> bool {
    let Some(authorization) = seen.header("authorization") else { return false };
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name)?;
        rest.split(", ").next()
    };
    let (Some(credential), Some(names), Some(signature)) =
        (part("Credential="), part("SignedHeaders="), part("Signature="))
    else {
        return false;
    };
    let date = seen.header("x-amz-date").expect("a date");
    let scope = format!("{}/{REGION}/bedrock/aws4_request", &date[..8]);
    assert_eq!(credential, format!("{KEY_ID}/{scope}"));
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        assert!(names.split(';').any(|it| it == name), "{name} is not signed: {names}");
    }
    assert_eq!(seen.header("x-amz-security-token"), Some(TOKEN));
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    let headers: String = names
        .split(';')
        .map(|name| format!("{name}:{}\n", seen.header(name).unwrap_or_default().trim()))
        .collect();
    let canonical = [
        seen.method.clone(),
        // What is there is encoded once more; but for `%` and `:` there is nothing to encode in these tests.
        path.replace('%', "%25").replace(':', "%3A"),
        query.to_owned(),
        headers,
        names.to_owned(),
        hex(digest(&SHA256, &seen.body).as_ref()),
    ];
    let hashed = hex(digest(&SHA256, canonical.join("\n").as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for step in [&date[..8], REGION, "bedrock", "aws4_request", &to_sign] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec();
    }
    hex(&key) == signature
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
