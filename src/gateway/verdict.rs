//! What a client is told when no candidate answered.

use super::call::Call;
use super::choose;
use super::context::Context;
use super::course::{Outcome, Tried};
use super::wire::Broken;
use crate::domain::{Dialect, ErrorClass, ErrorCode, Failure, Quoted, wall_clock};
use crate::providers::provider::Unavailable;
use crate::providers::routes::Target;
use crate::translate::{self, frames};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use pingora::http::ResponseHeader;
use serde_json::Value;
use std::time::{Duration, Instant};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// When to come back if nobody said.
pub const COME_BACK: Duration = Duration::from_secs(2);

/// Whom a request has to go to that refers to what only its maker has. Who that is may be a guess.
const AT_HOME: &str = "the one account that should have what this request refers to";

/// An attempt that came to nothing, or broke off where another may go on.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub broken: Broken,
    /// The provider's own words, if it gave any.
    pub refusal: Option<Refusal>,
    /// Whether the request can't be said in the provider's API, so that it was not asked: another's may have the words.
    pub is_unsaid: bool,
}

impl Failed {
    /// One of which the provider itself has said nothing.
    pub fn of(broken: Broken) -> Failed {
        Failed { broken, refusal: None, is_unsaid: false }
    }

    /// An error that an answer of 200 had inside: as if it had been answered as what it is.
    pub fn inside(class: ErrorClass, mut header: ResponseHeader, body: Bytes, dialect: Dialect) -> Failed {
        // A status of three digits is always one, and this type a value that a header can have.
        let _ = header.set_status(status_of(class));
        let _ = header.insert_header(CONTENT_TYPE, JSON);
        let broken = Broken { class, reason: format!("an error inside an answer of 200: {class}") };
        Failed { refusal: Some(Refusal { header, body, dialect }), ..Failed::of(broken) }
    }

    /// What the client asks for can't be asked of this provider, though it seemed so.
    pub fn unspeakable(why: &str, dialect: Dialect) -> Failed {
        let failure = Failure::new(ErrorCode::InvalidRequest, why);
        let mut header: ResponseHeader = http::Response::new(()).into_parts().0.into();
        // A status of three digits is always one, and this type a value that a header can have.
        let _ = header.set_status(failure.status);
        let _ = header.insert_header(CONTENT_TYPE, JSON);
        let body = translate::error::body(dialect, &failure);
        let broken = Broken { class: ErrorClass::InvalidRequest, reason: why.to_owned() };
        Failed { broken, refusal: Some(Refusal { header, body, dialect }), is_unsaid: true }
    }

    /// The JSON of the frame that said it.
    pub fn data_of(frame: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&frames::data(frame))
    }
}

/// The status that an error should have had.
fn status_of(class: ErrorClass) -> u16 {
    match class {
        ErrorClass::RateLimit => 429,
        ErrorClass::Overloaded => 503,
        ErrorClass::Auth => 401,
        ErrorClass::ModelNotFound => 404,
        ErrorClass::ContextLength | ErrorClass::ContentFilter | ErrorClass::InvalidRequest => 400,
        ErrorClass::ModelFailed => ErrorCode::ModelFailed.status(),
        _ => 500,
    }
}

/// A provider's error answer, kept until it is decided whose words the client gets.
#[derive(Debug)]
pub struct Refusal {
    /// Its header.
    pub header: ResponseHeader,
    /// Its body.
    pub body: Bytes,
    /// Whose words these are.
    pub dialect: Dialect,
}

/// Whose words the client gets.
pub enum Verdict {
    /// The provider's own answer, which is of this class.
    TheirWords(ErrorClass),
    /// An error of ours.
    OurWords(Failure),
}

/// Decides, from what was tried.
pub fn of(context: &Context, call: &Call, last: Option<&Refusal>) -> Verdict {
    let Some(class) = context.course.classes().next_back() else {
        return Verdict::OurWords(unavailable(context, call));
    };
    if class.is_client_fault() {
        return Verdict::TheirWords(class);
    }
    if all_failed(context, ErrorClass::Auth) {
        return Verdict::OurWords(credentials_exhausted(context, call));
    }
    let was_the_only_one = candidates(context).count() == 1;
    let is_readable = |refusal: &Refusal| refusal.header.status.as_u16() >= 400;
    if was_the_only_one && last.is_some_and(is_readable) && class != ErrorClass::Auth {
        return Verdict::TheirWords(class);
    }
    let is_late = context.course.time_left(Instant::now()).is_zero();
    if is_late || was_the_only_one && class == ErrorClass::Timeout {
        let message = format!("no answer for model {} in time; try again later", Quoted(&call.model));
        return Verdict::OurWords(Failure::new(ErrorCode::Timeout, message).because(reasons(context)));
    }
    Verdict::OurWords(exhausted(context, call))
}

/// What the client of a stream is told that had begun.
pub fn broke_off(broken: &Broken) -> Failure {
    if broken.class == ErrorClass::ModelFailed {
        return model_failed(&broken.reason);
    }
    let message = "the provider broke off in the middle of its answer; ask again";
    Failure::new(ErrorCode::UpstreamUnavailable, message)
}

/// Providers are well, and clients can but ask again. How a model failed is in words of ours, and no secret.
fn model_failed(how: &str) -> Failure {
    let message = format!("the model failed at its answer ({how}); ask again, or for something simpler");
    Failure::new(ErrorCode::ModelFailed, message)
}

/// Nobody is left to ask, or no attempt.
fn exhausted(context: &Context, call: &Call) -> Failure {
    let why = reasons(context);
    let are_all_failures = context.course.classes().all(|class| class == ErrorClass::ModelFailed);
    if let Some(how) = context.course.model_failure.as_ref().filter(|_| are_all_failures) {
        return model_failed(how).because(why);
    }
    if all_failed(context, ErrorClass::ModelNotFound) {
        let message = format!("no provider has the model {} any more: {why}", Quoted(&call.model));
        return Failure::new(ErrorCode::ModelNotFound, message);
    }
    if all_failed(context, ErrorClass::RateLimit) {
        let message = format!("every provider of model {} limits its rate: {why}", Quoted(&call.model));
        return Failure::new(ErrorCode::RateLimited, message).retry_after(come_back(context));
    }
    let message = match &context.home {
        None => format!("no provider of model {} could answer: {why}; try again later", Quoted(&call.model)),
        Some(_) => format!("{AT_HOME} could not answer: {why}; try again later"),
    };
    Failure::new(ErrorCode::UpstreamUnavailable, message).retry_after(come_back(context))
}

/// When the first provider that said so wants to be asked again.
fn come_back(context: &Context) -> Duration {
    let soonest = context.course.soonest_back(|_| true);
    soonest.map_or(COME_BACK, |(_, at)| at.saturating_duration_since(Instant::now()))
}

/// A provider's error answer as the client gets it: under a status that its dialect has, in that dialect's shape, and
/// with the time to come back where it is to.
pub fn for_client(refusal: Refusal, class: ErrorClass, dialect: Dialect) -> Refusal {
    let Refusal { mut header, body, dialect: theirs } = refusal;
    // A status of three digits is always one.
    let _ = header.set_status(translate::error::status(dialect, header.status.as_u16()));
    let says_when = header.headers.contains_key(RETRY_AFTER);
    if !says_when && matches!(header.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    {
        // A number is always a header's value.
        let _ = header.insert_header(RETRY_AFTER, COME_BACK.as_secs());
    }
    if theirs == dialect && has_shape_of(dialect, &body) {
        return Refusal { header, body, dialect };
    }
    let status = header.status.as_u16();
    let translated = if theirs == dialect {
        None
    } else {
        translate::error::between(dialect, status, code_of(class), &body)
    };
    let body = translated.unwrap_or_else(|| translate::error::body(dialect, &in_our_words(status, &body)));
    let _ = header.insert_header(CONTENT_TYPE, JSON);
    Refusal { header, body, dialect }
}

/// What OpenAI's clients look for in an error's code, where another vendor has no codes.
fn code_of(class: ErrorClass) -> Option<&'static str> {
    match class {
        ErrorClass::ContextLength => Some("context_length_exceeded"),
        ErrorClass::ContentFilter => Some("content_filter"),
        ErrorClass::ModelNotFound => Some("model_not_found"),
        _ => None,
    }
}

/// An error that came in no vendor's shape. What is wrong with the client's request it is to know; what an edge says
/// of its servers it is not.
fn in_our_words(status: u16, body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["message", "detail"].into_iter().find_map(|name| body.get(name)?.as_str());
    let (code, message) = match (status, said) {
        (429, _) => (ErrorCode::RateLimited, "the provider limits its rate; try again later".to_owned()),
        (400..500, Some(said)) => (ErrorCode::InvalidRequest, said.to_owned()),
        (400..500, None) => (
            ErrorCode::InvalidRequest,
            format!("the provider refused the request with {status}, without a word"),
        ),
        _ => (ErrorCode::UpstreamUnavailable, format!("the provider failed with {status}; try again later")),
    };
    Failure::new(code, message).with_status(status)
}

/// Whether a body is an error as the clients of this dialect can read it.
fn has_shape_of(dialect: Dialect, body: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    // Gemini's streams have their error in a list.
    let error = body.get(0).unwrap_or(&body).get("error");
    match dialect {
        Dialect::OpenAi | Dialect::Gemini => {
            error.is_some_and(|error| error.is_object() || error.is_string())
        }
        Dialect::Anthropic => error.is_some_and(Value::is_object),
    }
}

/// Nobody could be tried at all.
pub fn unavailable(context: &Context, call: &Call) -> Failure {
    let why = reasons(context);
    let message = match &context.home {
        None => format!("no provider of model {} is available: {why}; try again later", Quoted(&call.model)),
        Some(_) => format!("{AT_HOME} is not available: {why}; try again later"),
    };
    let is_keyless = |why| why == Why::Unavailable(Unavailable::NoCredential);
    if candidates(context).all(|target| is_keyless(Why::of(context, target))) {
        let message = format!("no provider of model {} has a usable key: {why}", Quoted(&call.model));
        let internal = "set the provider's key in the configuration, its variable, or auth_dir";
        return Failure::new(ErrorCode::UpstreamCredentialsExhausted, message).because(internal);
    }
    Failure::new(ErrorCode::UpstreamUnavailable, message).retry_after(COME_BACK)
}

fn credentials_exhausted(context: &Context, call: &Call) -> Failure {
    let message = format!(
        "no credential that was tried for model {} was accepted: {}; the gateway's operator must look after them",
        Quoted(&call.model),
        reasons(context)
    );
    Failure::new(ErrorCode::UpstreamCredentialsExhausted, message)
}

/// Each candidate's name and why it is out: `claude: rate_limit; openai: no_credential`.
fn reasons(context: &Context) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for target in candidates(context) {
        let provider = context.snapshot.registry.provider(target.provider);
        let name = provider.map_or("", |provider| provider.name());
        let reason = format!("{name}: {}", Why::of(context, target).name());
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}

/// The targets that could be asked for this at all.
pub fn candidates(context: &Context) -> impl Iterator<Item = &Target> {
    let targets = context.route.as_ref().map_or(&[][..], |route| &route.targets);
    targets.iter().filter(|target| {
        let provider = context.snapshot.registry.provider(target.provider);
        provider.is_some_and(|provider| choose::can_express(context, &provider.definition))
    })
}

/// Whether each candidate failed with this, and nothing else was met: one that was not asked, or not again, may
/// have answered. To have no key is as good as to have it refused.
fn all_failed(context: &Context, class: ErrorClass) -> bool {
    let is_so = |why| match why {
        Why::Failed(met) => met == class,
        Why::Unavailable(unavailable) => {
            class == ErrorClass::Auth && unavailable == Unavailable::NoCredential
        }
        Why::Passed(_) | Why::NotTried => false,
    };
    context.course.classes().all(|met| met == class)
        && candidates(context).all(|target| is_so(Why::of(context, target)))
}

/// Why a candidate did not answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It failed, last with this, or is known to.
    Failed(ErrorClass),
    /// It can take no request.
    Unavailable(Unavailable),
    /// It was to be asked, and then wasn't.
    Passed(&'static str),
    /// Its turn never came.
    NotTried,
}

impl Why {
    fn of(context: &Context, target: &Target) -> Why {
        let course = &context.course;
        let failed = course.tried.iter().rev().filter(|tried| tried.target == *target).find_map(Why::failed);
        if let Some(class) = failed {
            return Why::Failed(class);
        }
        if course.was_silent(target.provider) {
            return Why::Failed(ErrorClass::Timeout);
        }
        let Some(provider) = context.snapshot.registry.provider(target.provider) else {
            return Why::NotTried;
        };
        if let Err(unavailable) = provider.available(wall_clock::now()) {
            return Why::Unavailable(unavailable);
        }
        let outcome = course.tried.iter().rev().find(|tried| tried.target == *target);
        match outcome.map(|tried| tried.outcome) {
            Some(Outcome::Passed(word)) => Why::Passed(word),
            _ if choose::lacks_model(context, target) => Why::Failed(ErrorClass::ModelNotFound),
            _ if !provider.resolver().is_resolved() => Why::Passed(choose::UNRESOLVED),
            _ => Why::NotTried,
        }
    }

    fn failed(tried: &Tried) -> Option<ErrorClass> {
        if let Outcome::Failed(class) = tried.outcome { Some(class) } else { None }
    }

    /// The word in error bodies.
    fn name(self) -> &'static str {
        match self {
            Why::Failed(class) => class.name(),
            Why::Unavailable(unavailable) => unavailable.name(),
            Why::Passed(word) => word,
            Why::NotTried => "not tried",
        }
    }
}
