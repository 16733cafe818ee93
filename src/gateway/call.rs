//! What a client asks for, and the request that each provider gets of it.

use super::attempt::Attempt;
use super::choose;
use super::count;
use super::headers;
use super::hosted;
use super::path::{self, Path};
use super::routes::{Endpoint, ModelIn, Streams, Subject};
use super::wire::Outgoing;
use crate::domain::{Dialect, ErrorCode, Failure, wall_clock};
use crate::providers::credential;
use crate::providers::platform::Wish;
use crate::translate::edit::{self, Edit};
use crate::translate::embeddings;
use crate::translate::features::{Feature, Features};
use crate::translate::frames::Framing;
use crate::translate::kept::{self, Reference};
use crate::translate::multipart;
use crate::translate::peek::{BadBody, Peek};
use crate::translate::prefill;
use crate::translate::returning;
use crate::translate::sides::Target;
use crate::translate::signs::Api;
use crate::translate::translation::{Client, Question, Translation};
use crate::translate::usage::BYTES_PER_TOKEN;
use bytes::Bytes;
use http::Method;
use http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::request::{Parts, Request};
use http::uri::PathAndQuery;
use pingora::ErrorType::InvalidHTTPHeader;
use pingora::http::RequestHeader;
use pingora::{Error, OrErr};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("cliproxy/", env!("CARGO_PKG_VERSION")));
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The version that has everything which other dialects know: later ones refuse sampling parameters.
const OLDEST_ANTHROPIC: HeaderValue = HeaderValue::from_static("2023-06-01");
/// The longest name of a model: it stands in headers, logs and messages. Amazon's have 200 bytes and some.
const MAX_MODEL_BYTES: usize = 512;
/// Room for the headers of nearly every request.
const HEADERS: usize = 16;

/// An inference request, read and understood as far as the gateway needs to.
pub struct Call {
    /// What was called.
    pub endpoint: &'static Endpoint,
    /// The model that the client named, or the endpoint's default.
    pub model: Arc<str>,
    /// Path and query as the client sent them; where the path has the model, its version and query.
    path: Path,
    /// Empty once it was let go of.
    body: Bytes,
    body_length: usize,
    naming: Naming,
    /// The body as it is understood; read when it is first asked for.
    question: OnceLock<Question>,
}

/// Where the body names the model, so that it can be renamed.
enum Naming {
    Json(Peek),
    Form(multipart::Model),
    /// Nowhere: the path names it.
    Path(Peek),
}

impl Call {
    /// Understands a request.
    ///
    /// # Errors
    /// `invalid_request`, naming the field that is missing or wrong.
    pub fn read(
        endpoint: &'static Endpoint,
        path_model: Option<&str>,
        request: &RequestHeader,
        body: Bytes,
    ) -> Result<Call, Failure> {
        let bad = |BadBody(why)| Failure::new(ErrorCode::InvalidRequest, why);
        let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = content_type.filter(|value| is_form(value));
        let (naming, in_body) = match (endpoint.model_in, form) {
            (ModelIn::Body, Some(content_type)) => {
                let mut form = multipart::model(content_type, &body).map_err(bad)?;
                let model = form.name.take().map(Arc::from);
                (Naming::Form(form), model)
            }
            (ModelIn::Body, None) => {
                let mut peek = Peek::read(&body).map_err(bad)?;
                let model = peek.model.take();
                (Naming::Json(peek), model)
            }
            (ModelIn::Path, _) => (Naming::Path(Peek::read(&body).map_err(bad)?), None),
        };
        let named = path_model.map(Arc::from).or(in_body);
        let model = named.or_else(|| endpoint.default_model.map(Arc::from)).filter(|model| !model.is_empty());
        let Some(model) = model else {
            return Err(bad(BadBody("`model` is missing; say which model is to answer".to_owned())));
        };
        if model.len() > MAX_MODEL_BYTES {
            let why = format!("`model` has more than {MAX_MODEL_BYTES} bytes, as no model's name does");
            return Err(bad(BadBody(why)));
        }
        let path = Path::read(endpoint, &request.uri);
        if !path.is_confined(endpoint, &model) {
            return Err(bad(BadBody(
                "the model's name in the path is none that a model can have".to_owned(),
            )));
        }
        Ok(Call { endpoint, model, path, body_length: body.len(), body, naming, question: OnceLock::new() })
    }

    /// The dialect of the client.
    pub fn dialect(&self) -> Dialect {
        self.endpoint.dialect
    }

    /// The shape of its streams.
    pub fn api(&self) -> Api {
        Api::of(self.endpoint.dialect, self.endpoint.path)
    }

    /// Bytes of the request's body.
    pub fn body_length(&self) -> usize {
        self.body_length
    }

    /// Gives up the body, which nobody will be sent again.
    pub fn let_go(&mut self) {
        self.body = Bytes::new();
        self.question = OnceLock::new();
    }

    /// Whether the client asked for a stream.
    pub fn wants_stream(&self) -> bool {
        match (self.endpoint.streams, &self.naming) {
            (Streams::Always, _) => true,
            (Streams::OnRequest, Naming::Json(peek)) => peek.stream,
            _ => false,
        }
    }

    /// Whether the client asked for several answers to one request, which come side by side in a stream.
    pub fn wants_several(&self) -> bool {
        matches!(&self.naming, Naming::Json(peek) | Naming::Path(peek) if peek.several)
    }

    /// The call with a partial answer in it, for a provider that is to go on from there; none where the
    /// endpoint has no such thing.
    pub fn continued(&self, said: &str) -> Option<Call> {
        let body = prefill::continued(self.dialect(), &self.body, said)?;
        let naming = match &self.naming {
            Naming::Json(_) => Naming::Json(Peek::read(&body).ok()?),
            Naming::Path(_) => Naming::Path(Peek::read(&body).ok()?),
            Naming::Form(_) => return None,
        };
        let (model, path) = (Arc::clone(&self.model), self.path.clone());
        let (endpoint, body_length, question) = (self.endpoint, body.len(), OnceLock::new());
        Some(Call { endpoint, model, path, body_length, body, naming, question })
    }

    /// How the frames of a streamed answer are told apart, by what the answer says it is.
    pub fn framing(&self, answer: &HeaderMap) -> Option<Framing> {
        if is_event_stream(answer) {
            return Some(Framing::Events);
        }
        (self.endpoint.streams == Streams::Always).then_some(Framing::Elements)
    }

    /// Whether the usage chunk of a stream is there only because we asked for it.
    pub fn hides_usage(&self) -> bool {
        self.usage_edit().is_some()
    }

    fn usage_edit(&self) -> Option<Edit> {
        match &self.naming {
            Naming::Json(peek) if self.endpoint.asks_usage => peek.ask_for_usage(),
            _ => None,
        }
    }

    /// What is asked, so that it can be put into other words. Only conversations can.
    ///
    /// # Errors
    /// When the request isn't understood; names the field.
    pub fn question(&self) -> Result<&Question, BadBody> {
        if let Some(question) = self.question.get() {
            return Ok(question);
        }
        let question = match self.endpoint.subject {
            Some(Subject::Count) => Question::to_be_counted(self.api(), self.body.clone()),
            _ => Question::read(self.api(), self.body.clone(), self.wants_stream()),
        }?;
        Ok(self.question.get_or_init(|| question))
    }

    /// What is asked for that not every dialect has; `None` where the request can be put into no other words.
    ///
    /// # Errors
    /// When the request isn't understood; names the field.
    pub fn features(&self) -> Option<Result<Features, BadBody>> {
        Some(match self.endpoint.subject? {
            Subject::Conversation | Subject::Count => self.question().map(Question::features),
            Subject::Embeddings(form) => embeddings::features(form, &self.body),
        })
    }

    /// What the request refers to that only its maker has.
    pub fn reference(&self) -> Option<Reference> {
        let by_member = self.by_member();
        // An answer says more than its items, and they more than what nobody remembers.
        if by_member.as_ref().is_some_and(|it| !it.made.is_empty()) {
            return by_member;
        }
        let by_item = kept::items_said(self.api(), &self.body);
        by_item.or(by_member).or_else(|| {
            let may_be_said = kept::may_be_said(self.api(), &self.body);
            let features = may_be_said.then(|| self.features()).flatten();
            kept::said(features?.ok()?)
        })
    }

    /// The earlier answer that it goes on from, by its id. Costs nothing where there is none.
    pub fn earlier_answer(&self) -> Option<Reference> {
        self.by_member().filter(|reference| !reference.made.is_empty())
    }

    fn by_member(&self) -> Option<Reference> {
        match &self.naming {
            Naming::Json(peek) | Naming::Path(peek) => peek.reference(self.api(), &self.body),
            Naming::Form(_) => None,
        }
    }

    /// Where the longest member of the body has its value; `0..0` in a form.
    fn longest_member(&self) -> Range<usize> {
        match &self.naming {
            Naming::Json(peek) | Naming::Path(peek) => peek.longest.clone(),
            Naming::Form(_) => 0..0,
        }
    }

    /// About as many tokens as the conversation has, for who has nobody to count them.
    pub fn estimated_tokens(&self) -> u64 {
        let by_length = |_| (self.body_length as u64).div_ceil(BYTES_PER_TOKEN);
        self.question().map_or_else(by_length, Question::estimated_tokens)
    }

    /// The request for the provider of an attempt, with what may cross of the client's headers.
    ///
    /// # Errors
    /// When the configuration leads to a path or header that can't be sent, or the request can't be said to this provider.
    pub fn outgoing(&self, attempt: &Attempt, from_client: &HeaderMap) -> Result<Said, Unsendable> {
        let provider = &attempt.upstream.provider.definition;
        let wish = self.wish();
        if choose::speaks(provider, self.endpoint) {
            let path = self.path.with_model(self.endpoint, &attempt.model);
            let path = hosted::path(provider, &attempt.model, wish, path);
            let mut header = header_for(attempt, &path, from_client)?;
            let foreign = returning::without_foreign(self.api(), &self.body, &attempt.model);
            let dropped = if foreign.is_empty() { Vec::new() } else { vec![Feature::ForeignThoughts.name()] };
            let body = hosted::adapt(provider, wish, &mut header, self.body_for(&attempt.model, foreign))?;
            return Ok(Said { outgoing: signed(header, attempt, body), translation: None, dropped });
        }
        let client = Client {
            api: self.api(),
            request_id: attempt.request_id.to_str().unwrap_or_default().to_owned(),
            created: wall_clock::unix_seconds(),
            body: self.body.clone(),
            longest: self.longest_member(),
            framing: self.framing_asked(),
            include_usage: !self.hides_usage(),
        };
        let model = &*attempt.model;
        let target = Target { model, max_output_tokens: provider.max_output_tokens(model) };
        let (body, translation) = match self.endpoint.subject {
            Some(Subject::Embeddings(form)) => {
                Translation::of_embeddings(client, form, provider.dialect, &target)
            }
            Some(Subject::Count) => {
                let api = choose::api_of(provider, self.endpoint);
                Translation::of_count(self.question()?, client, api, &target)
            }
            Some(Subject::Conversation) | None => {
                Translation::of_request(self.question()?, client, provider.dialect, &target)
            }
        }?;
        let path = path::of(provider.dialect, translation.endpoint(), model);
        let path = hosted::path(provider, model, wish, path);
        let mut header = header_for(attempt, &path, from_client)?;
        header.headers.insert(CONTENT_TYPE, JSON);
        if provider.dialect == Dialect::Anthropic {
            header.headers.insert(ANTHROPIC_VERSION, OLDEST_ANTHROPIC);
        }
        let body = hosted::adapt(provider, wish, &mut header, body)?;
        let dropped = translation.dropped().to_vec();
        Ok(Said { outgoing: signed(header, attempt, body), translation: Some(translation), dropped })
    }

    /// What is asked for.
    fn wish(&self) -> Wish {
        match self.wants_stream() {
            _ if count::is_count(self.endpoint) => Wish::Count,
            true => Wish::Stream,
            false => Wish::Answer,
        }
    }

    /// How the client wants a stream to be framed.
    pub fn framing_asked(&self) -> Framing {
        match &self.path {
            Path::WithModel { query, .. } if !query.contains("alt=sse") => Framing::Elements,
            _ => Framing::Events,
        }
    }

    /// The client's body for a model, with these edits and those that it wants anyway.
    fn body_for(&self, model: &str, mut edits: Vec<Edit>) -> Bytes {
        edits.extend(self.usage_edit());
        if model != &*self.model {
            match &self.naming {
                Naming::Json(peek) => edits.extend(peek.rename_model(model)),
                Naming::Form(form) => edits.push(form.rename(model)),
                Naming::Path(_) if self.endpoint.generates => {}
                Naming::Path(_) => edits.extend(embeddings::rename_models(&self.body, model)),
            }
        }
        edit::apply(&self.body, edits)
    }
}

/// Whether an answer says that it is a stream of events.
pub fn is_event_stream(answer: &HeaderMap) -> bool {
    answer.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// A call as one provider is asked for it.
pub struct Said {
    /// The request.
    pub outgoing: Outgoing,
    /// The way back, where it is in other words than the client's.
    pub translation: Option<Translation>,
    /// What the provider doesn't hear of it, by the names in `x-cliproxy-dropped`.
    pub dropped: Vec<&'static str>,
}

/// Why a request can't be sent to a provider.
pub enum Unsendable {
    /// HTTP can't carry it.
    Unmade(Box<Error>),
    /// It can't be said in the provider's words.
    Unspeakable(BadBody),
}

impl From<Box<Error>> for Unsendable {
    fn from(error: Box<Error>) -> Unsendable {
        Unsendable::Unmade(error)
    }
}

impl From<BadBody> for Unsendable {
    fn from(bad: BadBody) -> Unsendable {
        Unsendable::Unspeakable(bad)
    }
}

/// The header of a request but for what depends on its body.
fn header_for(attempt: &Attempt, path: &str, from_client: &HeaderMap) -> pingora::Result<Parts> {
    let provider = &attempt.upstream.provider.definition;
    let path = provider.base.upstream_path(path);
    // Not by `insert_header`, which takes names apart and together again.
    let (mut header, ()) = Request::new(()).into_parts();
    header.method = Method::POST;
    header.uri = PathAndQuery::try_from(path).or_err(InvalidHTTPHeader, "the path")?.into();
    let headers = &mut header.headers;
    headers.reserve(HEADERS);
    headers.insert(HOST, provider.base.host_header.clone());
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT_ENCODING, IDENTITY);
    headers::copy_upstream(provider.dialect, from_client, headers);
    Ok(header)
}

/// The request, its header completed by its length, what the operator adds, and the credential.
fn signed(mut header: Parts, attempt: &Attempt, body: Bytes) -> Outgoing {
    header.headers.insert(CONTENT_LENGTH, body.len().into());
    for (name, value) in &attempt.upstream.provider.definition.headers {
        header.headers.insert(name, value.clone());
    }
    for (name, value) in proof(&header, attempt, &body) {
        header.headers.insert(name, value);
    }
    Outgoing { header: Box::new(header.into()), body }
}

/// Media types have no case (RFC 9110, section 8.3.1).
fn is_form(content_type: &str) -> bool {
    const FORM: &str = "multipart/form-data";
    content_type.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM))
}

/// The credential of an attempt, as headers for the request that is otherwise complete.
pub fn proof(request: &Parts, attempt: &Attempt, body: &[u8]) -> SmallVec<[(HeaderName, HeaderValue); 2]> {
    let mut proof = SmallVec::new();
    let request = credential::Outgoing {
        method: &request.method,
        authority: &attempt.upstream.provider.definition.base.authority,
        path_and_query: request.uri.path_and_query().map_or("/", |path| path.as_str()),
        headers: &request.headers,
        body_sha256: &|| Sha256::digest(body).into(),
        now: &wall_clock::now,
    };
    attempt.credential.apply(&request, &mut |name, value| proof.push((name.clone(), value.clone())));
    proof
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::routes::{self, Route};

    fn read(path: &'static str, body: &'static str) -> Result<Call, Failure> {
        let request = RequestHeader::build("POST", path.as_bytes(), None).expect("a request");
        let path = request.uri.path().to_owned();
        let Route::Inference { endpoint, model } = routes::find(&Method::POST, &path, &HeaderMap::new())
        else {
            panic!("{path} is no endpoint")
        };
        Call::read(endpoint, model.as_deref(), &request, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_model_in_the_path_is_escaped_anew_and_cannot_lead_out() {
        let call = read("/v1beta/models/a%20b:streamGenerateContent?alt=sse", "{}").expect("a call");
        assert_eq!(&*call.model, "a b");
        let path = call.path.with_model(call.endpoint, "vendor/b?c");
        assert_eq!(path, "/v1beta/models/vendor/b%3Fc:streamGenerateContent?alt=sse");
        let escape = "/v1beta/models/x%2F..%2F..%2Ffiles:generateContent";
        assert_eq!(read(escape, "{}").err().map(|failure| failure.status), Some(400));
    }

    #[test]
    fn a_missing_model_is_named() {
        let failure = read("/v1/chat/completions", "{}").err().expect("refused");
        assert!(failure.public.contains("`model` is missing"), "{}", failure.public);
    }

    #[test]
    fn a_name_as_long_as_any_is_a_models_and_a_longer_one_is_not() {
        for (length, is_one) in [(MAX_MODEL_BYTES, true), (MAX_MODEL_BYTES + 1, false)] {
            let body = format!(r#"{{"model":"{}"}}"#, "x".repeat(length));
            assert_eq!(read("/v1/chat/completions", body.leak()).is_ok(), is_one, "{length}");
        }
    }

    #[test]
    fn where_the_vendor_has_a_default_no_model_has_to_be_named_and_another_can_be() {
        for (path, default) in
            [("/v1/moderations", "omni-moderation-latest"), ("/v1/images/generations", "dall-e-2")]
        {
            for body in [r#"{"input":"x"}"#, r#"{"model":null,"input":"x"}"#] {
                let call = read(path, body).expect("a call");
                assert_eq!(&*call.model, default);
                assert_eq!(&*call.body_for(default, Vec::new()), body.as_bytes(), "as the client sent it");
                let asked: serde_json::Value =
                    serde_json::from_slice(&call.body_for("mine", Vec::new())).expect("JSON");
                assert_eq!(asked, serde_json::json!({"model": "mine", "input": "x"}));
            }
        }
        assert!(read("/v1/rerank", r#"{"query":"x"}"#).is_err());
    }

    #[test]
    fn several_answers_are_known_wherever_the_model_is_named() {
        let gemini = "/v1beta/models/m:streamGenerateContent";
        for (path, body, several) in [
            ("/v1/completions", r#"{"model":"m","prompt":["a"]}"#, false),
            ("/v1/completions", r#"{"model":"m","prompt":["a","b"]}"#, true),
            (gemini, r#"{"contents":[]}"#, false),
            (gemini, r#"{"generationConfig":{"candidateCount":2}}"#, true),
        ] {
            assert_eq!(read(path, body).expect("a call").wants_several(), several, "{body}");
        }
    }

    #[test]
    fn the_body_is_renamed_and_asked_for_usage() {
        let call = read("/v1/chat/completions", r#"{"model":"alias","stream":true}"#).expect("a call");
        assert!(call.wants_stream() && call.hides_usage());
        let body: serde_json::Value =
            serde_json::from_slice(&call.body_for("real", Vec::new())).expect("JSON");
        assert_eq!(body["model"], "real");
        assert_eq!(body["stream_options"]["include_usage"], true);
        let untouched = read("/v1/messages", r#"{"model":"m","stream":true}"#).expect("a call");
        assert_eq!(untouched.body_for("m", Vec::new()).as_ptr(), untouched.body.as_ptr(), "no edit, no copy");
    }
}
