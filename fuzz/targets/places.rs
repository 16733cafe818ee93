//! Any bytes as a text in which something is wrong: what stands where is named by the way to it.
//!
//! The way to a value of JSON is the one that serde_json takes to it; of anything else it is some way, no longer than is
//! shown.

#![no_main]

use cliproxy_fuzz::input::Input;
use cliproxy_fuzz::translate::json::{self, Fault, MAX_DEPTH};
use cliproxy_fuzz::translate::places;
use cliproxy_fuzz::{mutation, pace};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// How many steps of a way are shown, and how long a name.
const MAX_STEPS: usize = 8;
const MAX_NAME: usize = 40;

/// How long a way may be: each byte of a name may be half a character, which is shown as three.
const MAX_WAY: usize = MAX_STEPS * (1 + 3 * MAX_NAME) + "…".len();

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

fn check(input: &Input<'_>) {
    let number = input.choice * 256 + input.option;
    let some = places::of_offset(input.text, number % (input.text.len() + 2));
    let deepest = places::too_deep(input.text);
    assert!(some.len() <= MAX_WAY && deepest.len() <= MAX_WAY, "{some:?} {deepest:?}");
    if let Err(Fault::TooDeep) = json::members(input.text, []) {
        let way = places::of_offset(input.text, end_of_depth(input.text));
        assert!(deepest.ends_with('…') && deepest == way, "{deepest:?} {way:?}");
    }
    let Ok(text) = std::str::from_utf8(input.text) else { return };
    if let Some((way, offset)) = way_to_one(text, number) {
        assert_eq!(places::of_offset(input.text, offset), way, "{offset} of {text}");
    }
}

/// Behind the first bracket that opens what is too deep.
fn end_of_depth(text: &[u8]) -> usize {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return at + 1;
        }
    }
    text.len()
}

/// The members of an object, in order.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = object.next_key::<&RawValue>()? {
                    let quoted = name.get();
                    members.push((&quoted[1..quoted.len() - 1], object.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// The way to a value that a number chooses, and where it stands; `None` where that isn't shown in full.
fn way_to_one(text: &str, number: usize) -> Option<(String, usize)> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    let (mut way, mut left) = (String::new(), number);
    for _ in 0..MAX_STEPS {
        let next = match value.get().as_bytes().first() {
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                let index = left % elements.len().max(1);
                left /= elements.len().max(1);
                elements.get(index).map(|element| (format!("[{index}]"), *element))
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(value.get()).ok()?;
                let index = left % members.len().max(1);
                left /= members.len().max(1);
                members.get(index).map(|(name, member)| {
                    let dot = if way.is_empty() { "" } else { "." };
                    (format!("{dot}{name}"), *member)
                })
            }
            _ => None,
        };
        let Some((step, inner)) = next else { break };
        if step.len() > MAX_NAME {
            return None;
        }
        way.push_str(&step);
        value = inner;
    }
    Some((way, (value.get().as_ptr() as usize) - (text.as_ptr() as usize)))
}
