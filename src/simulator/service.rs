//! What a request is answered with: behaviour, rate limit, keys, fault, endpoint, in this order.
//!
//! Decides everything before a byte is written; [`super::serve`] carries it out.

use super::options::{Behaviour, Options};
use super::rate_limit::{Allowance, RateLimit};
use super::reply::{Content, Refusal, Reply};
use super::route::{Body, Call, Target};
use super::scenarios::{Fault, fault_of};
use super::transcript::Transcript;
use super::wire::Request;
use super::{anthropic, credentials, echo, gemini, openai, route};
use crate::domain::{Dialect, wall_clock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// What a simulated provider is at the moment, shared by all its connections.
pub(super) struct Service {
    pub(super) options: Options,
    pub(super) transcript: Transcript,
    /// Requests so far; each takes its number from here.
    pub(super) requests: AtomicU64,
    pub(super) open_connections: AtomicU64,
    pub(super) accepted_connections: AtomicU64,
    behaviour: Mutex<Behaviour>,
    rate_limit: Option<Mutex<RateLimit>>,
    random: Mutex<fastrand::Rng>,
}

/// What to do about a request.
pub(super) enum Plan {
    /// Answer, after a wait.
    Reply(Duration, Reply),
    /// Reset the connection.
    Reset,
}

impl Service {
    pub(super) fn new(options: Options) -> Service {
        Service {
            transcript: Transcript::default(),
            requests: AtomicU64::new(0),
            open_connections: AtomicU64::new(0),
            accepted_connections: AtomicU64::new(0),
            behaviour: Mutex::new(options.behaviour),
            rate_limit: options.rate_limit.map(|limit| Mutex::new(RateLimit::per_minute(limit))),
            random: Mutex::new(options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)),
            options,
        }
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        *lock(&self.behaviour)
    }

    pub(super) fn set_behaviour(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
    }

    /// Decides what to do about a request.
    pub(super) fn plan(&self, request: &Request, now: Instant) -> Plan {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{}-{number}", self.options.name);
        let target = route::find(request);
        let dialect = match target {
            Target::Endpoint(dialect, ..) | Target::OtherMethod(dialect) | Target::Unknown(dialect) => {
                dialect
            }
        };
        let mut allowance = None;
        let answered = match self.failure_now(request) {
            Some(Behaviour::Reset) => return Plan::Reset,
            Some(Behaviour::Status(status)) => Err(simulated(status)),
            _ => self
                .admit(request, dialect, now, &mut allowance)
                .and_then(|()| self.answer(request, &target, &id)),
        };
        let (wait, reply) = match answered {
            Ok((wait, reply)) => (wait, reply),
            Err(refusal) => (Duration::ZERO, refused(dialect, &refusal, &id)),
        };
        Plan::Reply(wait, self.signed(reply, dialect, id, allowance))
    }

    /// What the behaviour has this request meet instead of an answer: a reset or a status.
    fn failure_now(&self, request: &Request) -> Option<Behaviour> {
        let mut behaviour = lock(&self.behaviour);
        match *behaviour {
            Behaviour::Normal => None,
            // Connections accepted before the behaviour was set break as well.
            Behaviour::Refuse | Behaviour::Reset => Some(Behaviour::Reset),
            Behaviour::Status(status) => Some(Behaviour::Status(status)),
            Behaviour::FailFirst { requests, status } => {
                if request.method != "POST" || requests == 0 {
                    return None;
                }
                *behaviour = Behaviour::FailFirst { requests: requests - 1, status };
                Some(Behaviour::Status(status))
            }
        }
    }

    /// Checks the key, then the rate limit: unknown clients don't spend it.
    fn admit(
        &self,
        request: &Request,
        dialect: Dialect,
        now: Instant,
        allowance: &mut Option<Allowance>,
    ) -> Result<(), Refusal> {
        if !self.options.api_keys.is_empty() {
            credentials::check(&self.options.api_keys, request, dialect)?;
        }
        let Some(limit) = self.rate_limit.as_ref().filter(|_| request.method == "POST") else {
            return Ok(());
        };
        let taken = *allowance.insert(lock(limit).take(now));
        if taken.granted {
            return Ok(());
        }
        let message = format!("Rate limit reached: limit {} per minute", taken.limit);
        Err(Refusal { retry_after: Some(taken.resets_in_seconds()), ..Refusal::new(429, message) })
    }

    fn answer(&self, request: &Request, target: &Target<'_>, id: &str) -> Result<(Duration, Reply), Refusal> {
        if request.path.starts_with(&self.options.echo_prefix) {
            return Ok((Duration::ZERO, echo::echo(request)?));
        }
        let (dialect, route, parameter) = match target {
            Target::Endpoint(dialect, route, parameter) => (*dialect, *route, *parameter),
            Target::OtherMethod(_) => return Err(Refusal::new(405, "this path takes another method")),
            Target::Unknown(_) => {
                let (method, path) = (&request.method, &request.path);
                return Err(Refusal::new(404, format!("Invalid URL ({method} {path})")));
            }
        };
        let json = if route.body == Body::Json { parsed(&request.body)? } else { serde_json::Value::Null };
        let since_epoch = wall_clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let call = Call {
            request,
            parameter,
            id,
            models: &self.options.models,
            created: since_epoch.as_secs(),
            json,
        };
        if route.body == Body::Nothing {
            return Ok((Duration::ZERO, (route.answer)(&call)?));
        }
        let latency = self.options.latency.sample(&mut lock(&self.random));
        let model =
            if dialect == Dialect::Gemini { parameter } else { call.json["model"].as_str().unwrap_or("") };
        match fault_of(model) {
            Some(Fault::Status(status)) => Err(simulated(status)),
            Some(Fault::Wait(wait)) => Ok((latency + wait, (route.answer)(&call)?)),
            Some(Fault::Cut(words)) => Ok((latency, (route.answer)(&call)?.cut_after(words))),
            Some(Fault::Large(size)) => Ok((latency, (route.answer)(&call)?.enlarged_to(size))),
            None => Ok((latency, (route.answer)(&call)?)),
        }
    }

    /// Adds the headers that every answer has: who answered, which request, where the limit stands.
    fn signed(&self, mut reply: Reply, dialect: Dialect, id: String, allowance: Option<Allowance>) -> Reply {
        if let Content::WebSocket = reply.content {
            return reply;
        }
        reply.headers.push(("x-simulator", self.options.name.clone()));
        match dialect {
            Dialect::OpenAi => reply.headers.push((openai::REQUEST_ID, id)),
            Dialect::Anthropic => reply.headers.push((anthropic::REQUEST_ID, id)),
            Dialect::Gemini => {}
        }
        match (dialect, allowance) {
            (Dialect::OpenAi, Some(allowance)) => reply.headers.extend(openai::limit_headers(&allowance)),
            (Dialect::Anthropic, Some(allowance)) => {
                reply.headers.extend(anthropic::limit_headers(&allowance));
            }
            (Dialect::Gemini, _) | (_, None) => {}
        }
        reply
    }
}

/// The refusal of a status that was asked for.
fn simulated(status: u16) -> Refusal {
    Refusal::new(status, format!("This is a simulated {status}"))
}

/// A refusal in the dialect's shape.
fn refused(dialect: Dialect, refusal: &Refusal, id: &str) -> Reply {
    let body = match dialect {
        Dialect::OpenAi => openai::error(refusal),
        Dialect::Anthropic => anthropic::error(refusal, id),
        Dialect::Gemini => gemini::error(refusal),
    };
    let mut reply = Reply::json(refusal.status, &body);
    // Google tells in the body only when to come back.
    if let Some(seconds) = refusal.retry_after.filter(|_| dialect != Dialect::Gemini) {
        reply.headers.push(("retry-after", seconds.to_string()));
    }
    reply
}

fn parsed(body: &[u8]) -> Result<serde_json::Value, Refusal> {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    json.filter(serde_json::Value::is_object)
        .ok_or_else(|| Refusal::invalid("We could not parse the JSON body of your request."))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
