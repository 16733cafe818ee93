//! Cuts a streamed answer into whole frames: server-sent events, or the elements of a JSON array.
//!
//! A frame goes on when it is complete, so that it can be read, and left out, before the client sees it.
//! A read that holds whole frames only, the usual case, is passed on without a copy.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};
use std::borrow::Cow;
use std::ops::Range;

/// How the frames of a stream are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, ended by an empty line (LF or CRLF).
    Events,
    /// The elements of one JSON array, as Gemini streams without `alt=sse`.
    Elements,
}

/// What of a frame goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    All,
    /// All but these bytes.
    Without(Range<usize>),
    /// Nothing.
    Nothing,
}

impl Keep {
    /// Writes what is kept of a frame.
    pub fn write(&self, frame: &[u8], out: &mut BytesMut) {
        match self {
            Keep::All => out.extend_from_slice(frame),
            Keep::Without(cut) => {
                out.extend_from_slice(&frame[..cut.start]);
                out.extend_from_slice(&frame[cut.end..]);
            }
            Keep::Nothing => {}
        }
    }
}

impl From<bool> for Keep {
    fn from(is_kept: bool) -> Keep {
        if is_kept { Keep::All } else { Keep::Nothing }
    }
}

/// Where the scan stands between two reads.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Events: bytes of the current line, CR aside. Elements: nesting depth.
    count: usize,
    /// Events: whether the current event has a line. Elements: whether a string is open.
    open: bool,
    /// Elements: whether the next byte is escaped.
    escaped: bool,
}

/// An incremental cutter.
pub struct Frames {
    framing: Framing,
    scan: Scan,
    held: BytesMut,
    ends: Vec<usize>,
    max_frame: usize,
    unparsed: bool,
    has_unread: bool,
}

impl Frames {
    /// A cutter for frames of at most `max_frame` bytes; larger ones are passed on unread.
    pub fn new(framing: Framing, max_frame: usize) -> Frames {
        let (scan, held, ends) = (Scan::default(), BytesMut::new(), Vec::new());
        Frames { framing, scan, held, ends, max_frame, unparsed: false, has_unread: false }
    }

    /// Takes what was read and gives what may go on: what `keep` leaves of whole frames.
    pub fn push<K: Into<Keep>>(&mut self, chunk: &Bytes, mut keep: impl FnMut(&[u8]) -> K) -> Bytes {
        self.ends.clear();
        match self.framing {
            Framing::Events => self.scan.events(chunk, &mut self.ends),
            Framing::Elements => self.scan.elements(chunk, &mut self.ends),
        }
        let Some(&last) = self.ends.last() else {
            self.held.extend_from_slice(chunk);
            return self.release_if_oversized();
        };
        let shift = self.held.len();
        let whole = if shift == 0 {
            chunk.slice(..last)
        } else {
            self.held.extend_from_slice(&chunk[..last]);
            self.held.split().freeze()
        };
        self.held.extend_from_slice(&chunk[last..]);
        for end in &mut self.ends {
            *end += shift;
        }
        self.sift(whole, &mut keep)
    }

    /// What has come of a frame that isn't complete.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Whether anything has gone on unread, of a frame larger than the bound. What follows such a frame is read
    /// by a later push than the one that let its beginning go.
    pub fn has_unread(&self) -> bool {
        self.has_unread
    }

    /// What is left once the stream has ended: a broken last event, or the array's closing bracket.
    pub fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// What `keep` leaves of `whole`.
    fn sift<K: Into<Keep>>(&mut self, whole: Bytes, keep: &mut impl FnMut(&[u8]) -> K) -> Bytes {
        let mut kept: Option<BytesMut> = None;
        let mut start = 0;
        for &end in &self.ends {
            let frame = &whole[start..end];
            let keep = if std::mem::take(&mut self.unparsed) { Keep::All } else { keep(frame).into() };
            match (&mut kept, keep) {
                (None, Keep::All) => {}
                (None, Keep::Nothing) => kept = Some(BytesMut::from(&whole[..start])),
                (None, keep) => {
                    let mut out = BytesMut::with_capacity(whole.len());
                    out.extend_from_slice(&whole[..start]);
                    keep.write(frame, &mut out);
                    kept = Some(out);
                }
                (Some(out), keep) => keep.write(frame, out),
            }
            start = end;
        }
        kept.map_or(whole, BytesMut::freeze)
    }

    fn release_if_oversized(&mut self) -> Bytes {
        if self.unparsed || self.held.len() > self.max_frame {
            self.unparsed = true;
            self.has_unread = true;
            return self.held.split().freeze();
        }
        Bytes::new()
    }
}

impl Scan {
    /// Finds the ends of events: the line end of an empty line that follows a line of the event.
    fn events(&mut self, chunk: &[u8], ends: &mut Vec<usize>) {
        let mut at = 0;
        while let Some(found) = memchr2(b'\n', b'\r', &chunk[at..]) {
            self.count += found;
            at += found + 1;
            if chunk[at - 1] == b'\r' {
                continue;
            }
            match (self.count, self.open) {
                (0, true) => {
                    ends.push(at);
                    self.open = false;
                }
                (0, false) => {}
                _ => self.open = true,
            }
            self.count = 0;
        }
        self.count += chunk.len() - at;
    }

    /// Finds the ends of elements: the bracket that brings the depth back to the array's own.
    fn elements(&mut self, chunk: &[u8], ends: &mut Vec<usize>) {
        for (at, byte) in chunk.iter().enumerate() {
            if self.open {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.open = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.open = true,
                b'{' | b'[' => self.count += 1,
                b'}' | b']' => {
                    self.count = self.count.saturating_sub(1);
                    if self.count == 1 {
                        ends.push(at + 1);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The `data` of a server-sent event, its lines joined by LF as the standard says; empty if it has none.
///
/// Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
pub fn event_data(event: &[u8]) -> Cow<'_, [u8]> {
    let mut lines = lines(event).filter_map(data_line);
    let Some(first) = lines.next() else { return (&[][..]).into() };
    let Some(second) = lines.next() else { return first.into() };
    let mut joined = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.push(b'\n');
        joined.extend_from_slice(line);
    }
    joined.into()
}

/// The JSON of a frame of either framing: of an event its `data`, of an array's element all from its brace on. An
/// event that is bare JSON, as some servers say that they failed, is taken for what it means.
pub fn data(frame: &[u8]) -> Cow<'_, [u8]> {
    match frame.trim_ascii_start().first() {
        Some(b'{' | b'[' | b',') => frame[frame.iter().position(|byte| *byte == b'{').unwrap_or(0)..].into(),
        _ => event_data(frame),
    }
}

fn lines(event: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(event);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn data_line(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let value = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SSE: &[u8] =
        b": hi\n\ndata: {\"a\":1}\n\nevent: x\r\ndata: two\r\ndata: lines\r\n\r\n\n\ndata: [DONE]\n\n";
    const ARRAY: &[u8] = br#"[{"a":"}]\"{"} ,{"b":[1,{"c":2}]},
    {}]"#;

    /// Feeds `input` in pieces that end at `cuts`; gives what came out and the frames that were seen.
    fn run(framing: Framing, input: &[u8], piece: usize, keep: fn(&[u8]) -> bool) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (mut frames, mut out, mut seen) = (Frames::new(framing, 1 << 20), Vec::new(), Vec::new());
        for chunk in input.chunks(piece) {
            let passed = frames.push(&Bytes::copy_from_slice(chunk), |frame| {
                seen.push(frame.to_vec());
                keep(frame)
            });
            out.extend_from_slice(&passed);
        }
        out.extend_from_slice(&frames.finish());
        (out, seen)
    }

    #[test]
    fn every_split_gives_the_same_events_and_bytes() {
        let whole = run(Framing::Events, SSE, SSE.len(), |_| true);
        assert_eq!(whole.0, SSE);
        assert_eq!(whole.1.len(), 4);
        for piece in 1..SSE.len() {
            assert_eq!(run(Framing::Events, SSE, piece, |_| true), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn every_split_gives_the_same_elements_and_bytes() {
        let whole = run(Framing::Elements, ARRAY, ARRAY.len(), |_| true);
        assert_eq!(whole.0, ARRAY);
        assert_eq!(whole.1.len(), 3);
        for piece in 1..ARRAY.len() {
            assert_eq!(run(Framing::Elements, ARRAY, piece, |_| true), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn a_refused_event_is_left_out_and_nothing_else() {
        for piece in 1..=SSE.len() {
            let (out, _) = run(Framing::Events, SSE, piece, |event| !event.ends_with(b"{\"a\":1}\n\n"));
            let text = String::from_utf8(out).expect("text");
            assert!(!text.contains("\"a\""), "pieces of {piece}");
            assert!(text.starts_with(": hi\n\nevent: x") && text.ends_with("data: [DONE]\n\n"));
        }
    }

    #[test]
    fn what_is_cut_out_of_an_event_is_gone_and_nothing_else() {
        let (two, expected) = (b"data: {\"a\":1}\n\ndata: {\"a\":2}\n\n", "data: {}\n\ndata: {}\n\n");
        for piece in 1..=two.len() {
            let (mut frames, mut out) = (Frames::new(Framing::Events, 1 << 20), Vec::new());
            for chunk in two.chunks(piece) {
                let passed = frames.push(&Bytes::copy_from_slice(chunk), |_| Keep::Without(7..12));
                out.extend_from_slice(&passed);
            }
            assert_eq!(out, expected.as_bytes(), "pieces of {piece}");
        }
    }

    #[test]
    fn whole_events_pass_without_a_copy() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let out = Frames::new(Framing::Events, 1024).push(&chunk, |_| true);
        assert_eq!(out.as_ptr(), chunk.as_ptr());
        assert_eq!(out.len(), chunk.len());
    }

    #[test]
    fn a_frame_of_the_bound_is_read_and_one_past_it_goes_on_unread() {
        for (length, expected) in [(100, 2), (101, 1)] {
            let mut frames = Frames::new(Framing::Events, 100);
            let mut input = vec![b'x'; length];
            let mut seen = 0;
            let mut out = frames
                .push(&Bytes::from(input.clone()), |_| {
                    seen += 1;
                    true
                })
                .to_vec();
            out.extend_from_slice(&frames.push(&Bytes::from_static(b"\n\ndata: 1\n\n"), |_| {
                seen += 1;
                true
            }));
            input.extend_from_slice(b"\n\ndata: 1\n\n");
            assert_eq!(out, input);
            assert_eq!(seen, expected, "a first frame of {length} bytes");
            assert_eq!(frames.has_unread(), length > 100, "a first frame of {length} bytes");
        }
    }

    #[test]
    fn data_lines_are_joined() {
        assert_eq!(event_data(b"event: x\r\ndata: two\r\ndata:lines\r\n\r\n").as_ref(), b"two\nlines");
        assert_eq!(event_data(b"data: {}\n\n").as_ref(), b"{}");
        assert_eq!(event_data(b": comment\n\n").as_ref(), b"");
        assert_eq!(event_data(b"\xef\xbb\xbfdata: first\n\n").as_ref(), b"first");
    }

    #[test]
    fn either_framings_frames_have_their_json() {
        for frame in [r#"data: {"a":1}"#, r#"[{"a":1}"#, r#", {"a":1}"#, r#"{"a":1}"#] {
            assert_eq!(data(frame.as_bytes()).as_ref(), br#"{"a":1}"#, "{frame}");
        }
        assert_eq!(data(b"[]").as_ref(), b"[]");
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_as_they_went_in(input in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
            prop_assert_eq!(run(Framing::Events, &input, piece, |_| true).0, input.clone());
            prop_assert_eq!(run(Framing::Elements, &input, piece, |_| true).0, input);
        }
    }
}
