//! What a client has put into the model's mouth: a last message that is the model's own, to be gone on from.

use super::prompt::text_of;
use crate::domain::Dialect;
use serde_json::Value;

/// The text of a request's last message, if that is the model's.
pub(super) fn prefill(dialect: Dialect, body: &Value) -> Option<String> {
    let (list, role, content) = match dialect {
        Dialect::OpenAi | Dialect::Anthropic => ("messages", "assistant", "content"),
        Dialect::Gemini => ("contents", "model", "parts"),
    };
    let last = body[list].as_array()?.last()?;
    (last["role"] == role).then(|| text_of(&last[content]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_last_message_of_the_model_is_one() {
        let [user, model] = ["user", "assistant"].map(|role| json!({"role": role, "content": "acorn"}));
        let asked = |messages: &[&Value]| prefill(Dialect::OpenAi, &json!({"messages": messages}));
        assert_eq!(asked(&[&user, &model]).as_deref(), Some("acorn"));
        assert_eq!(asked(&[&model, &user]), None);
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn parts_are_put_together() {
        let parts = json!([{"text": "acorn"}, {"text": " amber"}]);
        let anthropic = json!({"messages": [{"role": "assistant", "content": parts}]});
        let gemini = json!({"contents": [{"role": "model", "parts": parts}]});
        for (dialect, body) in [(Dialect::Anthropic, anthropic), (Dialect::Gemini, gemini)] {
            assert_eq!(prefill(dialect, &body).as_deref(), Some("acorn amber"));
        }
    }
}
