//! Any bytes as a stream that passes: cut into frames, looked through for signs, texts and usage.
//!
//! However it is cut, the frames are the same, all bytes go on in order, and what is refused is a frame of its own. What
//! is put in place of a text is what stands there afterwards, and nothing else changes.

#![no_main]

use bytes::Bytes;
use cliproxy_fuzz::domain::Dialect;
use cliproxy_fuzz::input::{Input, ways};
use cliproxy_fuzz::translate::frames::{self, Frames, Framing};
use cliproxy_fuzz::translate::signs::{Api, Signs};
use cliproxy_fuzz::translate::text::{self, Said};
use cliproxy_fuzz::translate::usage::Meter;
use cliproxy_fuzz::{mutation, pace};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const APIS: [Api; 5] = [Api::Completions, Api::Responses, Api::Messages, Api::Generate, Api::Other];

/// What is put in place of a text.
const OTHER: &str = "an \"other\"\n\u{1f600}";

fuzz_target!(|bytes: &[u8]| {
    if let Some(input) = Input::of(bytes) {
        pace::within(bytes.len(), || check(&input));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});

/// What is done to the frames of a stream that comes in pieces.
#[derive(Clone, Copy)]
enum Way {
    /// All go on.
    Cut,
    /// Some are left out.
    Sifted,
    /// Some are too long to be read.
    Bounded,
}

const WAYS: [Way; 3] = [Way::Cut, Way::Sifted, Way::Bounded];

fn check(input: &Input<'_>) {
    let framing = if input.choice.is_multiple_of(2) { Framing::Events } else { Framing::Elements };
    let (all, frames) = passed(framing, usize::MAX, &[input.text], |_| true);
    assert_eq!(all, input.text);
    let rest = input.choice / 2;
    for way in ways(rest, &WAYS) {
        in_pieces(*way, input, framing, &frames);
    }
    look(input.option(&APIS), framing, &frames, ways(rest / WAYS.len(), &Dialect::ALL));
}

fn in_pieces(way: Way, input: &Input<'_>, framing: Framing, frames: &[Vec<u8>]) {
    let passed = |most, is_kept: fn(&[u8]) -> bool| passed(framing, most, &input.pieces(), is_kept);
    match way {
        Way::Cut => {
            let (all, cut) = passed(usize::MAX, |_| true);
            assert_eq!(all, input.text);
            assert_eq!(cut, frames, "the cuts don't matter");
        }
        Way::Sifted => {
            let is_kept = |frame: &[u8]| frame.len().is_multiple_of(2);
            let (kept, _) = passed(usize::MAX, is_kept);
            let rest = &input.text[frames.iter().map(Vec::len).sum::<usize>()..];
            let own = frames.iter().filter(|frame| is_kept(frame)).flatten().chain(rest).copied();
            assert_eq!(kept, own.collect::<Vec<u8>>(), "what is refused is left out, and nothing else");
        }
        Way::Bounded => {
            let (all, _) = passed(input.option, |_| true);
            assert_eq!(all, input.text, "what is too long goes on unread");
        }
    }
}

/// What goes on of pieces, and the frames that were judged.
fn passed(
    framing: Framing,
    max_frame: usize,
    pieces: &[&[u8]],
    is_kept: impl Fn(&[u8]) -> bool,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (mut cutter, mut all, mut judged) = (Frames::new(framing, max_frame), Vec::new(), Vec::new());
    for piece in pieces {
        all.extend_from_slice(&cutter.push(&Bytes::copy_from_slice(piece), |frame| {
            judged.push(frame.to_vec());
            is_kept(frame)
        }));
        let most = max_frame.saturating_add(piece.len());
        assert!(cutter.held().len() <= most, "no more is held than may be, and what was read at once");
    }
    all.extend_from_slice(&cutter.finish());
    (all, judged)
}

fn look(api: Api, framing: Framing, frames: &[Vec<u8>], dialects: &[Dialect]) {
    let mut signs = Signs::new(api);
    let mut meters: Vec<Meter> = dialects.iter().map(|dialect| Meter::stream(*dialect, framing)).collect();
    let (mut has_content, mut largest) = (false, 0);
    for frame in frames {
        signs.see(frame);
        assert!(signs.has_content() || !has_content, "what has come has come");
        has_content = signs.has_content();
        for meter in &mut meters {
            meter.see(frame);
        }
        let output = meters[0].reported().map_or(0, |usage| usage.output);
        assert!(output >= largest, "usage never shrinks");
        largest = output;
        replaced(api, frame);
    }
}

fn replaced(api: Api, frame: &[u8]) {
    let Said::Text { text: words, at } = text::text_of(api, frame) else { return };
    assert!(!words.is_empty());
    let other = text::replace(frame, at.clone(), OTHER);
    assert_eq!(other[..at.start], frame[..at.start]);
    assert!(other.ends_with(&frame[at.end..]));
    assert!(matches!(text::text_of(api, &other), Said::Text { text, .. } if text == OTHER));
    let same = text::replace(frame, at, &words);
    assert!(matches!(text::text_of(api, &same), Said::Text { text, .. } if text == words));
    assert!(!frames::data(frame).is_empty());
}
