//! What no vendor takes of a request that could be read: numbers out of their range, and nothing said at all.
//!
//! A request that goes on in the client's own words is its provider's to judge. One that is put into other words is
//! judged here, by what the client's own API says: who writes it for another would otherwise have to guess what a
//! temperature of 7 was to mean. Sources: the vendors' references of these fields.

use super::canonical::Request;
use super::field::bad;
use super::peek::BadBody;
use super::signs::Api;

/// A number of a request, under its name in each API, with the least and the most that it may be there.
struct Range {
    of: fn(&Request<'_>) -> Option<f64>,
    /// Those of Chat Completions, Responses, Messages and `generateContent`; none where it can't be asked for.
    bounds: [Option<(&'static str, f64, f64)>; 4],
}

const NONE: Option<(&str, f64, f64)> = None;

/// More tokens no vendor's field can hold: Gemini's is an `int32`.
const MOST_TOKENS: f64 = i32::MAX as f64;

static RANGES: [Range; 5] = [
    Range {
        of: |request| request.temperature,
        bounds: [
            Some(("temperature", 0.0, 2.0)),
            Some(("temperature", 0.0, 2.0)),
            Some(("temperature", 0.0, 1.0)),
            Some(("generationConfig.temperature", 0.0, 2.0)),
        ],
    },
    Range {
        of: |request| request.top_p,
        bounds: [
            Some(("top_p", 0.0, 1.0)),
            Some(("top_p", 0.0, 1.0)),
            Some(("top_p", 0.0, 1.0)),
            Some(("generationConfig.topP", 0.0, 1.0)),
        ],
    },
    Range {
        of: |request| request.presence_penalty,
        bounds: [
            Some(("presence_penalty", -2.0, 2.0)),
            NONE,
            NONE,
            Some(("generationConfig.presencePenalty", -2.0, 2.0)),
        ],
    },
    Range {
        of: |request| request.frequency_penalty,
        bounds: [
            Some(("frequency_penalty", -2.0, 2.0)),
            NONE,
            NONE,
            Some(("generationConfig.frequencyPenalty", -2.0, 2.0)),
        ],
    },
    Range {
        of: |request| request.max_output_tokens.map(|tokens| tokens as f64),
        bounds: [
            Some(("max_tokens` or `max_completion_tokens", 1.0, MOST_TOKENS)),
            Some(("max_output_tokens", 1.0, MOST_TOKENS)),
            Some(("max_tokens", 1.0, MOST_TOKENS)),
            Some(("generationConfig.maxOutputTokens", 1.0, MOST_TOKENS)),
        ],
    },
];

/// What holds all that is said, by the API.
const SAID: [&str; 4] = ["messages", "input", "messages", "contents"];

/// Checks a request of that API.
///
/// # Errors
/// When a number is out of its range, or nothing is said; names the field.
pub(super) fn check(client: Api, request: &Request<'_>) -> Result<(), BadBody> {
    let column = match client {
        Api::Completions => 0,
        Api::Responses => 1,
        Api::Messages => 2,
        Api::Generate => 3,
        Api::Other => return Ok(()),
    };
    for Range { of, bounds } in &RANGES {
        if let (Some(number), Some((field, least, most))) = (of(request), bounds[column])
            && !(least..=most).contains(&number)
        {
            return Err(bad(field, format_args!("must be from {least} to {most}")));
        }
    }
    if request.is_silent() && !request.features.has_more_elsewhere() {
        return Err(bad(SAID[column], "says nothing; send at least one message with words in it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::canonical::{Part, Speaker, Thought, Turn};

    fn told(client: Api, change: impl Fn(&mut Request<'static>)) -> Option<String> {
        let mut request = Request { system: vec![Part::text("x")], ..Request::default() };
        change(&mut request);
        check(client, &request).err().map(|BadBody(why)| why)
    }

    #[test]
    fn the_bounds_of_every_number_are_taken_and_what_is_beyond_is_named() {
        type Set = fn(&mut Request<'static>, f64);
        let sets: [Set; 4] = [
            |request, number| request.temperature = Some(number),
            |request, number| request.top_p = Some(number),
            |request, number| request.presence_penalty = Some(number),
            |request, number| request.frequency_penalty = Some(number),
        ];
        for (range, set) in RANGES.iter().zip(sets) {
            for (column, client) in
                [Api::Completions, Api::Responses, Api::Messages, Api::Generate].into_iter().enumerate()
            {
                let Some((field, least, most)) = range.bounds[column] else {
                    assert_eq!(told(client, |request| set(request, 1e9)), None);
                    continue;
                };
                for number in [least, most] {
                    assert_eq!(told(client, |request| set(request, number)), None, "{field} {number}");
                }
                for number in [least - 0.001, most + 0.001] {
                    let why = told(client, |request| set(request, number)).expect(field);
                    assert_eq!(why, format!("`{field}` must be from {least} to {most}"));
                }
            }
        }
        let most = 2_147_483_647;
        for tokens in [1, most] {
            assert_eq!(told(Api::Messages, |request| request.max_output_tokens = Some(tokens)), None);
        }
        for tokens in [0, most + 1, u64::MAX] {
            let why = told(Api::Messages, |request| request.max_output_tokens = Some(tokens));
            assert_eq!(why.as_deref(), Some("`max_tokens` must be from 1 to 2147483647"));
        }
        assert_eq!(told(Api::Other, |request| request.temperature = Some(9.0)), None);
    }

    #[test]
    fn who_says_nothing_is_told_so_unless_a_provider_keeps_what_was_said() {
        use crate::translate::features::Feature;
        let silence = |parts: Vec<Part<'static>>, features: &[Feature]| {
            let turns = vec![Turn { speaker: Speaker::Model, parts }];
            let mut request = Request { turns, ..Request::default() };
            features.iter().for_each(|feature| request.features.insert(*feature));
            check(Api::Responses, &request).err().map(|BadBody(why)| why)
        };
        let told = Some("`input` says nothing; send at least one message with words in it".to_owned());
        let thought = || vec![Part::Thought(Thought { text: "hm".into(), ..Thought::default() })];
        assert_eq!(check(Api::Responses, &Request::default()).err().map(|BadBody(why)| why), told);
        assert_eq!(silence(vec![], &[]), told);
        assert_eq!(silence(thought(), &[Feature::ForeignThoughts, Feature::Seed]), told);
        assert_eq!(silence(thought(), &[Feature::StoredConversation]), None);
        assert_eq!(silence(vec![Part::text("x")], &[]), None);
    }
}
