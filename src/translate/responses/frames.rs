//! The frames of a stream: numbered events, and those of an item's parts.

use super::items::{Form, Item, extend, number};

/// Writes frames, and counts them.
#[derive(Debug)]
pub(super) struct Frames {
    /// The next one's number.
    next: u64,
    /// Whether nobody listens.
    is_silent: bool,
}

impl Frames {
    /// That are told, from the first on.
    pub(super) fn new() -> Frames {
        Frames { next: 0, is_silent: false }
    }

    /// That nobody hears.
    pub(super) fn silent() -> Frames {
        Frames { next: 0, is_silent: true }
    }

    /// A frame of that event, with more members.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, event: &str, members: impl FnOnce(&mut Vec<u8>)) {
        if self.is_silent {
            return;
        }
        let name = event.as_bytes();
        extend(out, &[b"event: ", name, b"\ndata: {\"type\":\"", name, br#"","sequence_number":"#]);
        number(out, self.next);
        self.next += 1;
        members(out);
        out.extend_from_slice(b"}\n\n");
    }

    /// A frame of the part that an item is at.
    pub(super) fn of_part(
        &mut self,
        item: &Item,
        form: &Form,
        event: &str,
        key: &[u8],
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut Vec<u8>),
    ) {
        self.put(out, event, |out| {
            out.extend_from_slice(br#","item_id":"#);
            item.id(out, key);
            out.extend_from_slice(br#","output_index":"#);
            number(out, item.index as u64);
            if !form.index.is_empty() {
                extend(out, &[b",\"", form.index.as_bytes(), b"\":"]);
                number(out, item.count as u64);
            }
            members(out);
        });
    }

    /// Begins a part, where the text is one.
    pub(super) fn begin_part(&mut self, item: &Item, form: &Form, key: &[u8], out: &mut Vec<u8>) {
        if form.index.is_empty() {
            return;
        }
        self.of_part(item, form, form.events[0], key, out, |out| {
            out.extend_from_slice(br#","part":"#);
            form.part(out, b"");
        });
    }

    /// Ends the part under way, if there is one.
    pub(super) fn end_part(&mut self, item: &mut Item, key: &[u8], out: &mut Vec<u8>) {
        let Some(form) = item.form.take() else { return };
        self.of_part(item, form, form.events[2], key, out, |out| {
            out.push(b',');
            form.whole(out, &item.text);
            out.extend_from_slice(form.beside.as_bytes());
        });
        self.of_part(item, form, form.events[3], key, out, |out| {
            out.extend_from_slice(br#","part":"#);
            form.part(out, &item.text);
        });
        item.keep_part(form);
    }
}
