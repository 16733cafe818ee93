//! What is wrong with a client's request, and in which of its fields.

use super::incoming::Body;
use crate::translate::peek::BadBody;
use serde::Deserialize;

/// A field, as the way to it from where one stands, and what is wrong with it: the end of a sentence.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    why: String,
}

impl Fault {
    /// Of that field.
    pub(super) fn at(path: impl Into<String>, why: impl Into<String>) -> Fault {
        Fault { path: path.into(), why: why.into() }
    }

    /// Of a field that has to be there.
    pub(super) fn missing(path: &str) -> Fault {
        Fault::at(path, "is missing")
    }

    /// The same, seen from further out.
    pub(super) fn within(self, outer: impl Into<String>) -> Fault {
        let mut path = outer.into();
        if !self.path.is_empty() && !self.path.starts_with('[') {
            path.push('.');
        }
        path.push_str(&self.path);
        Fault { path, why: self.why }
    }
}

impl From<Fault> for BadBody {
    fn from(fault: Fault) -> BadBody {
        BadBody(format!("`{}` {}", fault.path, fault.why))
    }
}

/// Why a text is no request, naming the field. Parses it a second time: only for one that was refused.
pub(super) fn why_refused(text: &str) -> BadBody {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let parsed = Body::deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    let Err(why) = parsed.and_then(|_| json.end()) else {
        return BadBody("the body can't be read twice alike".to_owned());
    };
    // Where a text breaks off nobody knows what comes next, which the path tells by a question mark.
    let path = track.path().to_string();
    match path.trim_end_matches('?').trim_end_matches('.') {
        "" => BadBody(format!("the body: {why}")),
        path => BadBody(format!("`{path}`: {why}")),
    }
}
