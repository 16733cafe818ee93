//! `GET /v1/models` in each dialect.

use crate::domain::Dialect;
use bytes::Bytes;
use serde_json::{Value, json};

/// The stamp of every model in the list: the dialects require one, and we don't know any.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// One model as clients see it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The name that a client asks for.
    pub name: &'a str,
    /// Who serves it: a provider's name, or `cliproxy` for an entry of the `models:` map.
    pub owner: &'a str,
}

/// The whole list.
pub fn list(dialect: Dialect, models: &[Listed<'_>]) -> Bytes {
    let items: Vec<Value> = models.iter().map(|model| item(dialect, *model)).collect();
    let value = match dialect {
        Dialect::OpenAi => json!({"object": "list", "data": items}),
        Dialect::Anthropic => json!({
            "data": items,
            "has_more": false,
            "first_id": models.first().map(|model| model.name),
            "last_id": models.last().map(|model| model.name),
        }),
        Dialect::Gemini => json!({"models": items}),
    };
    value.to_string().into()
}

/// One model.
pub fn one(dialect: Dialect, model: Listed<'_>) -> Bytes {
    item(dialect, model).to_string().into()
}

fn item(dialect: Dialect, model: Listed<'_>) -> Value {
    match dialect {
        Dialect::OpenAi => {
            json!({"id": model.name, "object": "model", "created": 0, "owned_by": model.owner})
        }
        Dialect::Anthropic => {
            json!({"type": "model", "id": model.name, "display_name": model.name, "created_at": EPOCH})
        }
        Dialect::Gemini => json!({
            "name": format!("models/{}", model.name),
            "displayName": model.name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_lists_in_its_own_shape() {
        let models = [Listed { name: "m", owner: "p" }];
        let parsed = |dialect| serde_json::from_slice::<Value>(&list(dialect, &models)).expect("JSON");
        assert_eq!(parsed(Dialect::OpenAi)["data"][0]["id"], "m");
        assert_eq!(parsed(Dialect::Anthropic)["last_id"], "m");
        assert_eq!(parsed(Dialect::Gemini)["models"][0]["name"], "models/m");
    }
}
