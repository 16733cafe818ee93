//! The vendors' APIs as clouds host them: the same words, but for what stands elsewhere or is said otherwise.
//!
//! Google's Vertex AI and Amazon Bedrock take the body of Anthropic's API without the model, which their path names,
//! and with the API's version; Bedrock also without `stream` and with the beta features that are a header elsewhere.
//! Bedrock's errors are Amazon's own, and become Anthropic's here. Gemini on Vertex AI wants the role that its own API
//! lets clients leave out, and knows no ids of calls. Sources: Anthropic's pages on both clouds, AWS's reference of
//! `InvokeModel`, and what Vertex AI answers ("Please use a valid role", "Unknown name \"id\"").

use super::peek::BadBody;
use super::reader;
use bytes::Bytes;
use memchr::memmem;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a cloud wants to be different in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The members that it doesn't take.
    pub without: &'static [&'static str],
    /// The value of `anthropic_version`.
    pub version: &'static str,
}

/// Makes the changes; `betas` are the features of the `anthropic-beta` header, where they are to be in the body. What
/// the client says itself under these names stays.
///
/// # Errors
/// When the body is no JSON object.
pub fn change(body: &[u8], changes: &Changes, betas: &[&str]) -> Result<Bytes, BadBody> {
    let mut members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(body).map_err(|_| BadBody("the body must be a JSON object".to_owned()))?;
    for name in changes.without {
        members.remove(*name);
    }
    let own = [
        ("anthropic_version", Some(Value::from(changes.version))),
        ("anthropic_beta", (!betas.is_empty()).then(|| json!(betas))),
    ];
    let mut out = Vec::with_capacity(body.len() + 128);
    let mut separator = b'{';
    let mut put = |name: &str, value: &str| {
        out.push(separator);
        out.extend_from_slice(Value::from(name).to_string().as_bytes());
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
        separator = b',';
    };
    for (name, value) in own {
        if let Some(value) = value.filter(|_| !members.contains_key(name)) {
            put(name, &value.to_string());
        }
    }
    for (name, value) in &members {
        put(name, value.get());
    }
    if members.is_empty() && separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(out.into())
}

/// A body of Gemini's API as Vertex AI takes it; what isn't understood stays as it is, for Google to refuse.
pub fn with_roles_and_without_ids(body: &Bytes) -> Bytes {
    let text = std::str::from_utf8(body).ok();
    text.and_then(|text| changed_member(text, &["contents"], |contents| each(contents, content)))
        .map_or_else(|| body.clone(), Bytes::from)
}

/// Members of an object by name, each as its text.
type Members<'t> = BTreeMap<Cow<'t, str>, Cow<'t, str>>;

fn members(text: &str) -> Option<Members<'_>> {
    let raw: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    Some(raw.into_iter().map(|(name, value)| (name, value.get().into())).collect())
}

fn object(members: &Members<'_>) -> String {
    let member = |(name, value): (&Cow<'_, str>, &Cow<'_, str>)| format!("{}:{value}", Value::from(&**name));
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// An object with these members changed; `None` where there is nothing to change.
fn changed_member(text: &str, names: &[&str], change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut members = members(text)?;
    let mut is_changed = false;
    for name in names {
        if let Some(value) = members.get_mut(*name)
            && let Some(changed) = change(value)
        {
            *value = changed.into();
            is_changed = true;
        }
    }
    is_changed.then(|| object(&members))
}

/// A list with its elements changed, or what stands in the place of a list of one.
fn each(text: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    if !text.starts_with('[') {
        return change(text);
    }
    let elements: Vec<&RawValue> = reader::read(text).ok()?;
    let changed: Vec<Option<String>> = elements.iter().map(|element| change(element.get())).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let texts = elements.iter().zip(&changed);
    let texts: Vec<&str> = texts.map(|(old, new)| new.as_deref().unwrap_or(old.get())).collect();
    Some(format!("[{}]", texts.join(",")))
}

/// A turn of a conversation, the user's unless it says otherwise.
fn content(text: &str) -> Option<String> {
    let without_ids = changed_member(text, &["parts"], |parts| each(parts, part));
    let mut turn = members(without_ids.as_deref().unwrap_or(text))?;
    if turn.get("role").is_some_and(|role| role != "null" && role != "\"\"") {
        return without_ids;
    }
    turn.insert("role".into(), "\"user\"".into());
    Some(object(&turn))
}

fn part(text: &str) -> Option<String> {
    const NAMES: [&str; 4] = ["functionCall", "function_call", "functionResponse", "function_response"];
    // Images are long, and have none of these.
    memmem::find(text.as_bytes(), b"unction")?;
    changed_member(text, &NAMES, |call| {
        let mut call = members(call)?;
        call.remove("id")?;
        Some(object(&call))
    })
}

/// How Bedrock's exceptions are called, in lower case and without `exception` at the end; the status and kind that
/// Anthropic's API has for them. Where it is `None`, the answer's own status stays.
const EXCEPTIONS: [(&str, Option<u16>, &str); 17] = [
    ("throttling", Some(429), "rate_limit_error"),
    ("toomanyrequests", Some(429), "rate_limit_error"),
    ("servicequotaexceeded", Some(429), "rate_limit_error"),
    ("modelnotready", Some(529), "overloaded_error"),
    ("serviceunavailable", Some(503), "overloaded_error"),
    ("modeltimeout", Some(504), "timeout_error"),
    // 424, which says that the model failed at it, and would be the client's fault by its first digit.
    ("modelerror", Some(500), "api_error"),
    ("modelstreamerror", Some(500), "api_error"),
    ("internalserver", Some(500), "api_error"),
    ("internalfailure", Some(500), "api_error"),
    ("accessdenied", Some(403), "permission_error"),
    ("unrecognizedclient", Some(403), "authentication_error"),
    ("invalidsignature", Some(403), "authentication_error"),
    ("incompletesignature", Some(403), "authentication_error"),
    ("expiredtoken", Some(403), "authentication_error"),
    ("resourcenotfound", Some(404), "not_found_error"),
    ("validation", None, "invalid_request_error"),
];

/// Bedrock's error as one of Anthropic's: its status and body. `status` is the answer's, none in a stream; `exception`
/// is what it is called; `said` what it says, if not in the body.
pub fn bedrock_error(status: Option<u16>, exception: &str, said: &str, body: &[u8]) -> (u16, Bytes) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // The name may be followed by an address, or preceded by a name space.
    let named = [exception, body.get("__type").and_then(Value::as_str).unwrap_or_default()];
    let name = named.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let name = name.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let bare = name.strip_suffix("exception").unwrap_or(&name);
    let row = EXCEPTIONS.iter().find(|(known, ..)| *known == bare);
    let status = row.and_then(|row| row.1).or(status).unwrap_or(500);
    let kind = row.map_or_else(|| kind_of(status), |row| row.2);
    let message = ["message", "Message"].into_iter().find_map(|name| body.get(name)?.as_str());
    let message = message.or(Some(said).filter(|said| !said.is_empty()));
    let message = message.unwrap_or("the provider gave no reason");
    let error = json!({"type": "error", "error": {"type": kind, "message": message}});
    (status, error.to_string().into())
}

/// What Anthropic calls an error of that status.
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEDROCK: Changes = Changes { without: &["model", "stream"], version: "bedrock-2023-05-31" };

    fn changed(body: &str, betas: &[&str]) -> Value {
        serde_json::from_slice(&change(body.as_bytes(), &BEDROCK, betas).unwrap()).unwrap()
    }

    #[test]
    fn what_is_named_elsewhere_goes_and_the_rest_stays() {
        let body = r#"{"model":"m","stream":true,"max_tokens":1,"messages":[{"role":"user","content":"{\"model\":1}"}],
            "n\u0065w":1.50}"#;
        let expected = json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "{\"model\":1}"}],
            "new": 1.50,
        });
        assert_eq!(changed(body, &[]), expected);
        let text = change(body.as_bytes(), &BEDROCK, &[]).unwrap();
        assert!(String::from_utf8_lossy(&text).contains("1.50"), "numbers are not written anew");
        assert_eq!(changed(r#"{"model":"m"}"#, &[]), json!({"anthropic_version": "bedrock-2023-05-31"}));
    }

    #[test]
    fn beta_features_become_a_member_and_what_the_client_says_wins() {
        assert_eq!(changed("{}", &["a", "b"])["anthropic_beta"], json!(["a", "b"]));
        let own = changed(r#"{"anthropic_beta":["c"],"anthropic_version":"v"}"#, &["a"]);
        assert_eq!(own, json!({"anthropic_beta": ["c"], "anthropic_version": "v"}));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "1", "{"] {
            assert!(change(body.as_bytes(), &BEDROCK, &[]).is_err(), "{body}");
        }
    }

    #[test]
    fn vertex_gets_roles_and_no_ids() {
        let on_vertex = |body: Value| -> Value {
            let body = Bytes::from(body.to_string());
            serde_json::from_slice(&with_roles_and_without_ids(&body)).unwrap()
        };
        let call = |id: bool, name: &str| {
            let mut part =
                json!({name: {"name": "f", "args": {"id": 7, "x": 1.50}}, "thoughtSignature": "s"});
            if id {
                part[name]["id"] = "call_1".into();
            }
            part
        };
        for name in ["functionCall", "function_call", "functionResponse", "function_response"] {
            let asked = json!({"contents": [{"role": "model", "parts": [{"text": "functionCall"}, call(true, name)]}], "k": 1});
            let wanted = json!({"contents": [{"role": "model", "parts": [{"text": "functionCall"}, call(false, name)]}], "k": 1});
            assert_eq!(on_vertex(asked), wanted, "{name}");
        }
        for role in [json!({}), json!({"role": null}), json!({"role": ""})] {
            let mut turn = json!({"parts": [{"text": "a"}]});
            turn.as_object_mut().unwrap().extend(role.as_object().unwrap().clone());
            let wanted = json!({"role": "user", "parts": [{"text": "a"}]});
            assert_eq!(on_vertex(json!({"contents": [turn]})), json!({"contents": [wanted]}));
        }
        let single = json!({"contents": {"parts": {"functionCall": {"id": "1", "name": "f"}}}});
        let wanted = json!({"contents": {"role": "user", "parts": {"functionCall": {"name": "f"}}}});
        assert_eq!(on_vertex(single), wanted);
    }

    #[test]
    fn what_vertex_takes_as_it_is_is_not_copied() {
        for body in
            [r#"{"contents":[{"role":"user","parts":[{"text":"functionCall id"}]}]}"#, "{}", "[]", "no JSON"]
        {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(with_roles_and_without_ids(&body).as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn each_exception_has_its_status_and_kind() {
        let told = |status, name: &str| {
            let (status, body) = bedrock_error(Some(status), name, "", br#"{"message":"Words."}"#);
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["message"], "Words.");
            (status, body["error"]["type"].as_str().unwrap().to_owned())
        };
        for (status, name, as_status, kind) in [
            (
                429,
                "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                429,
                "rate_limit_error",
            ),
            (429, "ModelNotReadyException", 529, "overloaded_error"),
            (424, "ModelErrorException", 500, "api_error"),
            (408, "ModelTimeoutException", 504, "timeout_error"),
            (400, "ValidationException", 400, "invalid_request_error"),
            (400, "ServiceQuotaExceededException", 429, "rate_limit_error"),
            (403, "AccessDeniedException", 403, "permission_error"),
            (403, "InvalidSignatureException", 403, "authentication_error"),
            (404, "ResourceNotFoundException", 404, "not_found_error"),
            (418, "NeverHeardOfException", 418, "invalid_request_error"),
            (502, "", 502, "api_error"),
        ] {
            assert_eq!(told(status, name), (as_status, kind.to_owned()), "{name}");
        }
    }

    #[test]
    fn an_exception_may_name_itself_in_its_body() {
        let body = br#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"No."}"#;
        let (status, body) = bedrock_error(Some(403), "", "", body);
        assert_eq!(status, 403);
        assert_eq!(body, r#"{"error":{"message":"No.","type":"permission_error"},"type":"error"}"#);
    }
}
