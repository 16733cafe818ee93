//! Reasoning of others that comes back in a client's conversation, on its way to the API's own maker.
//!
//! Who has a client's own API is asked in the client's own bytes. But what another provider thought before, we gave to
//! the client in a wrapper of ours, and its maker's rival would refuse it: it stays behind, and nothing else changes.

use super::edit::Edit;
use super::signs::Api;
use super::{generate, messages, responses};

/// The edits to a request for a model whose provider has the client's API; none where nothing has to stay behind.
pub fn without_foreign(api: Api, body: &[u8], model: &str) -> Vec<Edit> {
    match api {
        Api::Responses => responses::without_foreign(body),
        Api::Messages => messages::without_foreign(body, model),
        Api::Generate => generate::without_foreign(body, model),
        // Reasoning has no signature there, and goes to whoever is asked as it came.
        Api::Completions | Api::Other => Vec::new(),
    }
}
