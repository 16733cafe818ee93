//! The items that an answer's output is made of, as JSON, and the words of the events that tell of their parts.
//!
//! Texts are kept as they are written, escaped, so that a piece is escaped once however often it is told.

/// What the ids of reasoning begin with that is none of OpenAI's, who knows its own by their ids. Such an id is how it is
/// told apart when it comes back.
pub(super) const OURS: &str = "rs_cliproxy_";

/// A text that comes in pieces: the part of an item that it is, and its events.
#[derive(Debug)]
pub(super) struct Form {
    /// The type of the part; empty for arguments, which are no part.
    kind: &'static str,
    /// Where the text is in the part, and in the event that ends it.
    text: &'static str,
    /// What else the part has.
    rest: &'static str,
    /// What the place in its item is called.
    pub(super) index: &'static str,
    /// What the events of its pieces have beside them.
    pub(super) beside: &'static str,
    /// The events: of the part's beginning, of a piece, of the text's end, of the part's end.
    pub(super) events: [&'static str; 4],
}

/// What the model says.
pub(super) static TEXT: Form = Form {
    kind: "output_text",
    text: "text",
    rest: r#","annotations":[],"logprobs":[]"#,
    index: "content_index",
    beside: r#","logprobs":[]"#,
    events: [
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
    ],
};

/// Why it doesn't.
pub(super) static REFUSAL: Form = Form {
    kind: "refusal",
    text: "refusal",
    rest: "",
    index: "content_index",
    beside: "",
    events: [
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ],
};

/// What it thinks, word for word as far as the provider tells.
pub(super) static THOUGHT: Form = Form {
    kind: "reasoning_text",
    text: "text",
    rest: "",
    index: "content_index",
    beside: "",
    events: [
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
    ],
};

/// What it thinks, told as a summary.
pub(super) static SUMMARY: Form = Form {
    kind: "summary_text",
    text: "text",
    rest: "",
    index: "summary_index",
    beside: "",
    events: [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ],
};

/// What it calls a function with.
pub(super) static ARGUMENTS: Form = Form {
    kind: "",
    text: "arguments",
    rest: "",
    index: "",
    beside: "",
    events: ["", "response.function_call_arguments.delta", "response.function_call_arguments.done", ""],
};

impl Form {
    /// Whether it is a part of its item, and not the item's own.
    pub(super) fn is_part(&self) -> bool {
        !self.kind.is_empty()
    }

    /// The part with its text.
    pub(super) fn part(&self, out: &mut Vec<u8>, text: &[u8]) {
        extend(out, &[br#"{"type":""#, self.kind.as_bytes(), b"\"", self.rest.as_bytes(), b","]);
        self.whole(out, text);
        out.push(b'}');
    }

    /// The text as a member.
    pub(super) fn whole(&self, out: &mut Vec<u8>, text: &[u8]) {
        extend(out, &[b"\"", self.text.as_bytes(), b"\":\"", text, b"\""]);
    }
}

/// What an item is, with what it has beside its parts.
#[derive(Debug)]
pub(super) enum Kind {
    /// What the model says and refuses.
    Message,
    /// What it thinks, in this form, with a signature as a JSON string if there is one to give.
    Reasoning { form: &'static Form, signature: Option<Vec<u8>> },
    /// A call, with id and name as JSON strings.
    Call { id: Vec<u8>, name: Vec<u8> },
}

/// About what a part has beside its text.
const PART: usize = 96;

/// An item under way.
#[derive(Debug)]
pub(super) struct Item {
    /// Which of the output it is.
    pub(super) index: usize,
    pub(super) kind: Kind,
    /// The parts that are whole, with commas between them.
    pub(super) parts: Vec<u8>,
    /// How many those are.
    pub(super) count: usize,
    /// The part under way.
    pub(super) form: Option<&'static Form>,
    /// The text of that, escaped, without quotes. Of a call its arguments.
    pub(super) text: Vec<u8>,
    /// Whether some of it wasn't kept.
    pub(super) is_cut: bool,
}

impl Item {
    /// An item that has nothing yet.
    pub(super) fn new(index: usize, kind: Kind) -> Item {
        Item { index, kind, parts: Vec::new(), count: 0, form: None, text: Vec::new(), is_cut: false }
    }

    /// Its id: what it is, in whose answer, and which of it.
    pub(super) fn id(&self, out: &mut Vec<u8>, answer: &[u8]) {
        let prefix: &[u8] = match self.kind {
            Kind::Message => b"msg_",
            Kind::Reasoning { .. } => OURS.as_bytes(),
            Kind::Call { .. } => b"fc_",
        };
        extend(out, &[b"\"", prefix, answer, b"_"]);
        number(out, self.index as u64);
        out.push(b'"');
    }

    /// All of it.
    pub(super) fn write(&self, out: &mut Vec<u8>, answer: &[u8], status: &str) {
        out.extend_from_slice(br#"{"id":"#);
        self.id(out, answer);
        extend(out, &[br#","status":""#, status.as_bytes(), br#"","type":"#]);
        match &self.kind {
            Kind::Message => {
                extend(out, &[br#""message","role":"assistant","content":["#, &self.parts, b"]}"]);
            }
            Kind::Reasoning { form, signature } => {
                out.extend_from_slice(br#""reasoning","summary":["#);
                if form.index != SUMMARY.index && !self.parts.is_empty() {
                    out.extend_from_slice(br#"],"content":["#);
                }
                extend(out, &[&self.parts, b"]"]);
                if let Some(signature) = signature {
                    extend(out, &[br#","encrypted_content":"#, signature]);
                }
                out.push(b'}');
            }
            Kind::Call { id, name } => {
                extend(out, &[br#""function_call","call_id":"#, id, br#","name":"#, name, b","]);
                ARGUMENTS.whole(out, &self.text);
                out.push(b'}');
            }
        }
    }

    /// Makes the text under way a whole part.
    pub(super) fn keep_part(&mut self, form: &Form) {
        self.parts.reserve(self.text.len() + PART);
        if self.count > 0 {
            self.parts.push(b',');
        }
        self.count += 1;
        form.part(&mut self.parts, &self.text);
        self.text.clear();
    }
}

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends pieces.
pub(super) fn extend(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}
