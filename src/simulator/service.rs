//! What a request is answered with: behaviour, rate limit, keys, fault, endpoint, in this order.
//!
//! Decides everything before a byte is written; [`super::serve`] carries it out.

use super::options::{Behaviour, Options};
use super::prefill::prefill;
use super::rate_limit::{Allowance, RateLimit};
use super::reply::{Content, Refusal, Reply};
use super::route::{Body, Call, Target};
use super::scenarios::{Act, Bend, Complaint, Memory, Scene, When, act_on};
use super::script::Script;
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
    memory: Memory,
}

/// What to do about a request.
pub(super) enum Plan {
    /// Answer, after a wait.
    Reply(Duration, Reply),
    /// Answer, but not well.
    Script(Script),
    /// Say nothing.
    Ignore,
    /// Reset the connection.
    Reset,
}

/// What a request gets that is not refused.
enum Answer {
    /// An answer, after a wait.
    Reply(Duration, Reply),
    /// An answer that a fault bends.
    Bent(Duration, Reply, Bend),
    Ignored,
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
            memory: Memory::default(),
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
            Some(Behaviour::Status(status)) => {
                Err(Complaint::Status(status).refusal(dialect, "", &self.options))
            }
            _ => self
                .admit(request, dialect, now, &mut allowance)
                .and_then(|()| self.answer(request, &target, &id, now)),
        };
        let (wait, reply, bend) = match answered {
            Ok(Answer::Reply(wait, reply)) => (wait, reply, None),
            Ok(Answer::Bent(wait, reply, bend)) => (wait, reply, Some(bend)),
            Ok(Answer::Ignored) => return Plan::Ignore,
            Ok(Answer::Reset) => return Plan::Reset,
            Err(refusal) => (Duration::ZERO, refused(dialect, &refusal, &id), None),
        };
        let reply = self.signed(reply, dialect, &id, allowance);
        let Some(bend) = bend else { return Plan::Reply(wait, reply) };
        let mut script = Script::of(wait, reply, self.options.token_interval);
        bend.apply(&mut script, &Scene { dialect, id: &id, options: &self.options });
        Plan::Script(script)
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

    fn answer(
        &self,
        request: &Request,
        target: &Target<'_>,
        id: &str,
        now: Instant,
    ) -> Result<Answer, Refusal> {
        if request.path.starts_with(&self.options.echo_prefix) {
            return Ok(Answer::Reply(Duration::ZERO, echo::echo(request)?));
        }
        let (dialect, route, parameter) = match target {
            Target::Endpoint(dialect, route, parameter) => (*dialect, *route, *parameter),
            Target::OtherMethod(_) => return Err(Refusal::new(405, "this path takes another method")),
            Target::Unknown(_) => {
                let (method, path) = (&request.method, &request.path);
                return Err(Refusal::new(404, format!("Invalid URL ({method} {path})")));
            }
        };
        let mut json = match (route.body, request.stopped_by) {
            (Body::Json, None) => parsed(&request.body)?,
            (Body::Json, Some(_)) | (Body::Form | Body::Nothing, _) => serde_json::Value::Null,
        };
        if dialect == Dialect::Gemini {
            gemini::to_camel_case(&mut json);
        }
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
            return Ok(Answer::Reply(Duration::ZERO, (route.answer)(&call)?));
        }
        let latency = self.options.latency.sample(&mut lock(&self.random));
        let named = || if dialect == Dialect::Gemini { Some(parameter) } else { call.json["model"].as_str() };
        let model = request.stopped_by.or_else(named).unwrap_or_default();
        let Some(act) = self.act_on(model, dialect, &call, now) else {
            return Ok(Answer::Reply(latency, (route.answer)(&call)?));
        };
        let refusal = |complaint: Complaint| complaint.refusal(dialect, model, &self.options);
        match act {
            Act::Refuse(complaint) => Err(refusal(complaint)),
            Act::RefuseEarly(complaint, hang_up) => {
                let reply = refused(dialect, &refusal(complaint), id);
                Ok(Answer::Bent(Duration::ZERO, reply, Bend::HangUp(hang_up)))
            }
            Act::Filter if dialect == Dialect::Gemini => Ok(Answer::Reply(latency, gemini::blocked(&call)?)),
            Act::Filter => Err(refusal(Complaint::ContentFilter)),
            Act::Reset => Ok(Answer::Reset),
            Act::Ignore => Ok(Answer::Ignored),
            Act::Bend(bend) => Ok(Answer::Bent(latency, (route.answer)(&call)?, bend)),
        }
    }

    /// What goes wrong with a request, if anything does.
    fn act_on(&self, model: &str, dialect: Dialect, call: &Call<'_>, now: Instant) -> Option<Act> {
        let (path, body) = (&call.request.path, &call.request.body);
        act_on(model, |scenario, when| match when {
            When::Always => true,
            When::Once => self.memory.is_first(scenario, path, body),
            When::Within(time) => self.memory.since_first(scenario, now) < self.options.scaled(time),
            When::Prefilled => prefill(dialect, &call.json).is_some(),
        })
    }

    /// Adds the headers that every answer has: who answered, which request, where the limit stands.
    fn signed(&self, mut reply: Reply, dialect: Dialect, id: &str, allowance: Option<Allowance>) -> Reply {
        if let Content::WebSocket = reply.content {
            return reply;
        }
        reply.headers.push(("x-simulator", self.options.name.clone()));
        match dialect {
            Dialect::OpenAi => reply.headers.push((openai::REQUEST_ID, id.to_owned())),
            Dialect::Anthropic => reply.headers.push((anthropic::REQUEST_ID, id.to_owned())),
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

/// A refusal in the dialect's shape.
fn refused(dialect: Dialect, refusal: &Refusal, id: &str) -> Reply {
    let mut reply = Reply::json(refusal.status, &route::error(dialect, refusal, id));
    // Google tells in the body only when to come back.
    if let Some(seconds) = refusal.retry_after.filter(|_| dialect != Dialect::Gemini) {
        reply.headers.push(("retry-after", seconds.to_string()));
        reply.headers.extend(refusal.retry_after_ms.map(|ms| ("retry-after-ms", ms.to_string())));
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
