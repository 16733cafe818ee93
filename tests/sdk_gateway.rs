//! The vendors' own Python SDKs against the gateway, each in front of a provider of each dialect.

use crate::sdk::run_script;
use crate::support::{Gateway, Provider};
use cliproxy::domain::Dialect;

const KEY: &str = "client-key";

/// Whatever model a script asks for, the one provider has it, by the name that its vendor gives one like it; those that
/// fail included.
fn models(own: &str) -> String {
    let asked = ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"];
    let named =
        |alias| if alias == own { own.to_owned() } else { format!("{{name: {own}, alias: {alias}}}") };
    let chats: Vec<String> = asked.into_iter().map(named).collect();
    format!(
        "models: [{}, text-embedding-3-small, gemini-embedding-001, fault-s02, fault-s12, fault-s16, fault-404-model]",
        chats.join(", ")
    )
}

/// The scripts provoke errors, and go on asking.
const NO_COOLDOWN: &str = "cooldown: {enabled: false}";

#[track_caller]
fn works_before(script: &str, dialect: Dialect, more: &str, lacks: &str) {
    let provider = Provider::of(dialect);
    let own = match dialect {
        Dialect::OpenAi => "gpt-4o-mini",
        Dialect::Anthropic => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-2.5-flash",
    };
    let gateway = Gateway::start(&format!(
        "server: {{host: 127.0.0.1, port: {{port}}, auth: {{api_keys: [{KEY}]}}, operations: {{retry: {{max_attempts: 1}}}}}}\nproviders:\n{}",
        provider.yaml_with("only", &[&models(own), NO_COOLDOWN, more])
    ));
    run_script(script, &gateway.url(), KEY, lacks);
    let received = provider.transcript();
    assert!(!received.is_empty(), "the provider was asked");
    for request in received {
        assert!(!format!("{:?}", request.headers).contains(KEY), "the client's key stays here");
    }
}

#[test]
fn openais_sdk_works_before_openai() {
    works_before("openai_sdk.py", Dialect::OpenAi, "responses: true", "");
}

#[test]
fn anthropics_sdk_works_before_anthropic() {
    works_before("anthropic_sdk.py", Dialect::Anthropic, "", "");
}

#[test]
fn googles_sdk_works_before_gemini() {
    works_before("gemini_sdk.py", Dialect::Gemini, "", "");
}

#[test]
fn openais_sdk_works_before_anthropic() {
    works_before(
        "openai_sdk.py",
        Dialect::Anthropic,
        "",
        "embeddings choices loose_json thought_count prefill",
    );
}

#[test]
fn openais_sdk_works_before_gemini() {
    works_before("openai_sdk.py", Dialect::Gemini, "", "embeddings choices single_call stop_name");
}

#[test]
fn anthropics_sdk_works_before_openai() {
    works_before("anthropic_sdk.py", Dialect::OpenAi, "", "thoughts stop_name prefill");
}

#[test]
fn anthropics_sdk_works_before_gemini() {
    works_before("anthropic_sdk.py", Dialect::Gemini, "", "choices single_call stop_name");
}

#[test]
fn googles_sdk_works_before_openai() {
    works_before("gemini_sdk.py", Dialect::OpenAi, "", "embeddings thoughts stop_name");
}
