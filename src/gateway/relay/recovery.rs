//! Stream recovery: a stream that breaks after its commit is gone on with by another provider, if the operator
//! wants that and only text was sent.
//!
//! Either the next provider is asked the same again, and what it says is swallowed as long as it equals what the
//! client has (`match`), or it is handed the partial answer to go on from (`continue`). No byte of a second
//! answer reaches the client before it has been found to fit.

use crate::domain::{Dialect, ErrorClass};
use crate::gateway::attempt::Attempt;
use crate::gateway::call::Call;
use crate::gateway::config::StreamRecovery;
use crate::translate::prefill::handed_over;
use crate::translate::signs::Api;
use crate::translate::text::{Said, replace, text_of};
use bytes::Bytes;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// The event with which Anthropic ends a block of text.
static ENDS_A_BLOCK: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"content_block_stop\""));

/// The longest text that is remembered; a stream that has said more is not recovered.
const MAX_SAID: usize = 1 << 20;

/// What is known for the recovery of one request's stream.
pub struct Recovery {
    mode: StreamRecovery,
    api: Api,
    /// The text that the client has; `None` where there is no recovery, or the client has other things too.
    said: Option<String>,
    /// Who broke off first, once somebody has.
    from: Option<Arc<str>>,
    /// How the attempt under way goes on.
    join: Join,
    /// Who goes on.
    by: Arc<str>,
    /// The call with the partial answer in it, for the attempt under way.
    prefilled: Option<Call>,
    /// Whether the client has the end of the text, though not that of the answer (Anthropic ends each block).
    is_closed: bool,
    /// Providers that would not go on from a partial answer.
    refusers: Vec<Arc<str>>,
}

/// How a stream goes on where another stopped.
enum Join {
    /// It doesn't: it is the first, or has caught up.
    Done,
    /// It begins anew; so many bytes of what the client has came again.
    Repeating(usize),
    /// It was handed what the client has; this white space may come again.
    Continuing(String),
}

impl Join {
    /// Whether so much of what the client has came again, and no more is awaited.
    fn is_at(&self, length: usize) -> bool {
        matches!(self, Join::Repeating(seen) if *seen == length)
    }
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// Recovery has nothing to do with it.
    Apart,
    /// The client has it, or need not have it.
    Swallowed,
    /// These bytes go out in its place.
    With(Bytes),
    /// It contradicts what the client has.
    Differs,
}

impl Recovery {
    /// For a call whose answer may stream.
    pub fn new(mode: StreamRecovery, call: &Call) -> Recovery {
        let is_on = mode != StreamRecovery::Off && call.wants_stream() && !call.wants_several();
        Recovery {
            mode,
            api: call.api(),
            said: is_on.then(String::new),
            from: None,
            join: Join::Done,
            by: Arc::default(),
            prefilled: None,
            is_closed: false,
            refusers: Vec::new(),
        }
    }

    /// Whether frames are to be looked at.
    pub fn is_on(&self) -> bool {
        self.said.is_some()
    }

    /// Whether a stream broke off and another is to go on.
    pub fn has_begun(&self) -> bool {
        self.from.is_some()
    }

    /// Whether the stream under way has come to where the client is; one that is nobody's successor always has.
    pub fn has_caught_up(&self) -> bool {
        matches!(self.join, Join::Done)
    }

    /// Something has gone by unread, so that what the client has is not known any more. Says whether that does no
    /// harm: a successor that has yet to catch up must not speak unread.
    pub fn give_up(&mut self) -> bool {
        self.said = None;
        self.has_caught_up()
    }

    /// A provider's stream broke off after its commit. Says whether another can go on.
    pub fn broke_off(&mut self, provider: &Arc<str>) -> bool {
        if self.said.is_some() {
            self.from.get_or_insert_with(|| Arc::clone(provider));
        }
        self.said.is_some()
    }

    /// Before an attempt: how this provider is to go on.
    pub fn prepare(&mut self, call: &Call, attempt: &Attempt) {
        if self.has_begun() {
            let provider = &attempt.upstream.provider;
            let accepts_prefill = provider.definition.supports_prefill(&attempt.model);
            self.go_on(call, provider.name(), provider.definition.dialect, accepts_prefill);
        }
    }

    fn go_on(&mut self, call: &Call, provider: &Arc<str>, dialect: Dialect, accepts_prefill: bool) {
        let Some(said) = self.said.as_ref().filter(|_| self.from.is_some()) else { return };
        let may_continue =
            self.mode == StreamRecovery::Continue && accepts_prefill && !self.refusers.contains(provider);
        self.by = Arc::clone(provider);
        self.prefilled = if may_continue { call.continued(said) } else { None };
        self.join = if self.prefilled.is_some() {
            // Put into the client's words first, and then into the provider's.
            let handed_over = handed_over(dialect, handed_over(call.dialect(), said));
            Join::Continuing(said[handed_over.len()..].to_owned())
        } else {
            Join::Repeating(0)
        };
    }

    /// What is sent in the place of the call.
    pub fn prefilled(&self) -> Option<&Call> {
        self.prefilled.as_ref()
    }

    /// The attempt under way failed so. Says whether the same provider is to repeat the answer instead, since
    /// it refused to go on from a part of it.
    pub fn falls_back(&mut self, class: ErrorClass) -> bool {
        let refused = class.is_client_fault() && self.prefilled.is_some();
        if refused {
            self.refusers.push(Arc::clone(&self.by));
        }
        refused
    }

    /// Looks at a frame on its way to the client. `is_finished`: it, or one before it, ends the answer.
    pub fn see(&mut self, frame: &[u8], is_finished: bool) -> Joined {
        let brings = text_of(self.api, frame);
        let is_closing = ENDS_A_BLOCK.find(frame).is_some();
        if matches!(self.join, Join::Done) {
            self.is_closed |= is_closing;
            self.remember(&brings);
            return Joined::Apart;
        }
        if is_closing && self.is_closed {
            return Joined::Swallowed;
        }
        let joined = self.rejoin(frame, brings, is_finished);
        if joined == Joined::Differs {
            // Two answers that differ can't be made one by asking a third.
            self.said = None;
        }
        joined
    }

    fn remember(&mut self, frame: &Said<'_>) {
        match frame {
            Said::Nothing => {}
            Said::Text { text, .. } => {
                if let Some(said) = &mut self.said {
                    said.push_str(text);
                }
            }
            Said::Other => self.said = None,
        }
        if self.said.as_ref().is_some_and(|said| said.len() > MAX_SAID) {
            self.said = None;
        }
    }

    fn rejoin(&mut self, frame: &[u8], text: Said<'_>, is_finished: bool) -> Joined {
        let Some(said) = &mut self.said else { return Joined::Apart };
        let (text, at) = match text {
            // The opening, which the client has of the first. What comes behind all of the text is no opening.
            Said::Nothing if !is_finished && !self.join.is_at(said.len()) => return Joined::Swallowed,
            Said::Nothing => (Cow::Borrowed(""), None),
            Said::Other => return Joined::Differs,
            Said::Text { text, at } => (text, Some(at)),
        };
        let missing = match &mut self.join {
            Join::Done => return Joined::Apart,
            // An answer that ends before it has caught up is another one.
            Join::Repeating(seen) => {
                let ahead = &said[*seen..];
                if !text.is_empty() && text == ahead && !is_finished {
                    *seen = said.len();
                    return Joined::Swallowed;
                } else if let Some(new) = text.strip_prefix(ahead) {
                    new.to_owned()
                } else if ahead.starts_with(&*text) && !is_finished {
                    *seen += text.len();
                    return Joined::Swallowed;
                } else {
                    return Joined::Differs;
                }
            }
            Join::Continuing(again) => {
                if !text.is_empty() && text.len() < again.len() && again.starts_with(&*text) {
                    again.drain(..text.len());
                    return Joined::Swallowed;
                }
                text.strip_prefix(again.as_str()).unwrap_or(&text).to_owned()
            }
        };
        said.push_str(&missing);
        self.join = Join::Done;
        let mut out = self.comment();
        match at {
            Some(at) if missing != text => out.extend_from_slice(&replace(frame, at, &missing)),
            _ => out.extend_from_slice(frame),
        }
        Joined::With(out.into())
    }

    /// Tells whoever reads the stream itself who went on with it.
    fn comment(&self) -> Vec<u8> {
        let from = self.from.as_deref().unwrap_or_default();
        format!(": {from} broke off, {} goes on\n\n", self.by).into_bytes()
    }

    /// Who broke off, if somebody did.
    pub fn from(&self) -> Option<&Arc<str>> {
        self.from.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::routes::{self, Route};
    use http::{HeaderMap, Method};
    use pingora::http::RequestHeader;
    use serde_json::json;

    fn call(extra: &str) -> Call {
        call_of("/v1/chat/completions", extra)
    }

    fn call_of(path: &str, extra: &str) -> Call {
        let request = RequestHeader::build("POST", path.as_bytes(), None).expect("a request");
        let Route::Inference { endpoint, .. } = routes::find(&Method::POST, path, &HeaderMap::new()) else {
            panic!("an endpoint")
        };
        let body =
            format!(r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":"x"}}]{extra}}}"#);
        Call::read(endpoint, None, &request, body.into()).expect("a call")
    }

    fn chunk(delta: &serde_json::Value, finish: Option<&str>) -> Vec<u8> {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", json!({"id": "x", "choices": [choice]})).into_bytes()
    }

    fn text(text: &str) -> Vec<u8> {
        chunk(&json!({"content": text}), None)
    }

    /// A recovery whose first stream has said this and broken off.
    fn broken_after(mode: StreamRecovery, said: &[&str]) -> Recovery {
        let mut recovery = Recovery::new(mode, &call(""));
        for words in said {
            assert_eq!(recovery.see(&text(words), false), Joined::Apart);
        }
        assert!(recovery.broke_off(&"first".into()));
        recovery.go_on(&call(""), &"second".into(), Dialect::OpenAi, mode == StreamRecovery::Continue);
        recovery
    }

    /// What goes out of these frames, the comment aside.
    fn passed(recovery: &mut Recovery, frames: &[Vec<u8>]) -> Option<String> {
        let mut out = String::new();
        for frame in frames {
            let is_finished = frame.windows(6).any(|window| window == b"\"stop\"");
            match recovery.see(frame, is_finished) {
                Joined::Apart => out += &String::from_utf8_lossy(frame),
                Joined::With(bytes) => out += &String::from_utf8_lossy(&bytes),
                Joined::Swallowed => {}
                Joined::Differs => return None,
            }
        }
        Some(out)
    }

    /// The words of what goes out.
    fn words(out: &str) -> String {
        let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
        let chunks = data.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
        chunks
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect()
    }

    #[test]
    fn a_repeated_answer_goes_on_wherever_its_frames_are_cut() {
        let whole = "one two three four";
        for cut in 0..=whole.len() {
            let mut recovery = broken_after(StreamRecovery::Match, &["one", " two"]);
            let role = chunk(&json!({"role": "assistant", "content": ""}), None);
            let end = chunk(&json!({}), Some("stop"));
            let frames = [role, text(&whole[..cut]), text(&whole[cut..]), end];
            let out = passed(&mut recovery, &frames).expect("the same answer");
            assert_eq!(words(&out), " three four", "cut at {cut}");
            assert!(out.starts_with(": first broke off, second goes on\n\n"), "{out}");
            assert_eq!(out.matches("\"stop\"").count(), 1);
        }
    }

    #[test]
    fn an_answer_that_was_complete_but_for_its_end_gets_only_that() {
        let mut recovery = broken_after(StreamRecovery::Match, &["one", " two"]);
        let out =
            passed(&mut recovery, &[text("one two"), chunk(&json!({}), Some("stop"))]).expect("the end");
        assert_eq!((words(&out).as_str(), out.matches("\"stop\"").count()), ("", 1));
    }

    #[test]
    fn a_successor_that_ends_before_it_has_caught_up_is_another_answer() {
        let mut recovery = broken_after(StreamRecovery::Match, &["one", " two"]);
        assert_eq!(recovery.see(&text("one"), false), Joined::Swallowed);
        assert!(!recovery.has_caught_up());
        assert_eq!(recovery.see(b"data: [DONE]\n\n", true), Joined::Differs);
        let mut recovery = broken_after(StreamRecovery::Match, &["one", " two"]);
        assert_eq!(recovery.see(&chunk(&json!({"content": "one"}), Some("stop")), true), Joined::Differs);
        assert!(!recovery.has_caught_up());
    }

    #[test]
    fn the_end_of_a_block_goes_out_once() {
        let call = call_of("/v1/messages", "");
        let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one"}});
        let event = |json: &serde_json::Value| format!("data: {json}\n\n").into_bytes();
        let stop = event(&json!({"type": "content_block_stop", "index": 0}));
        for has_stopped in [false, true] {
            let mut recovery = Recovery::new(StreamRecovery::Match, &call);
            recovery.see(&event(&delta), false);
            if has_stopped {
                recovery.see(&stop, false);
            }
            assert!(recovery.broke_off(&"first".into()));
            recovery.go_on(&call, &"second".into(), Dialect::OpenAi, false);
            let start =
                event(&json!({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}));
            assert_eq!(recovery.see(&start, false), Joined::Swallowed);
            assert_eq!(recovery.see(&event(&delta), false), Joined::Swallowed);
            let went_out = recovery.see(&stop, false) != Joined::Swallowed;
            assert_eq!(went_out, !has_stopped);
        }
    }

    #[test]
    fn another_answer_is_not_mixed_in() {
        for frames in [
            vec![text("one three")],
            vec![text("one"), text(" too")],
            vec![text("one"), chunk(&json!({}), Some("stop"))],
            vec![chunk(&json!({"tool_calls": [{"index": 0}]}), None)],
        ] {
            let mut recovery = broken_after(StreamRecovery::Match, &["one", " two"]);
            assert_eq!(passed(&mut recovery, &frames), None);
            assert!(!recovery.broke_off(&"second".into()), "nobody else is asked");
        }
    }

    #[test]
    fn a_partial_answer_is_handed_on() {
        let mut recovery = broken_after(StreamRecovery::Continue, &["one", " two"]);
        assert!(recovery.prefilled().is_some());
        let out = passed(&mut recovery, &[text(" three"), text(" four")]).expect("the rest");
        assert_eq!(words(&out), " three four");
    }

    #[test]
    fn white_space_that_anthropic_does_not_take_is_not_doubled() {
        let delta = |text: &str| {
            let event = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
            format!("event: content_block_delta\ndata: {event}\n\n").into_bytes()
        };
        let call = call_of("/v1/messages", "");
        for next in [vec!["\n\nthree"], vec!["three"], vec!["\n", "\nthree"], vec!["\n", "\n", "three"]] {
            let mut recovery = Recovery::new(StreamRecovery::Continue, &call);
            recovery.see(&delta("one two\n\n"), false);
            assert!(recovery.broke_off(&"first".into()));
            recovery.go_on(&call, &"second".into(), Dialect::OpenAi, true);
            let frames: Vec<_> = next.into_iter().map(delta).collect();
            let out = passed(&mut recovery, &frames).expect("the rest");
            assert!(out.contains(r#""text":"three""#), "{out}");
        }
    }

    #[test]
    fn nor_is_it_where_only_the_provider_is_anthropic() {
        let mut recovery = Recovery::new(StreamRecovery::Continue, &call(""));
        recovery.see(&text("Steps:\n\n"), false);
        assert!(recovery.broke_off(&"first".into()));
        recovery.go_on(&call(""), &"second".into(), Dialect::Anthropic, true);
        let out = passed(&mut recovery, &[text("\n\n1."), text(" Wash")]).expect("the rest");
        assert_eq!(words(&out), "1. Wash");
    }

    #[test]
    fn who_refuses_a_partial_answer_is_asked_to_repeat_it() {
        let mut recovery = broken_after(StreamRecovery::Continue, &["one"]);
        assert!(!recovery.falls_back(ErrorClass::Overloaded));
        assert!(recovery.falls_back(ErrorClass::InvalidRequest));
        recovery.go_on(&call(""), &"second".into(), Dialect::OpenAi, true);
        assert!(recovery.prefilled().is_none() && !recovery.falls_back(ErrorClass::InvalidRequest));
        let out = passed(&mut recovery, &[text("one two")]).expect("the same answer");
        assert_eq!(words(&out), " two");
    }

    #[test]
    fn only_a_single_answer_of_text_is_recovered() {
        assert!(!Recovery::new(StreamRecovery::Off, &call("")).is_on());
        assert!(!Recovery::new(StreamRecovery::Match, &call(r#","n":2"#)).is_on());
        let mut recovery = Recovery::new(StreamRecovery::Match, &call(""));
        recovery.see(&chunk(&json!({"tool_calls": [{"index": 0}]}), None), false);
        assert!(!recovery.broke_off(&"first".into()) && !recovery.has_begun());
    }
}
