//! Why a model stopped, in the words of Chat Completions and of its imitators.

use crate::translate::canonical::Finish;
use crate::translate::spoilt::Spoilt;

/// What a reason of the provider's means.
enum Means {
    Finish(Finish<'static>),
    /// The provider gave up: the answer isn't whole, and not because of its length.
    GaveUp,
}

/// The reasons that are known. Those below OpenAI's own are imitators'.
///
/// Source: OpenAI's API reference, `choices[].finish_reason`; the references of Mistral, DeepSeek, Together and
/// OpenRouter.
const REASONS: [(&str, Means); 11] = [
    ("stop", Means::Finish(Finish::Stop)),
    ("length", Means::Finish(Finish::Length)),
    ("tool_calls", Means::Finish(Finish::ToolCalls)),
    ("content_filter", Means::Finish(Finish::ContentFilter)),
    ("function_call", Means::Finish(Finish::ToolCalls)),
    ("eos", Means::Finish(Finish::Stop)),
    ("max_tokens", Means::Finish(Finish::Length)),
    ("model_length", Means::Finish(Finish::Length)),
    ("tool_use", Means::Finish(Finish::ToolCalls)),
    ("error", Means::GaveUp),
    ("insufficient_system_resource", Means::GaveUp),
];

/// What else an answer says about its finish.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// It calls tools. OpenAI says `stop` where one tool was demanded, imitators always.
    pub(super) calls: bool,
    /// It has words of refusal, which OpenAI ends with `stop`.
    pub(super) refuses: bool,
}

/// Why the model stopped. Reasons that nobody knows are ends like any other.
///
/// # Errors
/// Where it didn't, but the provider gave up.
pub(super) fn read(reason: &str, said: Said) -> Result<Finish<'static>, Spoilt> {
    let known = REASONS.iter().find(|(name, _)| *name == reason);
    let finish = match known {
        Some((_, Means::Finish(finish))) => finish.clone(),
        Some((name, Means::GaveUp)) => return Err(Spoilt::ByProvider(name)),
        None => Finish::Stop,
    };
    Ok(match finish {
        Finish::Stop if said.calls => Finish::ToolCalls,
        Finish::Stop if said.refuses => Finish::ContentFilter,
        finish => finish,
    })
}

/// The reason as a client is told.
pub(super) fn name(finish: &Finish<'_>, refuses: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter if refuses => "stop",
        Finish::ContentFilter => "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Said = Said { calls: false, refuses: false };

    #[test]
    fn every_reason_that_a_client_is_told_is_read_as_it_was_meant() {
        for finish in [Finish::Stop, Finish::Length, Finish::ToolCalls, Finish::ContentFilter] {
            assert_eq!(read(name(&finish, false), PLAIN), Ok(finish));
        }
        assert_eq!(name(&Finish::StopSequence(Some("x".into())), false), "stop");
    }

    #[test]
    fn what_was_said_before_tells_what_stop_means() {
        assert_eq!(read("stop", Said { calls: true, refuses: false }), Ok(Finish::ToolCalls));
        assert_eq!(read("length", Said { calls: true, refuses: false }), Ok(Finish::Length));
        let refusal = Said { calls: false, refuses: true };
        assert_eq!(read("stop", refusal), Ok(Finish::ContentFilter));
        assert_eq!(name(&Finish::ContentFilter, true), "stop");
    }

    #[test]
    fn an_unknown_reason_is_an_end_and_an_error_is_none() {
        assert_eq!(read("because", PLAIN), Ok(Finish::Stop));
        assert_eq!(read("error", PLAIN), Err(Spoilt::ByProvider("error")));
    }
}
